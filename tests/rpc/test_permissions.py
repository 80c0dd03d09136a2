"""Every method, for every role, for keys that are bound to definitions and others: who may, and about what."""

from typing import Any, Final

import pytest

from taskrpc.core.access import ROLES, Access, Role
from taskrpc.rpc.access import RULES
from taskrpc.rpc.batch import Entry, carry_out, carry_out_one
from taskrpc.rpc.registry import methods
from taskrpc.rpc.services import Context
from tests.engine.headless import Headless, headless

MINE: Final = "test/mine"
MY_FLOW: Final = "test.mine"
OTHER: Final = "test/other"

# Besides admins these roles may; and a key that is bound to MINE may about MINE only ("checked"), about whatever it has
# the execId of ("execution"), sees MINE only ("narrowed"), or may not at all ("never").
EXPECTED: Final[dict[str, tuple[set[str], str]]] = {
    "awf.task/poll": ({"executor"}, "checked"),
    "awf.task/long-poll": ({"executor"}, "checked"),
    "awf.task/start": ({"executor"}, "execution"),
    "awf.task/notify": ({"executor"}, "execution"),
    "awf.task/success": ({"executor"}, "execution"),
    "awf.task/fail": ({"executor"}, "execution"),
    "awf.task/release": ({"executor"}, "execution"),
    "awf.task/feedback": ({"executor"}, "execution"),
    "awf.task/create-and-execute": ({"user"}, "checked"),
    "awf.task/status": ({"executor", "user"}, "checked"),
    "awf.task/cancel": ({"user"}, "checked"),
    "awf.task/stop": ({"user"}, "checked"),
    "awf.task/retry": ({"user"}, "checked"),
    "awf.task/result": ({"user"}, "checked"),
    "awf.task/list": ({"user"}, "checked"),
    "awf.workflow/create-and-execute": ({"user"}, "checked"),
    "awf.workflow/status": ({"executor", "user"}, "checked"),
    "awf.workflow/kill": ({"user"}, "checked"),
    "awf.workflow/resume": ({"user"}, "checked"),
    "awf.workflow/restart": ({"user"}, "checked"),
    "awf.workflow/replay": ({"user"}, "checked"),
    "awf.workflow/cancel": ({"user"}, "checked"),
    "awf.workflow/result": ({"user"}, "checked"),
    "awf.workflow/list": ({"user"}, "checked"),
    "awf.definition/put": (set(), "checked"),
    "awf.definition/get": ({"executor", "user"}, "checked"),
    "awf.definition/list": ({"executor", "user"}, "narrowed"),
    "awf.definition/delete": (set(), "checked"),
    "awf.flow/put": (set(), "never"),
    "awf.flow/validate": ({"executor", "user"}, "narrowed"),
    "awf.flow/get": ({"executor", "user"}, "checked"),
    "awf.flow/list": ({"executor", "user"}, "narrowed"),
    "awf.flow/delete": (set(), "checked"),
    "awf.event/publish": ({"user"}, "never"),
    "awf.scheduler/put": (set(), "never"),
    "awf.scheduler/get": ({"user"}, "never"),
    "awf.scheduler/list": ({"user"}, "never"),
    "awf.scheduler/delete": (set(), "never"),
    "awf.scheduler/run": (set(), "never"),
    "awf.subscription/put": (set(), "never"),
    "awf.subscription/get": ({"user"}, "never"),
    "awf.subscription/list": ({"user"}, "never"),
    "awf.subscription/delete": (set(), "never"),
    "awf.kv/put": ({"user"}, "never"),
    "awf.kv/get": ({"executor", "user"}, "never"),
    "awf.kv/list": ({"executor", "user"}, "never"),
    "awf.kv/delete": ({"user"}, "never"),
    "awf.secret/put": (set(), "never"),
    "awf.secret/get": (set(), "never"),
    "awf.secret/list": (set(), "never"),
    "awf.secret/delete": (set(), "never"),
    "awf.namespace-file/put": (set(), "never"),
    "awf.namespace-file/get": ({"executor", "user"}, "never"),
    "awf.namespace-file/list": ({"executor", "user"}, "never"),
    "awf.namespace-file/delete": (set(), "never"),
    "awf.template/put": (set(), "never"),
    "awf.template/get": ({"user"}, "never"),
    "awf.template/list": ({"user"}, "never"),
    "awf.template/delete": (set(), "never"),
}


