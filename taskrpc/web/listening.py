"""Sockets to listen on: one for a server, or one for each of several processes that share a port."""

import socket
from typing import Final

from taskrpc.errors import TaskRpcError

_BACKLOG: Final = 4096


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one.

    Raises `unavailable` where listening is not possible.
    """
    return _listen(host, port, shared=False)


def listen_together(host: str, port: int, count: int) -> list[socket.socket]:
    """So many sockets that listen on one port: the kernel spreads connections over them. Raises as `listen` does."""
    with _listen(host, port, shared=False) as probe:  # sharing a port with strangers is not what is wanted
        port = probe.getsockname()[1]
    return [_listen(host, port, shared=True) for _ in range(count)]


def url_of(listening: socket.socket) -> str:
    """The URL under which a socket can be reached."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listen(host: str, port: int, *, shared: bool) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG, reuse_port=shared)
        # Connections inherit it. asyncio sets it on sockets that it made itself only; without it an answer in two
        # packets takes 40 ms, until the client acknowledges the first.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        raise TaskRpcError(
            "unavailable", f"Cannot listen on {host}:{port}: {error.strerror}; try another --port"
        ) from error
