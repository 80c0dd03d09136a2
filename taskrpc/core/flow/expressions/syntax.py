"""Pebble's syntax, read into Jinja2's syntax tree.

Jinja2's lexer finds text, tags and tokens, and its parser the blocks; the expressions are read here, because Pebble
binds its operators in another order, and because every one of them becomes an operation of ours: a Jinja2 filter whose
name nobody can type. What comes out has no calls, no attributes and no arithmetic of Python's in it.
"""

import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NoReturn, TypeVar

from jinja2 import Environment, nodes
from jinja2.lexer import Lexer, Token
from jinja2.parser import Parser

_Node = TypeVar("_Node", bound=nodes.Expr)

MOST_DEPTH: Final = 64
# Before every name: Jinja2 means something by `self`, `loop` and others.
PREFIX: Final = "v_"

# Binary operators: how tightly they bind; the token or word is the operation's name too, but for those in _NAMES.
_BINDING: Final = {
    "or": 10, "and": 15, "contains": 20, "isIn": 30, "matches": 30,
    "eq": 30, "equals": 30, "ne": 30, "gt": 30, "gteq": 30, "lt": 30, "lteq": 30, "is": 32,
    "add": 40, "sub": 40, "mul": 60, "div": 60, "mod": 60, "pipe": 100, "tilde": 110,
    "dots": 120, "coalesce": 120, "coalesce_absent": 120,
}  # fmt: skip
_NOT: Final = 31
_SIGN: Final = 500
_WORDS: Final = {"true": True, "false": False, "null": None, "none": None, "True": True, "False": False, "None": None}
_OWN_TOKENS: Final = (
    (re.compile(r"\?\?\?"), "coalesce_absent"),
    (re.compile(r"\?\?"), "coalesce"),
    (re.compile(r"\?"), "question"),
    (re.compile(r"\.\.(?=.)", re.S), "dots"),
)
_TAGS: Final = ("for", "if", "set")


class PebbleLexer(Lexer):
    """Jinja2's lexer with the tokens that only Pebble has, and its text: a backslash escapes nothing but quotes."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        for state in ("variable_begin", "block_begin"):
            end, *others = self.rules[state]
            own = [type(end)(pattern, token, None) for pattern, token in _OWN_TOKENS]
            self.rules[state] = [end, *own, *others]

    def wrap(
        self, stream: Iterable[tuple[int, str, str]], name: str | None = None, filename: str | None = None
    ) -> Iterator[Token]:
        """Jinja2's tokens of the raw ones."""
        return super().wrap(_pebble_tokens(stream), name, filename)


def _pebble_tokens(stream: Iterable[tuple[int, str, str]]) -> Iterator[tuple[int, str, str]]:
    begins = False
    for line, kind, text in stream:
        if kind == "string":
            yield line, "text", text[1:-1].replace("\\" + text[0], text[0])
        elif begins and text == "elseif":
            yield line, kind, "elif"
        else:
            yield line, kind, text
        if kind != "whitespace":
            begins = kind == "block_begin"