_OF_NAMESPACES: Final[dict[str, dict[str, Any]]] = {
    "kv": {"key": "k", "value": 1},
    "secret": {"key": "k", "value": "s"},
    "namespace-file": {"path": "f", "content": "x"},
    "template": {"id": "t", "tasks": [{"id": "t", "type": "test/task"}]},
}
_FURTHER: Final[dict[str, dict[str, Any]]] = {"notify": {"notification": "heartbeat"}, "feedback": {"feedback": 1}}


def _params(method: str, definition: str) -> dict[str, Any]:
    """Params with which a call is about a definition; what it is about has an id that ends with the definition's."""
    room, _, name = method.removeprefix("awf.").partition("/")
    if room in _OF_NAMESPACES:
        return _of_namespace(room, name)
    rule = {"definition": definition}
    match name:
        case "poll":
            return {"taskDefinitions": [definition]}
        case "long-poll":
            return {"taskDefinitions": [definition], "timeout": 0}
        case "start" | "notify" | "success" | "fail" | "release" | "feedback":
            return {"id": _id("task", definition), "execId": "none", **_FURTHER.get(name, {})}
        case "create-and-execute":
            return {"definition": definition}
        case "list" if room in ("task", "workflow"):
            return {"filter": {"includeDefinitions": [definition]}}
        case "list":
            return {}
        case "publish":
            return {"resource": {"resourceType": "Patient", "id": "p1"}}
        case "put" if room == "scheduler":
            return {"id": "rule", "schedule": "0 0 1 1 *", "task-request": rule}
        case "put" if room == "subscription":
            select = [{"get-in": ["id"], "comparator": "eq", "value": "p1"}]
            return {"id": "rule", "select-by": select, "task-request": rule}
    if room == "definition":
        return {"id": definition}
    if room == "flow":
        return _flow_params(name, definition)
    return {"id": _id(room, definition), **({"timeout": 0} if name == "result" else {})}


def _of_namespace(room: str, name: str) -> dict[str, Any]:
    """Params of a method about what a namespace has: everything to put it, what names it for the others."""
    params = _OF_NAMESPACES[room]
    if name != "put":
        params = {} if name == "list" else dict(list(params.items())[:1])
    return {"namespace": "test", **params}


def _flow_params(name: str, definition: str) -> dict[str, Any]:
    flow = {"namespace": "test", "id": definition.rpartition("/")[2]}
    task = {"id": "say", "type": "core.log.Log", "message": "x"}
    return {**flow, "tasks": [task]} if name in ("put", "validate") else flow


def _id(room: str, definition: str) -> str:
    return f"{room}-of-{definition.rpartition('/')[2]}"


@pytest.fixture
async def server(database_url: str) -> Any:
    """A server that has a task and a workflow of each definition."""
    async with headless(database_url) as server:
        for definition in (MINE, OTHER):
            await server.create(definition, id=_id("task", definition))
            workflow = {"definition": definition + "-flow", "id": _id("workflow", definition)}
            await server.call("awf.workflow/create-and-execute", **workflow)
        yield server


async def _is_forbidden(server: Headless, access: Access, method: str, definition: str) -> bool:
    flow = method.startswith("awf.workflow/")
    params = _params(method, definition)
    if flow and "definition" in params:
        params["definition"] += "-flow"
    if flow and "filter" in params:
        params["filter"] = {"includeDefinitions": [definition + "-flow"]}
    answer = await carry_out_one(server.parts.services, Context(access=access), Entry(method, params))
    type = getattr(answer, "type", None)
    assert type not in ("invalid-params", "internal-error", "unauthorized"), (method, answer)
    return bool(type == "forbidden")


def test_the_table_has_every_method() -> None:
    assert EXPECTED.keys() == RULES.keys() == methods().keys()


@pytest.mark.parametrize("role", ROLES)
async def test_each_method_is_for_its_roles_and_for_the_definitions_of_the_key(server: Headless, role: Role) -> None:
    bound = frozenset({MINE, f"{MINE}-flow", MY_FLOW})
    for method, (roles, scope) in EXPECTED.items():
        is_for_role = role == "admin" or role in roles
        for definition in (MINE, OTHER):
            free = await _is_forbidden(server, Access("k", role), method, definition)
            assert free == (not is_for_role), (method, role)
            allowed = {"checked": definition == MINE, "execution": True, "narrowed": True, "never": False}[scope]
            limited = await _is_forbidden(server, Access("k", role, bound), method, definition)
            assert limited == (not is_for_role or not allowed), (method, role, definition, scope)


