"""Which addresses HTTP requests of tasks may go to."""

import asyncio
import ipaddress
import socket

import httpx2

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class PublicOnly(httpx2.AsyncBaseTransport):
    """Connects to public addresses only, whatever names resolve to, redirects included.

    A name is resolved here, and the connection goes to the address that was looked at: a second answer of the name
    server changes nothing.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        address = await _public_address(host, request)
        request.url = request.url.copy_with(host=str(address))
        request.extensions = {**request.extensions, "sni_hostname": host}
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _public_address(host: str, request: httpx2.Request) -> Address:
    port = request.url.port or (443 if request.url.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpx2.ConnectError(f"{host}: {error.strerror}", request=request) from None
    addresses = [ipaddress.ip_address(each[4][0]) for each in found]
    for address in addresses:
        if not is_public(address):
            raise httpx2.ConnectError(f"{host} is {address}, which is no public address", request=request)
    return addresses[0]


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet; one that carries another is judged by that."""
    if isinstance(address, ipaddress.IPv6Address):
        carried = (
            address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1] or _translated(address)
        )
        if carried is not None:
            return is_public(carried)
    return address.is_global and not address.is_multicast


def _translated(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address behind NAT64."""
    if address in ipaddress.IPv6Network("64:ff9b::/96"):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return None
