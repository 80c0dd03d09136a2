"""The part of jq that flows use, bounded: paths, pipes, commas, operators, construction, and the functions listed here.

jq itself is a language in which a program need not end; what cannot be bounded in time has no place in an expression.
What is not known here is an error that names it.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from taskrpc.core.flow.expressions.jq_filters import (
    WITH_FILTER,
    Filter,
    Steps,
    constant,
    construction,
    elements,
    index,
    itself,
    joined,
    lenient,
    part,
)
from taskrpc.core.flow.expressions.jq_values import SIMPLE, checked, wrong

MOST_DEPTH: Final = 32

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<number>\d{1,18}(?:\.\d{1,18})?)|(?P<text>"(?:[^"\\]|\\.)*")
    |(?P<field>\.[A-Za-z_]\w*)|(?P<name>\$?[A-Za-z_]\w*)
    |(?P<sign>\.\.|//|==|!=|<=|>=|[][.|,:;()?{}<>+*/%-]))""",
    re.VERBOSE,
)
_BINDING: Final = {
    "|": 1, ",": 2, "//": 3, "or": 4, "and": 5, "==": 6, "!=": 6, "<": 6, "<=": 6, ">": 6, ">=": 6,
    "+": 7, "-": 7, "*": 8, "/": 8, "%": 8,
}  # fmt: skip


_CONSTANTS: Final = {"true": True, "false": False, "null": None}


def jq(value: Any, program: str) -> list[Any]:
    """All that the program makes of the value; raises ExpressionError with what is wrong."""
    steps = Steps()
    return list(steps.count(_read(program)(value, steps)))


@lru_cache(maxsize=512)
def _read(program: str) -> Filter:
    return _Reader(program).program()


class _Reader:
    def __init__(self, program: str) -> None:
        self._tokens = list(_tokens(program))
        self._at = 0
        self._depth = 0

    def program(self) -> Filter:
        found = self._expression(0)
        if self._next is not None:
            raise wrong(f"does not understand {self._next!r}")
        return found

    @property
    def _next(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self, *expected: str) -> str:
        token = self._next
        if token is None or (expected and token not in expected):
            raise wrong(f"expects {' or '.join(expected) or 'more'}, not {token or 'the end'!r}")
        self._at += 1
        return token

    def _skip(self, token: str) -> bool:
        if self._next != token:
            return False
        self._at += 1
        return True

    def _expression(self, least: int) -> Filter:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise wrong(f"is nested deeper than {MOST_DEPTH}")
        left, chained = self._postfix(), 0
        while (binding := _BINDING.get(self._next or "", -1)) >= least and binding > 0:
            operator = self._take()
            left = joined(operator, left, self._expression(binding + 1))
            chained += 1
            if chained > MOST_DEPTH:
                raise wrong(f"chains more than {MOST_DEPTH} operators")
        self._depth -= 1
        return left

    def _postfix(self) -> Filter:
        value = self._primary()
        while True:
            token = self._next or ""
            if token == "[" or (token == "." and self._tokens[self._at + 1 : self._at + 2] == ["["]):
                self._skip(".")
                value = self._subscript(value)
            elif re.fullmatch(r"\.\w+", token):
                value = index(value, constant(self._take()[1:]))
            elif token == "." and self._followed_by_text():
                self._take()
                value = index(value, constant(_unquoted(self._take())))
            elif self._skip("?"):
                value = lenient(value)
            else:
                return value

    def _followed_by_text(self) -> bool:
        return any(token.startswith('"') for token in self._tokens[self._at + 1 : self._at + 2])

    def _subscript(self, value: Filter) -> Filter:
        self._take("[")
        if self._skip("]"):
            return elements(value)
        first = constant(None) if self._next == ":" else self._expression(0)
        if not self._skip(":"):
            self._take("]")
            return index(value, first)
        last = constant(None) if self._next == "]" else self._expression(0)
        self._take("]")
        return part(value, first, last)

    def _primary(self) -> Filter:
        token = self._take()
        if token == ".":
            return index(itself, constant(_unquoted(self._take()))) if (self._next or "")[:1] == '"' else itself
        if token.startswith(".") and token != "..":
            return index(itself, constant(token[1:]))
        if token.startswith('"'):
            return constant(_unquoted(token))
        if token[0].isdigit():
            return constant(float(token) if "." in token else int(token))
        if token == "(":
            value = self._expression(0)
            self._take(")")
            return value
        if token == "[":
            return self._list()
        if token == "{":
            return self._map()
        if token == "-":
            return joined("-", constant(0), self._postfix())
        if token in _CONSTANTS:
            return constant(_CONSTANTS[token])
        return self._function(token)

    def _list(self) -> Filter:
        if self._skip("]"):
            return constant([])
        values = self._expression(0)
        self._take("]")
        return lambda value, steps: iter([list(steps.count(values(value, steps)))])

    def _map(self) -> Filter:
        entries: list[tuple[str, Filter]] = []
        while not self._skip("}"):
            if entries:
                self._take(",")
            key = self._take()
            name = _unquoted(key) if key.startswith('"') else key
            entries.append((name, self._expression(3) if self._skip(":") else index(itself, constant(name))))
        return construction(entries)

    def _function(self, name: str) -> Filter:
        arguments: list[Filter] = []
        if self._skip("("):
            arguments.append(self._expression(0))
            self._take(")")
        if name in SIMPLE and not arguments:
            simple = SIMPLE[name]
            return lambda value, steps: iter([checked(name, simple, value)])
        if name in WITH_FILTER and arguments:
            return WITH_FILTER[name](arguments[0])
        raise wrong(f"does not know {name!r} here")


def _tokens(program: str) -> Iterator[str]:
    at = 0
    text = program.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise wrong(f"does not understand {text[at : at + 20]!r}")
        yield found[0].strip()
        at = found.end()


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", lambda escape: {"n": "\n", "t": "\t"}.get(escape[1], escape[1]), text[1:-1])