@pytest.mark.parametrize("method", ["success", "fail"])
async def test_an_end_polls_only_for_what_the_key_is_for(server: Headless, method: str) -> None:
    (task,) = await server.poll(MINE, start=True)
    call = {"id": task["id"], "execId": task["execId"], "poll": {"taskDefinitions": [OTHER]}}
    context = Context(access=Access("k", "executor", frozenset({MINE})))
    answer: Any = await carry_out_one(server.parts.services, context, Entry(f"awf.task/{method}", call))
    assert answer.type == "forbidden"
    assert (await server.status(task))["status"] == "in-progress"
    call["poll"] = {"taskDefinitions": [MINE]}
    answer = await carry_out_one(server.parts.services, context, Entry(f"awf.task/{method}", call))
    assert answer["resource"]["id"] == task["id"]


async def test_lists_show_only_what_the_key_is_for(server: Headless) -> None:
    await server.call("awf.definition/put", id=MINE)
    await server.call("awf.definition/put", id=OTHER)
    context = Context(access=Access("k", "user", frozenset({MINE})))
    for method, shown in {"task/list": {"task-of-mine"}, "workflow/list": set(), "definition/list": {MINE}}.items():
        answer: Any = await carry_out_one(server.parts.services, context, Entry(f"awf.{method}", {}))
        assert {resource["id"] for resource in answer["resources"]} == shown


async def test_a_key_for_no_definition_sees_nothing(server: Headless) -> None:
    context = Context(access=Access("k", "user", frozenset()))
    answer: Any = await carry_out_one(server.parts.services, context, Entry("awf.task/list", {}))
    assert answer == {"resources": [], "total": 0}


async def test_each_element_of_a_batch_is_judged(server: Headless) -> None:
    context = Context(access=Access("k", "user", frozenset({MINE})))
    names = [MINE, OTHER, MINE, OTHER]
    entries = [Entry("awf.task/create-and-execute", {"definition": name}) for name in names]
    answers = await carry_out(
        server.parts.services, context, [*entries, Entry("awf.task/poll", {"taskDefinitions": [MINE]})]
    )
    types = [getattr(answer, "type", None) for answer in answers]
    assert types == [None, "forbidden", None, "forbidden", "forbidden"]


async def test_an_id_that_is_taken_shows_what_has_it_only_to_keys_that_are_for_it(server: Headless) -> None:
    context = Context(access=Access("k", "user", frozenset({MINE, f"{MINE}-flow"})))
    for room, suffix in (("task", ""), ("workflow", "-flow")):
        for name, is_shown in (("mine", True), ("other", False)):
            call = {"definition": MINE + suffix, "id": f"{room}-of-{name}"}
            entry = Entry(f"awf.{room}/create-and-execute", call)
            answer: Any = await carry_out_one(server.parts.services, context, entry)
            assert answer.type == f"{room}-already-exists"
            assert (answer.data is not None) == is_shown
            assert OTHER not in str(answer)


async def test_a_workflow_does_not_give_away_executions_that_a_key_is_not_for(server: Headless) -> None:
    """Whoever has an execId may end the execution."""
    (decision,) = (await server.call("awf.task/poll", workflowDefinitions=[f"{MINE}-flow"], start=True))["resources"]
    names = (MINE, "test/third")
    actions = [
        {"action": "awf.workflow.action/schedule-task", "task-request": {"definition": name, "params": {"n": 1}}}
        for name in names
    ]
    await server.of("success", decision, result=actions)
    started = await server.poll(*names, start=True, maxBatchSize=10)
    assert sorted(task["definition"] for task in started) == [MINE, MINE, "test/third"]
    status = Entry("awf.workflow/status", {"id": "workflow-of-mine", "include-activities?": True})
    for definitions, shown in ((None, set(names)), (frozenset({MINE, f"{MINE}-flow"}), {MINE})):
        context = Context(access=Access("k", "executor", definitions))
        answer: Any = await carry_out_one(server.parts.services, context, status)
        assert {each["definition"] for each in answer["activities"]} == set(names)
        assert {each["definition"] for each in answer["activities"] if "execId" in each} == shown


async def test_the_id_of_a_call_shows_nothing_of_a_task_whose_execution_is_not_known(server: Headless) -> None:
    (task,) = await server.poll(OTHER, start=True)
    await server.of("success", task, result="secret", callId="guessed")
    context = Context(access=Access("k", "executor", frozenset({MINE})))
    call = {"id": task["id"], "execId": "none", "callId": "guessed"}
    answer: Any = await carry_out_one(server.parts.services, context, Entry("awf.task/success", call))
    assert answer.type == "stale-exec-id"
