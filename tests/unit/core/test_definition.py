"""Definitions: their fields, defaults, and the gates that they lead through."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from taskrpc.core.definition import Definition, default_definition, invalid, parse_definition, shown
from taskrpc.errors import TaskRpcError

TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
)


def _definition(name: str = "d", **fields: Any) -> Definition:
    return Definition(name, 1, parse_definition(fields))


def _errors(**fields: Any) -> dict[str, str]:
    with pytest.raises(TaskRpcError) as caught:
        parse_definition(fields)
    assert caught.value.type == "invalid-params"
    assert caught.value.data is not None
    errors: Any = caught.value.data["errors"]
    assert caught.value.message == f"{errors[0]['path']}: {errors[0]['message']}"
    return {error["path"]: error["message"] for error in errors}


def test_what_nobody_defined_has_the_defaults_of_the_protocol() -> None:
    definition = default_definition("anything")
    spec = definition.spec
    assert (definition.name, definition.rev, spec.kind) == ("anything", 0, "task")
    assert (spec.requestedToStartTimeout, spec.inProgressTimeout) == (10_000, 120_000)
    assert (spec.allowedRetryCount, spec.retryDelay) == (2, 10_000)
    assert (spec.retryBackoff.factor, spec.retryBackoff.max, spec.retryBackoff.jitter) == (1, None, 0)
    assert (spec.timeout, spec.concurrencyLimit, spec.queueLimit, spec.retention, spec.priority) == (*[None] * 4, 0)
    assert (definition.params_schema, definition.result_schema, definition.error_schema) == (None, None, None)
    assert (definition.gate(None), definition.queue_gate) == (None, None)


def test_a_field_that_is_null_is_absent() -> None:
    assert parse_definition({"timeout": None, "priority": None, "params": None}) == default_definition("d").spec


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"allowedRetries": 1}, "allowedRetries", "is not known here"),
        ({"allowedRetryCount": 0}, "allowedRetryCount", "Input should be greater than or equal to 1, not 0"),
        ({"retryDelay": "10"}, "retryDelay", 'an integer is expected, not "10"'),
        ({"retryDelay": True}, "retryDelay", "an integer is expected, not true"),
        ({"kind": "flow"}, "kind", 'not "flow"'),
        ({"retryBackoff": {"factor": 0.5}}, "retryBackoff.factor", "greater than or equal to 1, not 0.5"),
        ({"retryBackoff": {"step": 1}}, "retryBackoff.step", "is not known here"),
        ({"retryBackoff": 2}, "retryBackoff", "a mapping is expected, not 2"),
        ({"concurrencyPath": []}, "concurrencyPath", "at least 1 item"),
        ({"concurrencyPath": [1.5]}, "concurrencyPath.0", "a step is a key or the number of an element, not 1.5"),
        ({"params": [1]}, "params", "a JSON Schema is a mapping, true or false, not [1]"),
        ({"result": {"type": "nothing"}}, "result", "nothing"),
        ({"error": {"$ref": "http://a/b"}}, "error", "schemas are not fetched"),
    ],
)
def test_a_field_that_is_wrong_is_named_with_its_value(fields: Any, path: str, message: str) -> None:
    errors = _errors(**fields)
    assert list(errors) == [path]
    assert message in errors[path]


def test_all_mistakes_are_listed() -> None:
    assert set(_errors(timeout=0, priority="x", unknown=1)) == {"timeout", "priority", "unknown"}


class Required(BaseModel):
    name: str


def test_a_missing_field_is_said_to_be_required() -> None:
    with pytest.raises(ValidationError) as caught:
        Required.model_validate({})
    assert invalid(caught.value).data == {"errors": [{"path": "name", "message": "is required"}]}
    with pytest.raises(ValidationError) as caught:
        Required.model_validate(7)
    assert invalid(caught.value).data == {"errors": [{"path": "params", "message": "a mapping is expected, not 7"}]}


def test_schemas_are_compiled() -> None:
    definition = _definition(params={"type": "object"}, result=True, error={"type": "string"})
    assert definition.params_schema is not None
    assert definition.params_schema.check({}, "params") == {}
    assert definition.result_schema is not None
    assert definition.error_schema is not None
    with pytest.raises(TaskRpcError, match="error: 1 is not of type"):
        definition.error_schema.check(1, "error")


TASK = {"id": "t1", "params": {"a": {"b": [10, {"c": "x"}]}, "7": "seven"}, "requester": None}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["id"], '"t1"'), (["params", "a", "b", 0], "10"), (["params", "a", "b", 1, "c"], '"x"'),
        (["params", 7], '"seven"'), (["params", "a"], '{"b":[10,{"c":"x"}]}'),
        (["params", "a", "b", 2], ""), (["params", "a", "b", -1], ""), (["params", "a", "b", "0"], ""),
        (["params", "none"], ""), (["id", "x"], ""), (["requester", "id"], ""),
    ],
)  # fmt: skip
def test_the_value_at_a_path(path: list[str | int], value: str) -> None:
    assert _definition(concurrencyPath=path).gate_value(TASK) == value


def test_without_a_path_there_is_no_value() -> None:
    assert _definition(concurrencyLimit=1).gate_value(TASK) is None


@given(JSON, JSON)
def test_equal_values_have_equal_gates_and_others_have_not(one: Any, other: Any) -> None:
    definition = _definition(concurrencyLimit=1, concurrencyPath=["params", "v"])
    values = [definition.gate_value({"params": {"v": value}}) for value in (one, other)]
    texts = [orjson.dumps(value, option=orjson.OPT_SORT_KEYS) for value in (one, other)]
    assert (values[0] == values[1]) == (texts[0] == texts[1])
    assert all(len(value or "") <= 200 for value in values)


def test_names_and_values_are_not_confused_in_a_key() -> None:
    keys = {
        _definition(name, concurrencyLimit=1).gate(value)
        for name, value in [("a", "b/c"), ("a/b", "c"), ("a/b/c", None)]
    }
    assert len(keys) == 3
    assert _definition("a", concurrencyLimit=1).gate("v") == "concurrency/1/a/v"
    assert _definition("a", queueLimit=0).queue_gate == "queue/a"


def test_a_long_value_is_shown_shortened() -> None:
    assert shown({"a": 1}) == '{"a":1}'
    assert len(shown("x" * 1000)) <= 80
    assert shown(object()).startswith('"<object')


def test_a_definition_has_a_largest_size() -> None:
    with pytest.raises(TaskRpcError, match="A definition has at most 262144 bytes"):
        parse_definition({"description": "x" * 2**18})


def test_decisions_are_tried_more_often_and_sooner_unless_their_definition_says_otherwise() -> None:
    spec = parse_definition({"kind": "workflow"})
    assert (spec.allowedRetryCount, spec.retryDelay) == (10, 1000)
    spec = parse_definition({"kind": "workflow", "allowedRetryCount": 3, "retryDelay": None})
    assert (spec.allowedRetryCount, spec.retryDelay) == (3, 1000)
    assert parse_definition({"kind": "task"}).allowedRetryCount == 2


def test_the_defaults_of_tasks_and_of_workflows_are_revisions_of_their_own() -> None:
    task, workflow = default_definition("a"), default_definition("a", "workflow")
    assert (task.name, task.rev, task.spec.kind, task.spec.retryDelay) == ("a", 0, "task", 10_000)
    assert (workflow.name, workflow.rev, workflow.spec.kind, workflow.spec.retryDelay) == ("a", -1, "workflow", 1_000)


@pytest.mark.parametrize("limit", [{"concurrencyLimit": 0}, {"queueLimit": 1}, {"concurrencyPath": ["label"]}])
def test_a_workflow_has_no_limits_of_its_own(limit: dict[str, object]) -> None:
    (field,) = limit
    message = "a workflow has no limit; give it to the definitions of the tasks that it starts"
    assert _errors(kind="workflow", **limit) == {field: message}
