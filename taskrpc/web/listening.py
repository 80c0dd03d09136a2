"""Sockets to listen on: one for a server, or one for each of several processes that share a port."""

import ipaddress
import socket
from typing import Final

from taskrpc.errors import TaskRpcError

_BACKLOG: Final = 4096


def listen(host: str, port: int, *, insecure: bool = False) -> socket.socket:
    """A socket that listens; port 0 takes a free one.

    Raises `forbidden` for an address that others can reach unless that is allowed, `unavailable` where listening is not
    possible.
    """
    return _listen(host, port, insecure, shared=False)


def listen_together(host: str, port: int, count: int, *, insecure: bool = False) -> list[socket.socket]:
    """So many sockets that listen on one port: the kernel spreads connections over them. Raises as `listen` does."""
    with _listen(host, port, insecure, shared=False) as probe:  # sharing a port with strangers is not what is wanted
        port = probe.getsockname()[1]
    return [_listen(host, port, insecure, shared=True) for _ in range(count)]


def url_of(listening: socket.socket) -> str:
    """The URL under which a socket can be reached."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listen(host: str, port: int, insecure: bool, *, shared: bool) -> socket.socket:
    if not insecure and not _is_loopback(host):
        raise TaskRpcError(
            "forbidden",
            f"{host} can be reached from outside, and there are no keys: listen on 127.0.0.1, or say "
            "--insecure if something in front of this server keeps others out",
        )
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


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