class PebbleParser(Parser):
    """Reads a template; `environment.filters` says which operations there are."""

    def __init__(self, environment: Environment, source: str) -> None:
        super().__init__(environment, source)
        self._depths: dict[int, int] = {}
        self._open = 0

    # -- tags ---------------------------------------------------------------------------------------------------------

    def parse_statement(self) -> nodes.Node | list[nodes.Node]:
        """A tag; only those that are allowed."""
        token = self.stream.current
        if token.type == "name" and token.value not in _TAGS:
            self.fail(f"the tag {token.value!r} is not known here; there are for, if, set and raw")
        return super().parse_statement()

    def parse_tuple(self, *_: Any, **__: Any) -> nodes.Expr:
        """What stands between {{ and }}."""
        return self._op("print", self.expression())

    def parse_for(self) -> nodes.For:
        """`for item in items`, with an `else` for none; each turn has its `loop`."""
        line = self.stream.expect("name:for").lineno
        item = self._new_name()
        self.stream.expect("name:in")
        items = self._op("iterate", self.expression())
        body = self.parse_statements(("name:endfor", "name:else"))
        other: list[nodes.Node] = []
        if next(self.stream).value == "else":
            other = self.parse_statements(("name:endfor",), drop_needle=True)
        target = nodes.Tuple([item, nodes.Name(PREFIX + "loop", "store")], "store")
        return nodes.For(target, items, body, other, None, False, lineno=line)

    def parse_if(self) -> nodes.If:
        """`if`, `elseif` (or `elif`), `else`."""
        first = last = nodes.If(lineno=self.stream.expect("name:if").lineno)
        first.elif_, first.else_ = [], []
        while True:
            last.test = self._op("truthy", self.expression())
            last.body = self.parse_statements(("name:elif", "name:else", "name:endif"))
            token = next(self.stream)
            if token.value == "else":
                first.else_ = self.parse_statements(("name:endif",), drop_needle=True)
            if token.value != "elif":
                return first
            last = nodes.If(lineno=token.lineno)
            last.elif_, last.else_ = [], []
            first.elif_.append(last)

    def parse_set(self) -> nodes.Assign:
        """`set name = value`."""
        line = next(self.stream).lineno
        target = self._new_name()
        self.stream.expect("assign")
        return nodes.Assign(target, self.expression(), lineno=line)

    def _new_name(self) -> nodes.Name:
        token = self.stream.expect("name")
        if token.value in (*_WORDS, "loop"):
            self.fail(f"{token.value!r} cannot be the name of a variable")
        return nodes.Name(PREFIX + token.value, "store", lineno=token.lineno)

    # -- expressions --------------------------------------------------------------------------------------------------

    def expression(self) -> nodes.Expr:
        """An expression as a whole, with its `condition ? value : other`."""
        self._open += 1
        if self._open > MOST_DEPTH:
            self._too_deep()
        test = self._binary(0)
        if self.stream.skip_if("question"):
            value = self.expression()
            self.stream.expect("colon")
            other = self.expression()
            test = self._deepened(nodes.CondExpr(self._op("truthy", test), value, other), test, value, other)
        self._open -= 1
        return test

    def _binary(self, least: int) -> nodes.Expr:
        left = self._unary()
        while True:
            token = self.stream.current
            operator = token.value if token.type == "name" else token.type
            binding = _BINDING.get(operator, -1)
            if binding < least:
                return left
            next(self.stream)
            if operator == "pipe":
                left = self._filter(left)
            elif operator == "is":
                left = self._test(left)
            else:
                left = self._joined(operator, left, self._binary(binding + 1))

    def _joined(self, operator: str, left: nodes.Expr, right: nodes.Expr) -> nodes.Expr:
        if operator in ("and", "or"):
            kind = nodes.And if operator == "and" else nodes.Or
            return self._deepened(kind(self._op("truthy", left), self._op("truthy", right)), left, right)
        return self._op(operator, left, right)

    def _unary(self) -> nodes.Expr:
        if self.stream.skip_if("name:not"):
            operand = self._nested(_NOT)
            return self._deepened(nodes.Not(self._op("truthy", operand)), operand)
        for sign in ("sub", "add"):
            if self.stream.skip_if(sign):
                return self._op("negative" if sign == "sub" else "positive", self._nested(_SIGN))
        return self._postfix(self._primary())

    def _nested(self, binding: int) -> nodes.Expr:
        self._open += 1
        if self._open > MOST_DEPTH:
            self._too_deep()
        operand = self._binary(binding)
        self._open -= 1
        return operand

    def _postfix(self, value: nodes.Expr) -> nodes.Expr:
        while True:
            if self.stream.skip_if("dot"):
                token = next(self.stream)
                if token.type not in ("name", "integer"):
                    self.fail("a name is expected after the dot; write ['…'] for others", token.lineno)
                if self.stream.current.type == "lparen":
                    self.fail(f"methods cannot be called; there is no {token.value}()", token.lineno)
                value = self._op("get", value, nodes.Const(token.value))
            elif self.stream.skip_if("lbracket"):
                value = self._op("get", value, self.expression())
                self.stream.expect("rbracket")
            else:
                return value

    def _primary(self) -> nodes.Expr:  # noqa: RET503  (`fail` never returns)
        token = next(self.stream)
        match token.type:
            case "name" if token.value in _WORDS:
                return nodes.Const(_WORDS[token.value])
            case "name" if self.stream.current.type == "lparen":
                return self._called(f"{token.value}()", f"there is no function {token.value}", nodes.Const(None))
            case "name":
                return nodes.Name(PREFIX + token.value, "load", lineno=token.lineno)
            case "float" if math.isinf(float(token.value)):
                self.fail("a number is not finite", token.lineno)
            case "text" | "integer" | "float":
                return nodes.Const(token.value)
            case "lparen":
                value = self.expression()
                self.stream.expect("rparen")
                return value
            case "lbracket":
                return self._op("list", nodes.Const(None), *self._listed("rbracket"))
            case "lbrace":
                return self._op("map", nodes.Const(None), *self._entries())
            case _:
                self.fail(f"a value is expected, not {str(token.value) or 'the end'!r}", token.lineno)

    def _listed(self, end: str) -> list[nodes.Expr]:
        values: list[nodes.Expr] = []
        while not self.stream.skip_if(end):
            if values:
                self.stream.expect("comma")
            values.append(self.expression())
        return values

    def _entries(self) -> list[nodes.Expr]:
        entries: list[nodes.Expr] = []
        while not self.stream.skip_if("rbrace"):
            if entries:
                self.stream.expect("comma")
            entries.append(self.expression())
            self.stream.expect("colon")
            entries.append(self.expression())
        return entries

    def _filter(self, value: nodes.Expr) -> nodes.Expr:
        name = self.stream.expect("name").value
        return self._called(f"|{name}", f"there is no filter {name}", value)

    def _test(self, value: nodes.Expr) -> nodes.Expr:
        negated = self.stream.skip_if("name:not")
        name = self.stream.expect("name").value
        tested = self._called(f"is {name}", f"there is no test {name}", value)
        return self._deepened(nodes.Not(tested), tested) if negated else tested

    # -- operations ---------------------------------------------------------------------------------------------------

    def _called(self, name: str, unknown: str, value: nodes.Expr) -> nodes.Expr:
        if name not in self.environment.filters:
            self.fail(unknown)
        arguments: list[nodes.Expr] = []
        named: list[nodes.Keyword] = []
        if self.stream.skip_if("lparen"):
            while not self.stream.skip_if("rparen"):
                if arguments or named:
                    self.stream.expect("comma")
                if self.stream.current.type == "name" and self.stream.look().type == "assign":
                    key = next(self.stream).value
                    next(self.stream)
                    named.append(nodes.Keyword(key, self.expression()))
                else:
                    arguments.append(self.expression())
        return self._op(name, value, *arguments, named=named)

    def _op(
        self, name: str, value: nodes.Expr, *others: nodes.Expr, named: list[nodes.Keyword] | None = None
    ) -> nodes.Expr:
        named = named or []
        node = nodes.Filter(value, name, list(others), named, None, None, lineno=self.stream.current.lineno)
        return self._deepened(node, value, *others, *(each.value for each in named))

    def _deepened(self, node: _Node, *below: nodes.Expr) -> _Node:
        depth = 1 + max(self._depths.get(id(each), 0) for each in below)
        if depth > MOST_DEPTH:
            self._too_deep()
        self._depths[id(node)] = depth
        return node

    def _too_deep(self) -> NoReturn:
        self.fail(f"is nested deeper than {MOST_DEPTH}, or chains more operators; set variables in between")
