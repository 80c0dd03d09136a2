"""The service's log on standard error: text for people, or a JSON object per line for programs."""

import logging
import sys
from datetime import UTC, datetime
from typing import Final

import orjson

from taskrpc.core.timestamps import format_time

# What clients send stands in messages: it must neither begin a line of its own nor steer a terminal.
_ESCAPES: Final = {code: repr(chr(code))[1:-1] for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)}


class _Formatter(logging.Formatter):
    """Knows which worker logs, if there are several."""

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._worker = worker

    def _fields(self, record: logging.LogRecord) -> dict[str, object]:
        fields = {"worker": self._worker, **(getattr(record, "fields", None) or {})}
        return {key: value for key, value in fields.items() if value is not None}


class TextFormatter(_Formatter):
    """`2026-01-31T12:00:00.000000Z INFO message key=value …`."""

    def format(self, record: logging.LogRecord) -> str:
        at = format_time(datetime.fromtimestamp(record.created, UTC))
        line = " ".join(
            [
                at,
                record.levelname,
                record.getMessage(),
                *(f"{key}={value}" for key, value in self._fields(record).items()),
            ]
        )
        line = line.translate(_ESCAPES)
        return line if record.exc_info is None else f"{line}\n{self.formatException(record.exc_info)}"


class JsonFormatter(_Formatter):
    """`{"time", "level", "logger", "message", …fields, "exception"?}`."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": format_time(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._fields(record),
        }
        if record.exc_info is not None:
            entry["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(entry, default=str).decode()


def set_up(form: str, level: str, worker: int | None = None) -> None:
    """Sends the log of this process to standard error; `form` is text or json. Lines of a worker have its number."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(worker) if form == "json" else TextFormatter(worker))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("taskrpc").setLevel(level.upper())
