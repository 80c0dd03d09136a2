"""Declared inputs, read from the document."""

from collections.abc import Mapping
from typing import Any, Final

from taskrpc.core.definition import shown
from taskrpc.core.flow.model import Input
from taskrpc.core.flow.reading import Path, Reader

_COMMON: Final = {
    "id": "id!", "type": "text!", "description": "any", "required": "flag", "defaults": "any", "prefill": "any",
    "displayName": "any", "dependsOn": "any",
}  # fmt: skip
_SELECT: Final = {"values": "any", "expression": "text", "allowCustomValue": "flag", "autoSelectFirst": "flag"}
_BOUNDS: Final = {"min": "scalar", "max": "scalar"}
_TIMES: Final = {"after": "text", "before": "text"}
TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    "STRING": {"validator": "pattern"}, "EMAIL": {}, "URI": {}, "INT": _BOUNDS, "FLOAT": _BOUNDS, "BOOL": {},
    "BOOLEAN": {},
    "DATE": _TIMES, "TIME": _TIMES, "DATETIME": _TIMES, "DURATION": {"min": "duration", "max": "duration"},
    "SELECT": _SELECT, "ENUM": _SELECT, "MULTISELECT": {**_SELECT, "options": "any", "itemType": "text"},
    "ARRAY": {"itemType": "text!"}, "JSON": {}, "YAML": {},
    "FILE": {"allowedFileExtensions": "texts", "extension": "text"},
    "SECRET": {"validator": "pattern"}, "FORM": {"inputs": "any!"},
}  # fmt: skip

_NO_ITEMS: Final = ("ARRAY", "FORM", "SECRET", "SELECT", "ENUM", "MULTISELECT")


def read_inputs(reader: Reader, value: Any, path: Path) -> tuple[Input, ...]:
    """A list of inputs, those of forms among them with the form's id before theirs."""
    found: list[Input] = []
    for at, each in reader.entries(value, path):
        found += _read(reader, each, at, "")
    seen: set[str] = set()
    for declared in found:
        if declared.id in seen:
            reader.wrong(path, f"the input {declared.id} is there twice")
        seen.add(declared.id)
    return tuple(found)


def _read(reader: Reader, value: Any, path: Path, form: str) -> list[Input]:
    fields = reader.mapping(value, path)
    if "name" in fields and "id" not in fields:
        fields["id"] = fields.pop("name")
    type = fields.get("type", "STRING")
    rules = TYPES.get(type) if isinstance(type, str) else None
    if rules is None:
        reader.wrong((*path, "type"), f"is one of {', '.join(TYPES)}, not {shown(type)}")
        return []
    fields = reader.mapping({"type": type, **fields}, path, {**_COMMON, **rules})
    id = f"{form}{fields.get('id', '')}"
    if type == "FORM":
        return [
            each
            for at, child in reader.entries(fields.get("inputs", []), (*path, "inputs"))
            for each in _read(reader, child, at, id + ".")
        ]
    reader.templates(fields.get("defaults"), (*path, "defaults"))
    _check(reader, type, fields, path)
    details = {key: each for key, each in fields.items() if key in rules or key == "dependsOn"}
    if "dependsOn" in details:
        details["dependsOn"] = _depends_on(reader, details["dependsOn"], (*path, "dependsOn"))
    required = fields.get("required", True)
    return [Input(id, type, required, fields.get("defaults", fields.get("prefill") if not required else None), details)]


def _check(reader: Reader, type: str, fields: Mapping[str, Any], path: Path) -> None:
    """Tells what is wrong with an input of its type."""
    if (item_type := fields.get("itemType")) is not None and (item_type not in TYPES or item_type in _NO_ITEMS):
        but = ", ".join(_NO_ITEMS)
        reader.wrong((*path, "itemType"), f"is the type of an input, but none of {but}, not {shown(item_type)}")
    if type == "FILE" and "://" not in str(fields.get("defaults", "://")):
        reader.wrong((*path, "defaults"), f"is the URI of a stored file, not {shown(fields['defaults'])}")
    if type in ("SELECT", "ENUM", "MULTISELECT") and not any(
        key in fields for key in ("values", "options", "expression")
    ):
        reader.wrong(path, "needs values or an expression")


def _depends_on(reader: Reader, value: Any, path: Path) -> dict[str, Any]:
    fields = reader.mapping(value, path, {"inputs": "texts", "condition": "text"})
    reader.templates(fields.get("condition"), (*path, "condition"))
    return fields
