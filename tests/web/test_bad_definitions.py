"""Definitions that are none, schemas that are hostile, and values that do not fit the schema of their definition."""

from typing import Any, Final

import pytest

from tests.web.target import Target

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEN_YEARS: Final = 315_360_000_000
NO_INTEGER: Final = "an integer is expected, not "
NO_SCHEMA: Final = "a JSON Schema is a mapping, true or false, not "
NO_STEP: Final = "a step is a key or the number of an element, not "


def below(least: int, value: int) -> str:
    return f"Input should be greater than or equal to {least}, not {value}"


def above(most: int, value: int) -> str:
    return f"Input should be less than or equal to {most}, not {value}"


# field, its value, the path of the mistake, its message
FIELDS: Final[list[tuple[str, Any, str, str]]] = [
    ("kind", "workflwo", "kind", "Input should be 'task', 'workflow' or 'flow', not \"workflwo\""),
    ("description", 1, "description", "text is expected, not 1"),
    *(
        case
        for field in ("requestedToStartTimeout", "inProgressTimeout", "timeout")
        for case in (
            (field, 0, field, below(1, 0)),
            (field, -1, field, below(1, -1)),
            (field, TEN_YEARS + 1, field, above(TEN_YEARS, TEN_YEARS + 1)),
            (field, "10s", field, NO_INTEGER + '"10s"'),
            (field, 1.0, field, NO_INTEGER + "1.0"),
            (field, True, field, NO_INTEGER + "true"),
        )
    ),
    ("allowedRetryCount", 0, "allowedRetryCount", below(1, 0)),
    ("allowedRetryCount", 1_000_001, "allowedRetryCount", above(1_000_000, 1_000_001)),
    ("retryDelay", -1, "retryDelay", below(0, -1)),
    ("retryBackoff", 2, "retryBackoff", "a mapping is expected, not 2"),
    ("retryBackoff", {"factor": 0.5}, "retryBackoff.factor", "Input should be greater than or equal to 1, not 0.5"),
    ("retryBackoff", {"factor": "2"}, "retryBackoff.factor", 'a number is expected, not "2"'),
    ("retryBackoff", {"factor": 1001}, "retryBackoff.factor", "Input should be less than or equal to 1000, not 1001"),
    ("retryBackoff", {"jitter": 1.1}, "retryBackoff.jitter", "Input should be less than or equal to 1, not 1.1"),
    ("retryBackoff", {"jitter": True}, "retryBackoff.jitter", "a number is expected, not true"),
    ("retryBackoff", {"delay": 1}, "retryBackoff.delay", "is not known here"),
    ("concurrencyLimit", -1, "concurrencyLimit", below(0, -1)),
    ("concurrencyLimit", 10**9 + 1, "concurrencyLimit", above(10**9, 10**9 + 1)),
    ("queueLimit", "none", "queueLimit", NO_INTEGER + '"none"'),
    ("concurrencyPath", "params.a", "concurrencyPath", 'a list is expected, not "params.a"'),
    ("concurrencyPath", [], "concurrencyPath", "List should have at least 1 item after validation, not 0, not []"),
    ("concurrencyPath", [1.5], "concurrencyPath.0", NO_STEP + "1.5"),
    ("concurrencyPath", ["params", True], "concurrencyPath.1", NO_STEP + "true"),
    ("concurrencyPath", [["a"]], "concurrencyPath.0", NO_STEP + '["a"]'),
    ("priority", 10**9 + 1, "priority", above(10**9, 10**9 + 1)),
    ("retention", -1, "retention", below(0, -1)),
    ("inProgresTimeout", 1, "inProgresTimeout", "is not known here"),
    *(
        (field, value, field, NO_SCHEMA + shown)
        for field in ("params", "result", "error")
        for value, shown in (([], "[]"), (1, "1"), ("string", '"string"'))
    ),
]

SCHEMAS: Final[list[tuple[str, Any, str]]] = [
    ("a reference over HTTP", {"$ref": "http://127.0.0.1:1/x"}, "schemas are not fetched"),
    ("a reference over HTTPS", {"properties": {"a": {"$ref": "https://example.org/x#/a"}}}, "schemas are not fetched"),
    ("a reference to a file", {"$ref": "file:///etc/passwd"}, "schemas are not fetched"),
    ("a reference to nothing", {"$ref": "#/$defs/a"}, "Pointer '/$defs/a' does not exist"),
    ("a reference that is none", {"$ref": "http://[x"}, ""),
    ("a dynamic reference to nothing", {"$dynamicRef": "#a"}, "Anchor 'a' does not exist"),
    ("an unknown kind of schemas", {"$schema": "http://example.org/mine"}, "Unknown meta-schema"),
    ("an unknown type", {"type": "objekt"}, '"objekt" is not valid'),
    ("properties that are a list", {"properties": ["a"]}, ""),
    ("a required that is a text", {"required": "a"}, ""),
    ("a negative length", {"minLength": -1}, "-1 is less than the minimum of 0"),
    ("a multiple of nothing", {"multipleOf": 0}, "0 is less than or equal to the minimum of 0"),
    ("a broken pattern", {"pattern": "("}, '"(" is not a "regex"'),
    ("a pattern that would fill the memory", {"pattern": "((a{1000}){1000}){1000}"}, 'is not a "regex"'),
    ("a broken pattern of names", {"patternProperties": {"[": {}}}, '"[" is not a "regex"'),
    ("a pattern of 100,000 open groups", {"pattern": "(" * 100_000}, 'is not a "regex"'),
]


