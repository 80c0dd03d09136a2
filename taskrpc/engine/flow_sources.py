"""What is handed in as a flow: its document, or the text of one, read and checked with all of its mistakes."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final, Protocol

import orjson

from taskrpc.core.flow.model import Flow
from taskrpc.core.flow.parse import parse_flow
from taskrpc.core.flow.reading import FlowMistake, InvalidFlowError
from taskrpc.errors import TaskRpcError

LARGEST_FLOW: Final = 512 * 1024
MOST_MISTAKES_OF_A_FLOW: Final = 1000
# Reading an expression takes half a millisecond: longer flows are read beside the event loop.
_READ_AT_ONCE: Final = 2048


class TextReader(Protocol):
    """Reads flows that come as text, in YAML or JSON."""

    def decode(self, content: bytes) -> object:
        """The document; raises TaskRpcError, with `line` in its data where that is known."""

    def lines_of(self, content: bytes, paths: Iterable[Sequence[str | int]]) -> list[int | None]:
        """The lines of what stands at paths of a document that `decode` has read."""


@dataclass(frozen=True, slots=True)
class FlowSource:
    """A flow as it came: the document, and the text that it was read from, if it came as one."""

    document: Any
    text: str | None = None

    def spec(self, flow: Flow) -> dict[str, Any]:
        """What a revision keeps, but for its number."""
        described = {"description": self.document["description"]} if self.document.get("description") else {}
        source = {} if self.text is None else {"source": self.text}
        return {
            "namespace": flow.namespace, "id": flow.id, "revision": None, "disabled": flow.disabled, **described,
            "document": self.document, **source,
        }  # fmt: skip


class FlowReader:
    """Turns what comes in into flows."""

    def __init__(self, texts: TextReader) -> None:
        self._texts = texts

    async def read(self, document: Mapping[str, Any], text: str | None) -> tuple[Flow, FlowSource]:
        """The flow of a document, or of a text in its place. Raises `invalid-params` with every mistake; one in a text
        says its line."""
        size = len(orjson.dumps(document)) if text is None else len(text.encode())
        if size > LARGEST_FLOW:
            raise TaskRpcError("invalid-params", f"A flow has at most {LARGEST_FLOW} bytes, not {size}")
        if size <= _READ_AT_ONCE:
            return self._read(document, text)
        return await asyncio.to_thread(self._read, document, text)

    async def parsed(self, document: Any) -> Flow:
        """The flow of a document that was found right. Raises InvalidFlowError where this server is older than the one
        that found so."""
        if len(orjson.dumps(document)) <= _READ_AT_ONCE:
            return parse_flow(document)
        return await asyncio.to_thread(parse_flow, document)

    def _read(self, document: Mapping[str, Any], text: str | None) -> tuple[Flow, FlowSource]:
        source = FlowSource(document if text is None else self._decoded(text), text)
        try:
            return parse_flow(source.document), source
        except InvalidFlowError as error:
            raise self._refusal(error, text) from None

    def _decoded(self, text: str) -> object:
        try:
            return self._texts.decode(text.encode())
        except TaskRpcError as error:
            place = {key: value for key, value in (error.data or {}).items() if key in ("line", "column")}
            message = error.message.replace("the body", "the text")
            errors = [{"path": "source", "message": message, **place}]
            raise TaskRpcError("invalid-params", f"source: {message}", {"errors": errors}) from None

    def _refusal(self, error: InvalidFlowError, text: str | None) -> TaskRpcError:
        """`invalid-params`: paths are those of the flow, in the order in which people read it."""
        listed = error.mistakes[:MOST_MISTAKES_OF_A_FLOW]
        return refusal_of(error, () if text is None else self._texts.lines_of(text.encode(), [m.path for m in listed]))


def refusal_of(error: InvalidFlowError, lines: Sequence[int | None] = ()) -> TaskRpcError:
    """`invalid-params` for what is wrong in a flow, or in a template; `lines` tell where each mistake stands."""
    listed = error.mistakes[:MOST_MISTAKES_OF_A_FLOW]
    errors = [_told(mistake, line) for mistake, line in zip_longest(listed, lines)]
    errors.sort(key=lambda each: each.get("line", 0))
    first = errors[0]
    more = f" (and {len(error.mistakes) - 1} more)" if len(error.mistakes) > 1 else ""
    return TaskRpcError("invalid-params", f"{first['path']}: {first['message']}{more}", {"errors": errors})


def _told(mistake: FlowMistake, line: int | None) -> dict[str, Any]:
    return {"path": mistake.place, "message": mistake.message, **({} if line is None else {"line": line})}
