"""The body of an HTTP answer: read within a limit whatever it is packed in, and told as text."""

import codecs
import zlib
from typing import Final, Protocol

import httpx2

from taskrpc.errors import TaskRpcError

LARGEST_BODY: Final = 19_000_000
# What is read; anything else is refused, so that nothing is unpacked that has no limit.
ACCEPTED: Final = "gzip, deflate"
# Text encodings of Python that are none of texts, of which some take very long.
_NO_CHARSETS: Final = frozenset({"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape"})


class _Inflater(Protocol):
    def decompress(self, data: bytes, most: int, /) -> bytes: ...


class _Plain:
    def decompress(self, data: bytes, most: int, /) -> bytes:
        return data[:most]


class _Deflated:
    """`deflate` is zlib's format; some servers leave its head out."""

    def __init__(self) -> None:
        self._inflater: _Inflater | None = None

    def decompress(self, data: bytes, most: int, /) -> bytes:
        if self._inflater is None and data:
            self._inflater = zlib.decompressobj() if data[0] & 0x0F == zlib.DEFLATED else zlib.decompressobj(-15)
        return b"" if self._inflater is None else self._inflater.decompress(data, most)


def _inflater(response: httpx2.Response) -> _Inflater:
    match response.headers.get("content-encoding", "").strip().lower():
        case "" | "identity":
            return _Plain()
        case "gzip" | "x-gzip":
            return zlib.decompressobj(31)
        case "deflate":
            return _Deflated()
        case other:
            raise TaskRpcError("response-not-text", f"The answer is packed as {other[:80]!r}, not as {ACCEPTED}")


async def read_body(response: httpx2.Response) -> bytes:
    """The body of an answer; never more than LARGEST_BODY and what came over the network at once is in memory.

    Raises `response-too-large`, and `response-not-text` for what cannot be unpacked.
    """
    inflater, content = _inflater(response), bytearray()
    try:
        async for piece in response.aiter_raw():
            content += inflater.decompress(piece, LARGEST_BODY + 1 - len(content))
            if len(content) > LARGEST_BODY:
                raise TaskRpcError("response-too-large", f"The answer has more than {LARGEST_BODY} bytes")
    except zlib.error as error:
        raise TaskRpcError("response-not-text", f"The answer cannot be unpacked: {error}") from None
    return bytes(content)


def is_charset(name: str) -> bool:
    """Whether texts can be read by this name of a charset."""
    try:
        found = codecs.lookup(name)
        return found.name.replace("-", "_") not in _NO_CHARSETS and isinstance(b"x".decode(name, "replace"), str)
    except (LookupError, ValueError):
        return False


def text_of(body: bytes, response: httpx2.Response, default: str) -> str:
    """The body as text, by the charset that the answer names if it is known, else by the default."""
    named = response.charset_encoding
    return body.decode(named if named is not None and is_charset(named) else default, "replace")
