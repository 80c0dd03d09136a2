"""Callbacks: where an outcome may be posted to, and how the message is signed.

Messages are signed as Standard Webhooks has it (standardwebhooks.com), so that its libraries can check them.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StrictStr, field_validator

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]{0,4000}[\x21-\x7e])?")
# Set by the server, or a matter of the connection.
_OWN_HEADERS: Final = frozenset({
    "host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "keep-alive",
    "upgrade", "te", "trailer", "expect", "proxy-connection", "webhook-id", "webhook-timestamp", "webhook-signature",
})  # fmt: skip
# IPv6 addresses that stand for IPv4 ones, by the translators of a network.
_NAT64: Final = IPv6Network("64:ff9b::/96")
# Not for the public either, though not every version of `ipaddress` says so: of the IETF (one cloud has its metadata
# there), the host of Azure's machines, translators with a prefix of their own (which says not where in it the IPv4
# address stands), and the former private addresses.
_SPECIAL: Final = (
    IPv4Network("192.0.0.0/24"), IPv4Network("168.63.129.16/32"),
    IPv6Network("64:ff9b:1::/48"), IPv6Network("fec0::/10"),
)  # fmt: skip


class Target(BaseModel):
    """`callback` of a create: where the outcome is posted to, and headers besides the service's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[StrictStr, Field(min_length=1, max_length=2000)]
    headers: Annotated[dict[StrictStr, StrictStr], Field(max_length=50)] = {}

    @field_validator("url")
    @classmethod
    def _is_web_address(cls, url: str) -> str:
        if not url.isascii() or any(character <= " " or character == "\x7f" for character in url):
            raise ValueError("a URL has no spaces and only ASCII; encode the rest")
        try:
            parts = urlsplit(url)
            is_fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_fine = False
        if not is_fine:
            raise ValueError(f"a URL like https://example.org/done is expected, not {url[:80]!r}")
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise ValueError("credentials belong into headers, and nobody gets a fragment")
        return url

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
                raise ValueError(f"{name[:80]!r} is no header that can be given here")
            if value and not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"the value of {name} has characters that headers cannot have")
        return headers


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks by their names, as in 10.0.0.0/8; raises ValueError."""
    return tuple(ip_network(text) for text in texts)


def may_be_called(address: str, allowed: Iterable[Network]) -> bool:
    """Whether callbacks may go to an address: to all that are reached through the internet, and to allowed networks.

    Loopback, link-local (where clouds keep credentials) and private addresses are neither, in whatever way written.
    """
    plain = _plain(ip_address(address.partition("%")[0]))
    if any(plain in network for network in allowed):
        return True
    is_special = plain.is_multicast or plain.is_reserved or any(plain in network for network in _SPECIAL)
    return plain.is_global and not is_special


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def signature(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature` of a message."""
    signed = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def shown_secret(secret: bytes) -> str:
    """The secret as receivers configure it."""
    return "whsec_" + base64.b64encode(secret).decode()
