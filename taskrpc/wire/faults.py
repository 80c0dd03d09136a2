"""What is wrong with a body, and where: the limits and refusals that both readers share.

Lines and columns count from 1, in characters, as editors show them.
"""

from typing import Final

from taskrpc.errors import TaskRpcError

MAX_DEPTH: Final = 64
"""How deep mappings and lists may stand in each other, whatever the format."""

TOO_DEEP: Final = f"the body is nested deeper than {MAX_DEPTH} levels"
NUL_IN_TEXT: Final = "a text holds the character U+0000, which cannot be stored"

_MIN_INTEGER: Final = -(2**63)
_MAX_INTEGER: Final = 2**64 - 1
_LONGEST_INTEGER: Final = len(str(_MIN_INTEGER))
_SHOWN_CHARACTERS: Final = 80


class EmptyBodyError(TaskRpcError):
    """`unparsable-body` for a body that holds nothing."""

    def __init__(self) -> None:
        message = "the body is empty; send a mapping with a method and, if it takes any, its params"
        super().__init__("unparsable-body", message)


def refusal(message: str, line: int | None = None, column: int | None = None) -> TaskRpcError:
    """`unparsable-body`; where the place is known it ends the message and stands in `data` as well."""
    if line is None:
        return TaskRpcError("unparsable-body", message)
    place = {"line": line, "column": column}
    return TaskRpcError("unparsable-body", f"{message} (line {line}, column {column})", place)


def refusal_at(message: str, text: str, offset: int) -> TaskRpcError:
    """`unparsable-body` at the character of `text` that `offset` others precede."""
    line_start = text.rfind("\n", 0, offset) + 1
    return refusal(message, text.count("\n", 0, offset) + 1, offset - line_start + 1)


def utf8_text(body: bytes) -> str:
    """The body as text; raises `unparsable-body` where it is not UTF-8 (an encoded surrogate is not)."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        readable = body[: error.start].decode()
        raise refusal_at(f"the body is not UTF-8: {error.reason}", readable, len(readable)) from None


def is_integer_in_range(digits: str) -> bool:
    """Whether the integer written as `digits` is one of -2^63 to 2^64-1."""
    return len(digits) <= _LONGEST_INTEGER and _MIN_INTEGER <= int(digits) <= _MAX_INTEGER


def integer_out_of_range(digits: str) -> str:
    """The message for an integer that 64 bits cannot hold."""
    return f"the integer {shown(digits)} is outside -2^63 to 2^64-1; send it as text"


def duplicate_key(key: str) -> str:
    """The message for a key that occurs twice in one mapping."""
    return f'the key "{shown(key)}" occurs twice in one mapping'


def shown(value: str) -> str:
    """`value` for a message: as it is, or its beginning when it is long."""
    return value if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]}…"
