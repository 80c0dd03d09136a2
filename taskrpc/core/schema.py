"""JSON Schemas of definitions: checked values, filled-in defaults, and errors with the path of each mistake."""

from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Final, NoReturn
from urllib.parse import unquote

import jsonschema_rs
import orjson

from taskrpc.errors import MOST_MISTAKES, Mistake, invalid_params_of

_MOST_PARTS: Final = 5000
_DEEPEST_REFERENCES: Final = 50


def _refuse_to_fetch(uri: str) -> NoReturn:
    raise ValueError(f"$ref to {uri}: schemas are not fetched, put what it names under $defs")


class _Expansion:
    """How large a schema becomes when its references are replaced by what they name.

    A check may visit all of that, and the explanation of a failed one keeps it: twenty definitions that each name the
    next one twice are a million parts. A part that refers to itself is counted once; values bound how deep it goes.
    """

    def __init__(self, document: object) -> None:
        self._document = document
        self._sizes: dict[str, int] = {}

    def size(self) -> int:
        """Mappings in the written-out schema; counting ends soon after the limit."""
        return self._size_of(self._document, frozenset())

    def _size_of(self, part: object, within: frozenset[str]) -> int:
        if isinstance(part, list):
            return sum(self._size_of(item, within) for item in part)
        if not isinstance(part, Mapping):
            return 1
        size = 1
        for key, item in part.items():
            if key in ("$ref", "$dynamicRef") and isinstance(item, str):
                size += self._size_of_reference(item, within)
            elif key not in ("$defs", "definitions"):
                size += self._size_of(item, within)
        return min(size, _MOST_PARTS + 1)

    def _size_of_reference(self, reference: str, within: frozenset[str]) -> int:
        if reference in within:
            return 1
        if len(within) > _DEEPEST_REFERENCES:
            return _MOST_PARTS + 1
        if reference not in self._sizes:
            named = self._named(reference)
            self._sizes[reference] = self._size_of(named, within | {reference})
        return self._sizes[reference]

    def _named(self, reference: str) -> object:
        part: object = self._document
        for step in reference.removeprefix("#").split("/")[1:]:
            key = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(part, list) and key.isdigit() and int(key) < len(part):
                part = part[int(key)]
            else:
                part = part.get(key) if isinstance(part, Mapping) else None
        return part


class Schema:
    """One compiled JSON Schema. `check` fills in the defaults of top-level properties, then validates."""

    def __init__(self, document: Any) -> None:
        """Raises ValueError with a sentence when `document` is no JSON Schema, refers to other documents, or means
        too much work by referring to the same parts again and again."""
        if not 0 < _Expansion(document).size() <= _MOST_PARTS:
            raise ValueError(f"it refers to its parts too often: written out it would have over {_MOST_PARTS} of them")
        try:
            self._validator: Any = jsonschema_rs.validator_for(document, retriever=_refuse_to_fetch)
        except (
            jsonschema_rs.ValidationError,
            jsonschema_rs.ReferencingError,
            ValueError,
            TypeError,
        ) as error:
            raise ValueError(_shortened(str(getattr(error, "message", error)).splitlines()[0])) from None
        properties = document.get("properties") if isinstance(document, Mapping) else None
        self._defaults: Final[dict[str, object]] = {
            name: spec["default"]
            for name, spec in (properties if isinstance(properties, Mapping) else {}).items()
            if isinstance(spec, Mapping) and "default" in spec
        }

    def check(self, value: object, name: str) -> object:
        """The value with defaults filled in; raises `invalid-params` that lists every mistake below `name`."""
        if isinstance(value, dict) and self._defaults:
            value = value | {key: default for key, default in self._defaults.items() if key not in value}
        if self._validator.is_valid(value):
            return value
        raise invalid_params_of(
            [
                Mistake(".".join([name, *(str(part) for part in error.instance_path)]), _shortened(error.message))
                for error in islice(self._validator.iter_errors(value), MOST_MISTAKES)
            ]
        )


def _shortened(message: str) -> str:
    return message if len(message) <= 300 else message[:200] + " … " + message[-80:]


@lru_cache(maxsize=256)
def _compiled(document: bytes) -> Schema:
    return Schema(orjson.loads(document))


def compile_schema(document: object) -> Schema:
    """The compiled schema of a document; compiled once, however often its definition is read."""
    return _compiled(orjson.dumps(document))
