"""What a process writes: lines, of which some set variables, as in `::{"outputs": {"rows": 3}}::`."""

import re
from collections import deque
from typing import Any, Final

from taskrpc.errors import TaskRpcError
from taskrpc.wire.codecs import JSON

LONGEST_LINE: Final = 2**20
LARGEST_VARS: Final = 4 * 2**20
_MESSAGE: Final = re.compile(r"\s*::(\{.*\})::\s*")
_LAST_LINES: Final = 10
_LONGEST_LAST_LINE: Final = 1000


class OutputLines:
    """Cuts what comes in on one stream into lines; of a line that is endless the beginning counts."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._endless = False

    def feed(self, data: bytes) -> list[str]:
        """The lines that are whole now."""
        lines = []
        *whole, rest = data.split(b"\n")
        for each in whole:
            self._add(each)
            lines.append(self._taken())
        self._add(rest)
        return lines

    def end(self) -> list[str]:
        """The last line, if it did not end."""
        return [self._taken()] if self._rest else []

    def _add(self, data: bytes) -> None:
        room = LONGEST_LINE - len(self._rest)
        self._rest += data[:room]
        self._endless = self._endless or len(data) > room

    def _taken(self) -> str:
        line = self._rest.decode("utf-8", "replace").rstrip("\r").replace("\0", "\ufffd")
        if self._endless and line.startswith("::{"):
            raise TaskRpcError("bad-output", f"A line that sets outputs is longer than {LONGEST_LINE} bytes")
        self._rest.clear()
        self._endless = False
        return line


class Said:
    """What a process has said so far: variables, metrics, how many lines, and the last ones for its error."""

    def __init__(self) -> None:
        self.vars: dict[str, Any] = {}
        self.counts = {"stdout": 0, "stderr": 0}
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._vars_size = 0

    def line(self, stream: str, line: str) -> dict[str, Any] | None:
        """Takes a line in; answers the metrics that it told of, or None for a line that is for people."""
        self.counts[stream] += 1
        message = _message(line)
        if message is None:
            if stream == "stderr":
                self._last.append(line[:_LONGEST_LAST_LINE])
            return None
        outputs = message.get("outputs")
        if isinstance(outputs, dict):
            self._vars_size += len(line.encode())
            if self._vars_size > LARGEST_VARS:
                raise TaskRpcError("bad-output", f"The outputs that were set have more than {LARGEST_VARS} bytes")
            self.vars |= outputs
        return {"metrics": message["metrics"]} if message.get("metrics") else {}

    @property
    def last_words(self) -> str:
        """The last lines of standard error."""
        return "\n".join(self._last)


def _message(line: str) -> dict[str, Any] | None:
    found = _MESSAGE.fullmatch(line)
    if found is None:
        return None
    try:
        message = JSON.decode(found[1].encode())
    except TaskRpcError:
        return None
    return message if isinstance(message, dict) else None
