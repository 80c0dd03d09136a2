"""The table of methods: name to parameters and handler. A handler's docstring is its entry in the API reference."""

import difflib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from taskrpc.core.definition import invalid
from taskrpc.core.model import Resource
from taskrpc.errors import TaskRpcError
from taskrpc.rpc.params import without_nulls
from taskrpc.rpc.services import Context, Services

P = TypeVar("P", bound=BaseModel)
Handler = Callable[[Services, Context, P], Awaitable[Resource]]

PREFIX: Final = "awf."


@dataclass(frozen=True, slots=True)
class Method:
    """One method. `hands_out` tells whether a call with these params may hand out tasks (and so needs an answer).

    `in_turn`: its calls share no statement, so that neighbours in a batch have to be carried out one by one.
    """

    name: str
    params: type[BaseModel]
    handler: Handler[Any]
    hands_out: Callable[[Any], bool]
    in_turn: bool

    def parse(self, params: Mapping[str, object]) -> BaseModel:
        """Typed params, of which what is null counts as absent. Raises `invalid-params` with every mistake."""
        try:
            # what model_validate calls, which takes half as long again
            typed: BaseModel = self.params.__pydantic_validator__.validate_python(without_nulls(params))
        except ValidationError as error:
            raise invalid(error) from None
        return typed


_METHODS: Final[dict[str, Method]] = {}


def method(
    name: str, params: type[P], hands_out: Callable[[P], bool] = lambda _: False, in_turn: bool = False
) -> Callable[[Handler[P]], Handler[P]]:
    """Enters a handler into the table."""

    def enter(handler: Handler[P]) -> Handler[P]:
        if name in _METHODS:
            raise ValueError(f"there is a method {name} already")
        _METHODS[name] = Method(name, params, handler, hands_out, in_turn)
        return handler

    return enter


def methods() -> Mapping[str, Method]:
    """All methods by their full names."""
    return _METHODS


def goes_in_turn(name: str) -> bool:
    """Whether calls of a method that are neighbours in a batch must not be carried out side by side."""
    found = _METHODS.get(name) or _METHODS.get(PREFIX + name)
    return found is not None and found.in_turn


def find(name: str) -> Method:
    """The method of a name, with or without its prefix; raises `method-not-found` that lists near names."""
    found = _METHODS.get(name) or _METHODS.get(PREFIX + name)
    if found is None:
        short = name[:100]
        similar = difflib.get_close_matches(short if short.startswith(PREFIX) else PREFIX + short, _METHODS, 3, 0.6)
        hint = f"; did you mean {' or '.join(similar)}?" if similar else ""
        raise TaskRpcError("method-not-found", f"There is no method {short!r}{hint}", {"similar": similar})
    return found
