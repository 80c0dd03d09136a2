"""Flows in files, for the commands about them."""

from collections.abc import Iterable
from pathlib import Path

from taskrpc.core.flow.model import Flow
from taskrpc.core.flow.parse import parse_flow
from taskrpc.core.flow.reading import InvalidFlowError
from taskrpc.errors import TaskRpcError
from taskrpc.wire.yaml_places import lines_of
from taskrpc.wire.yaml_reader import decode


class WrongFlowError(Exception):
    """A flow with mistakes; `lines` tell them as FILE:LINE: PATH: MESSAGE."""

    def __init__(self, lines: Iterable[str]) -> None:
        super().__init__()
        self.lines = list(lines)


def read_flow(file: Path) -> tuple[Flow, str]:
    """The flow of a file, and its text. Raises WrongFlowError."""
    try:
        content = file.read_bytes()
        document = decode(content)
    except OSError as error:
        raise WrongFlowError([f"{file}: {error.strerror}"]) from None
    except TaskRpcError as error:
        place = f":{error.data['line']}" if error.data and "line" in error.data else ""
        raise WrongFlowError([f"{file}{place}: {error.message}"]) from None
    try:
        return parse_flow(document), content.decode()
    except InvalidFlowError as error:
        lines = lines_of(content, [mistake.path for mistake in error.mistakes])
        told = sorted(zip(lines, error.mistakes, strict=True), key=lambda each: each[0] or 1)
        raise WrongFlowError(f"{file}:{line or 1}: {mistake}" for line, mistake in told) from None
