"""From the bytes of the input to its lines, in constant memory."""

import zlib
from collections.abc import AsyncIterator
from typing import Final

from .bad_input import bad_content, bad_line
from .sources import CHUNK

LONGEST_LINE: Final = 16 * 1024 * 1024
_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_FORMAT: Final = 31


async def decoded(url: str, chunks: AsyncIterator[bytes], encoding: str | None) -> AsyncIterator[bytes]:
    """The content as text's bytes: `gzip` is unpacked, `plain` passed on; None recognizes which it is."""
    stream = _with_head(chunks)
    head = await anext(stream, b"")
    is_gzip = head.startswith(_GZIP_MAGIC)
    if encoding == "gzip" and not is_gzip:
        raise bad_content(url, "is not gzip; without contentEncoding the input's kind is recognized")
    unpacked = _unpacked(url, head, stream) if is_gzip and encoding != "plain" else _all(head, stream)
    async for chunk in unpacked:
        yield chunk


async def _with_head(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes; the first piece is long enough to tell gzip by its beginning."""
    head: bytes | None = b""
    async for chunk in chunks:
        if head is None:
            yield chunk
        elif len(head := head + chunk) >= len(_GZIP_MAGIC):
            yield head
            head = None
    if head:
        yield head


async def _all(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for chunk in rest:
        yield chunk


async def _unpacked(url: str, head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Gzip members one after the other, in pieces of bounded size however well they were packed."""
    member = zlib.decompressobj(_GZIP_FORMAT)
    async for chunk in _all(head, rest):
        packed, piece = chunk, b""
        while packed or len(piece) == CHUNK:
            if member.eof and packed:
                member = zlib.decompressobj(_GZIP_FORMAT)
            try:
                piece = member.decompress(packed, CHUNK)
            except zlib.error as error:
                raise bad_content(url, f"is damaged gzip: {error}") from None
            yield piece
            packed = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        raise bad_content(url, "ends in the middle of its gzip data")


async def line_batches(url: str, chunks: AsyncIterator[bytes]) -> AsyncIterator[list[tuple[int, bytes]]]:
    """Lines with their numbers, from 1, as many at a time as a chunk holds; blank ones are left out.

    Raises `TaskRpcError("bad-input")` for a line beyond `LONGEST_LINE`.
    """
    number, rest = 1, b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if batch := [(number + index, line) for index, line in enumerate(lines) if line.strip()]:
            yield batch
        number += len(lines)
        if len(rest) > LONGEST_LINE:
            raise bad_line(url, number, f"is longer than {LONGEST_LINE // 2**20} MiB")
    if rest.strip():
        yield [(number, rest)]


async def count_lines(chunks: AsyncIterator[bytes], at_most_bytes: int) -> int | None:
    """How many lines there are, or None when finding out would take too long."""
    lines, seen, last = 0, 0, b"\n"
    async for chunk in chunks:
        lines, seen, last = lines + chunk.count(b"\n"), seen + len(chunk), chunk[-1:] or last
        if seen > at_most_bytes:
            return None
    return lines if last == b"\n" else lines + 1