def invalid(path: str, message: str) -> dict[str, Any]:
    return {
        "type": "invalid-params",
        "message": f"{path}: {message}",
        "data": {"errors": [{"path": path, "message": message}]},
    }


@pytest.mark.parametrize(("field", "value", "path", "message"), FIELDS)
async def test_a_field_that_is_wrong_is_refused_and_the_definition_stays(
    field: str, value: Any, path: str, message: str, target: Target
) -> None:
    call = {"method": "awf.definition/put", "params": {"id": "test/task", field: value}}
    assert await target.refusal(call) == (422, invalid(path, message))


@pytest.mark.parametrize("field", ["params", "result", "error"])
@pytest.mark.parametrize(("schema", "message"), [pytest.param(*case, id=name) for name, *case in SCHEMAS])
async def test_a_schema_that_is_none_is_refused(field: str, schema: Any, message: str, target: Target) -> None:
    status, error = await target.refusal(
        {"method": "awf.definition/put", "params": {"id": "test/schema", field: schema}}
    )
    assert (status, error["type"]) == (422, "invalid-params")
    assert [mistake["path"] for mistake in error["data"]["errors"]] == [field]
    assert message in error["message"]
    assert len(error["message"]) < 400


@pytest.mark.parametrize("method", ["get", "delete"])
@pytest.mark.parametrize("name", ["nobody", "' or 1=1", "a\n", "\ud7ff", "n" * 255])
async def test_a_definition_that_is_not_there_is_not_found(method: str, name: str, target: Target) -> None:
    refusal = await target.refusal({"method": f"awf.definition/{method}", "params": {"id": name}})
    assert refusal == (404, {"type": "definition-not-found", "message": f"There is no definition {name[:80]!r}"})


async def defined(target: Target, name: str, **fields: Any) -> None:
    reply = await target.rpc.call("awf.definition/put", id=name, **fields)
    assert reply.status == 200, reply.body


@pytest.mark.parametrize("schema", [
    {"$ref": "#"},
    {"allOf": [{"$ref": "#"}]},
    {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    {"properties": {"a": {"$ref": "#"}}},
])  # fmt: skip
async def test_a_schema_that_refers_to_itself_ends(schema: Any, target: Target) -> None:
    await defined(target, "test/circular", params=schema)
    async with target.unharmed():
        params = {"definition": "test/circular", "id": "ready", "params": {"a": {"a": {}}}}
        reply = await target.rpc.call("awf.task/create-and-execute", **params)
    assert reply.error["type"] == "task-already-exists"


@pytest.mark.parametrize("pattern", [
    "^(a+)+$", "^(a|aa)+$", "^([a-z]+)*$", r"^(?=(a+)+b)(a|aa)+\1$", r"^(a*)*\1b$", "^(.*)(.*)(.*)(.*)a$", "(x+x+)+y",
])  # fmt: skip
async def test_a_hostile_pattern_costs_no_time(pattern: str, target: Target) -> None:
    await defined(target, "test/pattern", params={"properties": {"a": {"type": "string", "pattern": pattern}}})
    params = {"definition": "test/pattern", "params": {"a": "a" * 10_000 + "!"}}
    status, error = await target.refusal({"method": "awf.task/create-and-execute", "params": params})
    assert (status, error["type"]) == (422, "invalid-params")
    assert error["data"]["errors"][0]["path"] == "params.a"
    assert len(error["message"]) < 400


async def test_many_mistakes_are_listed_up_to_twenty(target: Target) -> None:
    await defined(target, "test/mistakes", params={"additionalProperties": {"type": "integer"}})
    params = {"definition": "test/mistakes", "params": {f"p{n}": "x" for n in range(1000)}}
    status, error = await target.refusal({"method": "awf.task/create-and-execute", "params": params})
    assert (status, len(error["data"]["errors"])) == (422, 20)


@pytest.mark.parametrize("task", ["running", "stopping"])
async def test_an_end_that_does_not_fit_changes_nothing(task: str, target: Target) -> None:
    await defined(target, "test/ends", result={"type": "object"}, error={"type": "object"})
    started = await target.rpc.started("test/ends")
    call = {"id": started["id"], "execId": started["execId"]}
    for method, param in (("success", "result"), ("fail", "error")):
        refusal = await target.refusal({"method": f"awf.task/{method}", "params": call | {param: task}})
        assert refusal == (422, invalid(param, f'"{task}" is not of type "object"'))


async def test_a_full_queue_refuses_and_says_when_to_come_again(target: Target) -> None:
    await defined(target, "test/full", queueLimit=0)
    await target.rpc.call("awf.task/create-and-execute", definition="test/full")  # the first makes the queue's counter
    async with target.unharmed():
        reply = await target.rpc.call("awf.task/create-and-execute", definition="test/full")
    assert (reply.status, reply.error["type"]) == (429, "queue-limit-reached")
    assert reply.headers["retry-after"] == str(reply.error["data"]["retryAfter"])
