"""Rendering: a text with expressions becomes text, a condition true or false, a document a document."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Protocol

from jinja2 import Environment, Template, TemplateSyntaxError
from jinja2.exceptions import UndefinedError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from taskrpc.core.flow.durations import moment
from taskrpc.core.flow.expressions import collections, dates, filters, texts, yaml_texts
from taskrpc.core.flow.expressions.budget import Budget
from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.functions import Outside, nothing_outside
from taskrpc.core.flow.expressions.operations import OPERATIONS, RENDERING
from taskrpc.core.flow.expressions.syntax import PREFIX, PebbleLexer, PebbleParser
from taskrpc.core.flow.expressions.values import Absent, is_truthy_text, plain

LONGEST: Final = 64 * 1024
_EPOCH: Final = moment(0)
_READ_FOR_THEIR_OPERATIONS: Final = (collections, dates, filters, texts, yaml_texts)


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja2 as the second wall: what `syntax` lets through calls nothing but our operations."""

    def __init__(self) -> None:
        super().__init__(undefined=Absent, autoescape=False, keep_trailing_newline=True, optimized=False)
        self.globals.clear()
        self.tests.clear()
        self.filters.clear()
        self.filters.update(OPERATIONS)
        self._pebble_lexer = PebbleLexer(self)

    @property
    def lexer(self) -> PebbleLexer:
        """Read by Jinja2 for every template."""
        return self._pebble_lexer


_ENVIRONMENT: Final[Environment] = _Environment()


@lru_cache(maxsize=4096)
def _template(source: str) -> Template:
    if len(source) > LONGEST:
        raise ExpressionError(f"a text with expressions has at most {LONGEST} characters")
    try:
        tree = PebbleParser(_ENVIRONMENT, source).parse()
        return Template.from_code(_ENVIRONMENT, _ENVIRONMENT.compile(tree), {})
    except TemplateSyntaxError as error:
        raise ExpressionError(f"line {error.lineno}: {error.message}", source) from None
    except (RecursionError, MemoryError, SyntaxError):
        raise ExpressionError("is nested too deeply", source) from None


def check(source: str) -> None:
    """Raises ExpressionError for a text that cannot be read."""
    if is_template(source):
        _template(source)


def is_template(source: str) -> bool:
    """Whether a text has expressions at all."""
    return "{{" in source or "{%" in source or "{#" in source


class Names(Protocol):
    """What the names of an expression mean."""

    def __getitem__(self, name: str, /) -> Any:
        """The value of a name; raises KeyError."""

    def __contains__(self, name: object, /) -> bool:
        """Whether the name means something."""


@dataclass(slots=True)
class Rendering:
    """Everything that one rendering depends on; the same again gives the same again.

    `variables`: what names mean, read lazily. `now`: what `now()` says. `seed`: for what is random. `outside`: answers
    the functions that look beyond the expression.
    """

    variables: Names
    now: datetime = _EPOCH
    seed: str = ""
    outside: Outside = nothing_outside
    budget: Budget = field(default_factory=Budget)
    drawn: int = 0

    def text(self, source: str) -> str:
        """The text with its expressions replaced; raises ExpressionError that names the expression."""
        if not is_template(source):
            return source
        template = _template(source)
        context = Context(_ENVIRONMENT, _Variables(self), None, template.blocks)
        pieces: list[str] = []
        try:
            for piece in template.root_render_func(context):
                self.budget.room(len(piece))
                if "\0" in piece:
                    raise ExpressionError("makes a NUL")
                pieces.append(piece)
        except ExpressionError as error:
            raise error.of(source) from None
        except (UndefinedError, RecursionError) as error:
            raise ExpressionError(str(error), source) from None
        return "".join(pieces)

    def nested(self, source: str) -> str:
        """A text within a rendering, from the same budget."""
        if self.budget.nesting == 0:
            raise ExpressionError("renders within itself too deeply")
        self.budget.nesting -= 1
        text = self.text(source)
        self.budget.nesting += 1
        return text

    def condition(self, source: str) -> bool:
        """Whether the rendered text counts as true."""
        return is_truthy_text(self.text(source))

    def document(self, value: Any) -> Any:
        """A document with all texts in it rendered, keys too."""
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {self.text(str(key)): self.document(each) for key, each in value.items()}
            case list() | tuple():
                return [self.document(each) for each in value]
        return plain(value)


class _Variables(dict[str, Any]):
    """The variables of a rendering as Jinja2 wants them, a dict, but read only when a name is used."""

    def __init__(self, rendering: Rendering) -> None:
        super().__init__({RENDERING: rendering})
        self._lazy = rendering.variables

    def __contains__(self, name: object) -> bool:
        return name == RENDERING or str(name).removeprefix(PREFIX) in self._lazy

    def __missing__(self, name: str) -> Any:
        return self._lazy[name.removeprefix(PREFIX)]
