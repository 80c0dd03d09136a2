"""What the server does itself for a flow's tasks, outside of steps: files are cut into batches, outputs put together.

A chore is an event in the inbox until it is done. It may be done twice: it then writes the same files again.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from taskrpc.core.file_uri import PREFIX, path_of, uri_of
from taskrpc.core.flow.advance.subflows import MERGE, SPLIT
from taskrpc.core.flow.patterns import compiled
from taskrpc.engine.files import Files
from taskrpc.errors import TaskRpcError, invalid_params
from taskrpc.store.executions import ExecutionStore

CHORES: Final = frozenset({SPLIT, MERGE})
MOST_BATCHES: Final = 10_000
LARGEST_LINE: Final = 4 * 2**20
_SIZE: Final = re.compile(r"\s*(\d+)\s*([KMG]?)I?B?\s*", re.IGNORECASE)
_UNITS: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


class Chores:
    """Does chores."""

    def __init__(self, store: ExecutionStore, files: Files) -> None:
        self._store = store
        self._files = files

    async def outcome(self, execution_id: str, chore: Mapping[str, Any]) -> dict[str, Any]:
        """What became of a chore, as the body of an event. Raises `unavailable`: then it can be done later."""
        of = {"run": chore["run"], "attempt": chore["attempt"]}
        folder = f"executions/{execution_id}/{chore['run']}/{chore['attempt']}"
        try:
            do = self._split if chore["type"] == SPLIT else self._merge
            return {**of, "state": "SUCCESS", "outputs": await do(folder, chore["params"])}
        except TaskRpcError as refusal:
            if refusal.type == "unavailable":
                raise
            return {**of, "state": "FAILED", "message": refusal.message}

    async def _split(self, folder: str, params: Mapping[str, Any]) -> dict[str, Any]:
        batch = params["batch"]
        separator = str(batch.get("separator", "\n")).encode()
        async with self._files.reading(_path(params["items"])) as file:
            rows = _rows(file.pieces(0, file.size), separator)
            uris = await self._write_batches(folder, rows, batch, separator)
        listing = f"{folder}/splits.txt"
        await self._files.write(listing, _pieces(["\n".join(uris).encode()]))
        return {"splits": uri_of(listing), "batches": uris}

    async def _write_batches(
        self, folder: str, rows: AsyncIterator[bytes], batch: Mapping[str, Any], separator: bytes
    ) -> list[str]:
        batches = _partitioned(rows, batch) if "partitions" in batch or "regexPattern" in batch else _cut(rows, batch)
        uris: list[str] = []
        async for lines in batches:
            if len(uris) == MOST_BATCHES:
                raise invalid_params("batch", f"the file makes more than {MOST_BATCHES} batches; make them larger")
            path = f"{folder}/batch-{len(uris)}.txt"
            await self._files.write(path, _pieces([line + separator for line in lines]))
            uris.append(uri_of(path))
        return uris

    async def _merge(self, folder: str, params: Mapping[str, Any]) -> dict[str, Any]:
        endings = await self._store.endings(params["executions"])
        records = [orjson.dumps((endings.get(id) or {}).get("outputs") or {}) + b"\n" for id in params["executions"]]
        path = f"{folder}/outputs.jsonl"
        await self._files.write(path, _pieces(records))
        return {"subflowOutputs": uri_of(path)}


def _path(uri: str) -> str:
    try:
        return path_of(uri)
    except ValueError:
        raise invalid_params("items", f"is the URI of a file like {PREFIX}path, not {uri[:80]!r}") from None


async def _pieces(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _rows(pieces: AsyncIterator[bytes], separator: bytes) -> AsyncIterator[bytes]:
    """The rows of a file, without what separates them; an empty last one is none."""
    rest = b""
    async for piece in pieces:
        *rows, rest = (rest + piece).split(separator)
        for row in rows:
            yield row
        if len(rest) > LARGEST_LINE:
            raise invalid_params("items", f"a row of the file is longer than {LARGEST_LINE} bytes")
    if rest:
        yield rest


async def _cut(rows: AsyncIterator[bytes], batch: Mapping[str, Any]) -> AsyncIterator[list[bytes]]:
    """Batches of so many rows, or of so many bytes (at least one row each)."""
    most_bytes = _bytes(batch["bytes"]) if "bytes" in batch else None
    most_rows = None if most_bytes is not None and "rows" not in batch else _number(batch.get("rows", 1), "rows")
    lines: list[bytes] = []
    size = 0
    async for row in rows:
        if lines and (len(lines) == most_rows or (most_bytes is not None and size + len(row) + 1 > most_bytes)):
            yield lines
            lines, size = [], 0
        lines.append(row)
        size += len(row) + 1
    if lines:
        yield lines


async def _partitioned(rows: AsyncIterator[bytes], batch: Mapping[str, Any]) -> AsyncIterator[list[bytes]]:
    """So many batches, the rows dealt out in turn; or one batch for each text that the pattern's group finds."""
    groups: dict[object, list[bytes]] = {}
    key = _key(batch)
    number = 0
    async for row in rows:
        found = key(number, row)
        if found is not None:
            groups.setdefault(found, []).append(row)
        number += 1
    for lines in groups.values():
        yield lines


def _key(batch: Mapping[str, Any]) -> Callable[[int, bytes], object]:
    if "partitions" in batch:
        partitions = _number(batch["partitions"], "partitions")
        return lambda number, row: number % partitions
    try:
        pattern = compiled(str(batch["regexPattern"]))
    except ValueError as error:
        raise invalid_params("batch.regexPattern", f"is no regular expression: {error}") from None

    def group(number: int, row: bytes) -> object:
        match = pattern.search(row.decode(errors="replace"))
        return None if match is None else match.group(1 if pattern.groups else 0)

    return group


def _number(value: object, name: str) -> int:
    text = str(value)
    if not text.isdecimal() or int(text) < 1:
        raise invalid_params(f"batch.{name}", f"a whole number from 1 on is expected, not {text[:80]!r}")
    return int(text)


def _bytes(value: object) -> int:
    match = _SIZE.fullmatch(str(value))
    if match is None:
        raise invalid_params("batch.bytes", f"a size like 512KB is expected, not {str(value)[:80]!r}")
    return int(match[1]) * _UNITS[match[2].upper()]
