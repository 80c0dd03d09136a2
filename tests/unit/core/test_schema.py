"""JSON Schemas of definitions."""

import re
from typing import Any

import pytest

from taskrpc.core.schema import Schema, compile_schema
from taskrpc.errors import TaskRpcError

PERSON = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "default": 18}, "any": True},
}


def _refusal(schema: Any, value: object) -> TaskRpcError:
    with pytest.raises(TaskRpcError) as caught:
        Schema(schema).check(value, "params")
    assert caught.value.type == "invalid-params"
    return caught.value


def test_a_value_that_fits_comes_back_with_its_defaults() -> None:
    assert Schema(PERSON).check({"name": "a"}, "params") == {"name": "a", "age": 18}
    assert Schema(PERSON).check({"age": 3, "name": "a"}, "params") == {"age": 3, "name": "a"}


def test_the_value_that_was_given_stays_as_it_is() -> None:
    given = {"name": "a"}
    Schema(PERSON).check(given, "params")
    assert given == {"name": "a"}


@pytest.mark.parametrize("schema", [{}, {"properties": {"a": True}}, {"properties": {"a": {}}}])
def test_schemas_without_defaults_fill_nothing_in(schema: Any) -> None:
    assert Schema(schema).check({"b": 1}, "params") == {"b": 1}


def test_a_value_that_is_no_object_gets_no_defaults() -> None:
    assert Schema({"properties": {"a": {"default": 1}}}).check([1], "result") == [1]


@pytest.mark.parametrize("schema", [True, {}])
def test_a_schema_that_allows_everything(schema: Any) -> None:
    assert Schema(schema).check(None, "params") is None


def test_every_mistake_is_listed_with_its_path() -> None:
    refusal = _refusal(PERSON, {"age": "x"})
    assert refusal.data is not None
    errors: Any = refusal.data["errors"]
    assert sorted(error["path"] for error in errors) == ["params", "params.age"]
    assert refusal.message == f"{errors[0]['path']}: {errors[0]['message']}"
    assert any("name" in error["message"] for error in errors)


def test_a_mistake_within_a_list_has_its_place() -> None:
    refusal = _refusal({"items": {"properties": {"n": {"type": "integer"}}}}, [{"n": 1}, {"n": "x"}])
    assert refusal.data == {"errors": [{"path": "params.1.n", "message": '"x" is not of type "integer"'}]}


def test_twenty_mistakes_are_enough() -> None:
    refusal = _refusal({"items": {"type": "string"}}, list(range(100)))
    assert refusal.data is not None
    assert len(refusal.data["errors"]) == 20  # type: ignore[arg-type]


def test_a_long_message_is_shortened() -> None:
    assert len(_refusal({"type": "string"}, {"x" * 1000: 1}).message) < 400


def test_false_allows_nothing() -> None:
    assert "params" in _refusal(False, 1).message


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"type": "nothing"}, "nothing"),
        ({"$ref": "https://example.org/s.json"}, "schemas are not fetched, put what it names under"),
        ({"$ref": "file:///etc/passwd"}, "schemas are not fetched"),
        ({"$ref": "#/$defs/none"}, "none"),
        ({"pattern": "("}, "("),
        (7, "7"),
    ],
)
def test_what_is_no_schema_is_refused_with_a_sentence(document: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        Schema(document)
    assert "\n" not in str(caught.value)


def test_a_document_is_compiled_once() -> None:
    assert compile_schema({"type": "string", "$comment": "once"}) is compile_schema(
        {"type": "string", "$comment": "once"}
    )


def _doubling(times: int) -> dict[str, Any]:
    names = {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(times)}
    return {"$ref": "#/$defs/a0", "$defs": names | {f"a{times}": {"type": "string"}}}


@pytest.mark.parametrize(
    "document",
    [_doubling(20), {"$ref": "#/$defs/a0", "$defs": {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(1000)}}],
    ids=["doubling", "a long chain"],
)
def test_a_schema_that_means_too_much_work_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="refers to its parts too often"):
        Schema(document)


def test_a_schema_that_refers_to_itself_is_none_of_these() -> None:
    tree = {
        "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "tags": {"items": {"$ref": "#/$defs/t/anyOf/1"}}}
    }
    schema = Schema({**tree, "$defs": {"t": {"anyOf": [True, {"type": "string"}]}}})
    assert schema.check({"left": {"right": {"tags": ["a"]}}}, "params")
    with pytest.raises(TaskRpcError, match=r"params\.left\.tags\.0"):
        schema.check({"left": {"tags": [1]}}, "params")
