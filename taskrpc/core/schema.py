"""JSON Schemas of definitions: checked values, filled-in defaults, and errors with the path of each mistake."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NoReturn

import jsonschema_rs
import orjson

from taskrpc.errors import TaskRpcError

_MOST_ERRORS: Final = 20


def _refuse_to_fetch(uri: str) -> NoReturn:
    raise ValueError(f"$ref to {uri}: schemas are not fetched, put what it names under $defs")


class Schema:
    """One compiled JSON Schema. `check` fills in the defaults of top-level properties, then validates."""

    def __init__(self, document: Any) -> None:
        """Raises ValueError with a sentence when `document` is no JSON Schema or refers to other documents."""
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
        errors = []
        for error in self._validator.iter_errors(value):
            path = ".".join([name, *(str(part) for part in error.instance_path)])
            errors.append({"path": path, "message": _shortened(error.message)})
            if len(errors) == _MOST_ERRORS:
                break
        first = errors[0]
        raise TaskRpcError("invalid-params", f"{first['path']}: {first['message']}", {"errors": errors})


def _shortened(message: str) -> str:
    return message if len(message) <= 300 else message[:200] + " … " + message[-80:]


@lru_cache(maxsize=512)
def _compiled(document: bytes) -> Schema:
    return Schema(orjson.loads(document))


def compile_schema(document: object) -> Schema:
    """The compiled schema of a document; compiled once, however often its definition is read."""
    return _compiled(orjson.dumps(document))
