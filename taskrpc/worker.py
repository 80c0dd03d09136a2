"""One of the processes of `taskrpc serve --workers`: a server on a socket that it inherits. `python -m taskrpc.worker`

It gets its order as a line on standard input, and says on standard output when it is ready. When standard input ends,
its supervisor is gone: then it drains and ends, as it does on a signal.
"""

import asyncio
import signal
import socket
import sys
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson
import uvloop

from taskrpc import collector, logs
from taskrpc.app import Running, Service
from taskrpc.errors import TaskRpcError
from taskrpc.settings import Settings

READY: Final = b"ready\n"


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is to do: its number, the file descriptor of its socket, and the settings."""

    worker: int
    listening: int
    settings: Settings

    def encode(self) -> bytes:
        """The order as a line."""
        settings = self.settings.model_dump(mode="json")
        if self.settings.secret_key is not None:  # which is shown nowhere else
            settings["secret_key"] = self.settings.secret_key.get_secret_value()
        return orjson.dumps({"worker": self.worker, "listening": self.listening, "settings": settings}) + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Self:
        """The order of a line."""
        fields: dict[str, Any] = orjson.loads(line)
        return cls(fields["worker"], fields["listening"], Settings(**fields["settings"]))


async def _serve(order: Order) -> None:
    loop = asyncio.get_running_loop()
    service = Service(order.settings, socket.socket(fileno=order.listening), order.worker)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, service.stop)
    loop.add_reader(sys.stdin.fileno(), service.stop)
    await service.run(_ready)


def _ready(_: Running) -> None:
    collector.relax()
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()


def main() -> int:
    """The exit status: 0 after it was stopped, 1 where it cannot start, with the reason on standard error."""
    order = Order.decode(sys.stdin.buffer.readline())
    logs.set_up(order.settings.log_format, order.settings.log_level, order.worker)
    try:
        uvloop.run(_serve(order))
    except TaskRpcError as error:
        sys.stderr.write(f"taskrpc: {error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
