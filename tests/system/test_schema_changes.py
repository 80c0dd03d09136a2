"""Somebody changes the tables while a server works on them, as a newer one does when servers are renewed one by one."""

from typing import Any, Final

from tests.databases import connected
from tests.system.conftest import Serve
from tests.system.waiting import until
from tests.system.wire import Wire, connection

_LEAF, _LIMITED, _STARTED, _FLOW = "test/leaf", "test/limited", "test/started", "test/flow"
_COURSE: Final = "{id: course, namespace: test, tasks: [{id: leaf, type: test/leaf}]}"
_AT_ONCE: Final = {"duration": {"seconds": 0}}
_IS_PATIENT: Final = {"get-in": ["resourceType"], "comparator": "eq", "value": "Patient"}
# Tables that have partitions hand the column down to them.
_WIDEN: Final = """
do $$
declare
    name text;
begin
    for name in
        select c.oid::regclass from pg_class c
        where c.relnamespace = 'taskrpc'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    loop
        execute format('alter table %s add column of_a_later_version text', name);
    end loop;
end $$
"""


async def _done(wire: Wire, method: str, **params: Any) -> Any:
    reply = await wire.call(f"awf.{method}", **params)
    assert reply.status == 200, reply.body
    return reply.result


async def _begin_everything(wire: Wire, stage: str) -> list[str]:
    """Has everything begun that is done in transactions of several statements; answers ids of what will end."""
    rule = {"select-by": [_IS_PATIENT], "task-request": {"definition": _STARTED}}
    await _done(wire, "subscription/put", id=stage, **rule)
    await _done(wire, "task/create-and-execute", id=f"{stage}-limited", definition=_LIMITED)
    await _done(wire, "workflow/create-and-execute", id=f"{stage}-decided", definition=_FLOW)
    await _done(wire, "workflow/create-and-execute", id=f"{stage}-flow", definition="test.course")
    await _done(wire, "task/create-and-execute", id=f"{stage}-wait", definition="awf.task/wait", params=_AT_ONCE)
    await _done(wire, "event/publish", resource={"resourceType": "Patient"})
    return [f"{stage}-{name}" for name in ("limited", "decided", "flow", "wait")]


async def _end_everything(wire: Wire) -> list[Any]:
    """Ends whatever is handed out; answers its resources."""
    polled = await _done(
        wire, "task/poll", taskDefinitions=[_LEAF, _LIMITED, _STARTED], workflowDefinitions=[_FLOW], maxBatchSize=10
    )
    for task in polled["resources"]:
        execution = {"id": task["id"], "execId": task["execId"]}
        result = {"action": "complete-workflow"} if "workflow-definition" in task else {}
        await _done(wire, "task/start", **execution)
        await _done(wire, "task/notify", notification="heartbeat", **execution)
        await _done(wire, "task/success", result=result, **execution)
    return list(polled["resources"])


async def _ended(wire: Wire, ids: list[str]) -> set[str]:
    """Works until all of these have ended, and something was started by the event; answers their outcomes."""
    seen: set[str] = set()

    async def all_done() -> list[Any] | None:
        seen.update(task["definition"] for task in await _end_everything(wire))
        paths = [f"/AidboxWorkflow/{id}" if id.endswith(("decided", "flow")) else f"/AidboxTask/{id}" for id in ids]
        there = [(await wire.get(path)).body for path in paths]
        return there if _STARTED in seen and all(each["status"] == "done" for each in there) else None

    return {each["outcome"] for each in await until(all_done)}


async def test_a_server_goes_on_when_a_newer_one_has_changed_the_tables(database_url: str, serve: Serve) -> None:
    server = await serve(database_url)
    async with connection(server.url) as wire, connected(database_url) as database:
        await _done(wire, "definition/put", id=_LIMITED, concurrencyLimit=1, queueLimit=10)
        await _done(wire, "flow/put", source=_COURSE)
        for stage in ("before", "after"):
            assert await _ended(wire, await _begin_everything(wire, stage)) == {"succeeded"}
            await _done(wire, "subscription/delete", id=stage)
            if stage == "before":
                await database.execute(_WIDEN)
