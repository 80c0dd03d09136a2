"""Reading a document while all of its mistakes are noted, each with its path."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import re2

from taskrpc.core.definition import shown
from taskrpc.core.flow.durations import parse_duration
from taskrpc.core.flow.expressions import rendering
from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.patterns import compiled

Path = tuple[str | int, ...]

_ID: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_LABEL: Final = re.compile(r"[a-z][\w.-]*")
# `inputs.my-name`, with nothing around it, is a name that was meant.
_DASHED: Final = re2.compile(r"\{\{-?\s*(inputs|outputs)\.([\w]+(?:-[A-Za-z]\w*)+)[\w.]*\s*-?\}\}")
LEVELS: Final = ("ERROR", "WARN", "INFO", "DEBUG", "TRACE")
CHOICES: Final[Mapping[str, Sequence[str]]] = {
    "level": LEVELS,
    "restart": ("RETRY_FAILED", "NEW_EXECUTION"),
    "exit": ("SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "CANCELED"),
}


class FlowMistake(NamedTuple):
    """Something wrong in a flow: `path` leads to it from the document's top, `message` says what."""

    path: Path
    message: str

    @property
    def place(self) -> str:
        """The path as text: `tasks[2].cases.true[0].type`."""
        text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return text.removeprefix(".") or "flow"

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class InvalidFlowError(Exception):
    """A flow that cannot be run; `mistakes` has all that is wrong."""

    def __init__(self, mistakes: Sequence[FlowMistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)


class Reader:
    """Checks values against kinds; notes what is wrong in `mistakes` and answers something usable."""

    def __init__(self) -> None:
        self.mistakes: list[FlowMistake] = []

    def wrong(self, path: Path, message: str) -> None:
        """Notes a mistake."""
        self.mistakes.append(FlowMistake(path, message))

    def mapping(self, value: Any, path: Path, known: Mapping[str, str] | None = None) -> dict[str, Any]:
        """A mapping without its nulls, its values checked against the kinds of `known`, and no other keys."""
        if not isinstance(value, Mapping):
            self.wrong(path, f"is a mapping, not {shown(value)}")
            return {}
        present = {key: each for key, each in value.items() if each is not None}
        if known is None:
            return present
        for key, kind in known.items():
            if kind.endswith("!") and key not in present:
                self.wrong((*path, key), "is required")
        for key in [*present]:
            if key not in known:
                self.wrong((*path, key), "unknown property")
                del present[key]
            elif not self.check(present[key], (*path, key), known[key].rstrip("!")):
                del present[key]
        return present

    def entries(self, value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
        """The elements of a list with their paths."""
        if not isinstance(value, list):
            self.wrong(path, f"is a list, not {shown(value)}")
            return
        for index, each in enumerate(value):
            yield (*path, index), each

    def check(self, value: Any, path: Path, kind: str) -> bool:
        """Whether a value is of a kind; notes what is wrong. Kinds that are read elsewhere are let through."""
        check = getattr(self, f"_is_{kind}", None)
        if kind in CHOICES:
            problem = self._choice(value, kind)
        elif check is not None:
            problem = check(value)
        else:
            return True
        if problem:
            self.wrong(path, problem)
        return not problem

    def templates(self, value: Any, path: Path) -> None:
        """Notes every text in a value with an expression that cannot be read."""
        match value:
            case str():
                try:
                    rendering.check(value)
                except ExpressionError as error:
                    self.wrong(path, str(error))
                if path[0] != "outputs" and (dashed := _DASHED.search(value)):  # an output may be optional
                    self.wrong(path, f"means a subtraction; write {dashed[1]}['{dashed[2]}'] for a name with a dash")
            case Mapping():
                for key, each in value.items():
                    self.templates(each, (*path, str(key)))
            case list():
                for index, each in enumerate(value):
                    self.templates(each, (*path, index))

    def duration(self, value: Any, path: Path) -> int:
        """Microseconds; 0 for what is no duration, which is noted."""
        try:
            return parse_duration(value if isinstance(value, str) else str(value))
        except ValueError as error:
            self.wrong(path, str(error))
            return 0

    def labels(self, value: Any, path: Path) -> dict[str, str]:
        """Labels, given as a mapping or as a list of `key` and `value`; names of the system are refused."""
        if isinstance(value, list):
            pairs = [
                self.mapping(each, at, {"key": "text!", "value": "scalar!"}) for at, each in self.entries(value, path)
            ]
            value = {pair.get("key", ""): pair.get("value") for pair in pairs}
        found = self.mapping(value, path)
        for key, each in found.items():
            if not _LABEL.fullmatch(key) or (key.startswith("system.") and key != "system.readOnly"):
                self.wrong((*path, key), "the name of a label starts with a lower-case letter, and not with system.")
            self.check(each, (*path, key), "scalar")
        return {key: each if isinstance(each, str) else str(each).lower() for key, each in found.items()}

    # -- kinds --------------------

    @staticmethod
    def _choice(value: Any, kind: str) -> str:
        if value in CHOICES[kind] or (isinstance(value, str) and rendering.is_template(value)):
            return ""
        return f"is one of {', '.join(CHOICES[kind])}, not {shown(value)}"

    @staticmethod
    def _is_id(value: Any) -> str:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and len(value) <= 256 and _ID.fullmatch(value):
            return ""
        return f"is made of letters, digits, _, - and ., starts with a letter or digit, not {shown(value)}"

    @staticmethod
    def _is_text(value: Any) -> str:
        return "" if isinstance(value, str) else f"is text, not {shown(value)}"

    @staticmethod
    def _is_scalar(value: Any) -> str:
        return "" if isinstance(value, str | int | float) else f"is text, a number or a boolean, not {shown(value)}"

    @staticmethod
    def _is_flag(value: Any) -> str:
        return "" if isinstance(value, bool) else f"is true or false, not {shown(value)}"

    @staticmethod
    def _is_boolean(value: Any) -> str:
        if isinstance(value, bool) or (isinstance(value, str) and (value in ("true", "false") or "{" in value)):
            return ""
        return f"is true, false or an expression, not {shown(value)}"

    @staticmethod
    def _is_integer(value: Any) -> str:
        if isinstance(value, str) and (re.fullmatch(r"\d{1,9}", value) or rendering.is_template(value)):
            return ""
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9:
            return ""
        return f"is a whole number from 0 on, or an expression, not {shown(value)}"

    def _is_count(self, value: Any) -> str:
        known = not self._is_integer(value) and not (isinstance(value, str) and rendering.is_template(value))
        return "" if known and int(value) > 0 else f"is a whole number from 1 on, not {shown(value)}"

    @staticmethod
    def _is_factor(value: Any) -> str:
        known = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1_000_000
        return "" if known else f"is a number above 0, not {shown(value)}"

    def _is_pattern(self, value: Any) -> str:
        if problem := self._is_text(value):
            return problem
        try:
            compiled(value)
        except ValueError as error:
            return f"{shown(value)} is not a regular expression: {error}"
        return ""

    @staticmethod
    def _is_map(value: Any) -> str:
        return "" if isinstance(value, Mapping) else f"is a mapping, not {shown(value)}"

    @staticmethod
    def _is_texts(value: Any) -> str:
        if isinstance(value, str) or (
            isinstance(value, list) and all(isinstance(each, str | int | float) for each in value)
        ):
            return ""
        return f"is a list of texts, not {shown(value)}"

    def _is_message(self, value: Any) -> str:
        return self._is_texts([value] if isinstance(value, int | float) else value)

    @staticmethod
    def _is_duration(value: Any) -> str:
        if isinstance(value, str) and rendering.is_template(value):
            return ""
        try:
            parse_duration(str(value))
        except ValueError as error:
            return str(error)
        return ""

    @staticmethod
    def _is_runner(value: Any) -> str:
        if (
            isinstance(value, Mapping)
            and str(value.get("type", "")).endswith("core.runner.Process")
            and len(value) == 1
        ):
            return ""
        return f"is the local process, core.runner.Process, not {shown(value)}"
