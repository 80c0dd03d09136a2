"""Two servers, 40 executors that die at any moment, 500 workflows of five steps: every step once, every end right."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, Final

import asyncpg

from tests.databases import connected
from tests.system.conftest import Serve
from tests.system.dying_executors import FLOW, POISONED, STEP, STEPS, run_dying_executors
from tests.system.waiting import until
from tests.system.wire import Wire, connection

WORKFLOWS: Final = 500
EXECUTORS: Final = 40
SECONDS: Final = 60
KINDS: Final = ("serial", "serial", "serial", "parallel", "poisoned")
_TIMES: Final = {"requestedToStartTimeout": 1000, "inProgressTimeout": 1000, "retryDelay": 20}
_BATCH: Final = 100


async def test_each_step_of_500_workflows_is_done_once_and_no_decisions_overlap(
    database_url: str, serve: Serve
) -> None:
    servers = await asyncio.gather(serve(database_url), serve(database_url))
    urls, seen = [server.url for server in servers], Counter[str]()
    async with asyncio.timeout(SECONDS), connection(urls[0]) as wire, connected(database_url) as database:
        await _define(wire)
        async with asyncio.TaskGroup() as group:
            fleet = group.create_task(run_dying_executors(urls, EXECUTORS, seen))
            await _create(wire)
            await until(lambda: _all_done(database), SECONDS)
            fleet.cancel()
        rows = await database.fetch("select * from taskrpc.task")
        log = await database.fetch("select * from taskrpc.log order by seq")
    assert seen["deaths"] > 20
    belonging = _grouped(rows, lambda row: row["parent_id"])
    parent_of = {row["id"]: row["parent_id"] for row in rows}
    history = _grouped(log, lambda entry: parent_of[entry["task_id"]])
    workflows = [row for row in rows if row["kind"] == "workflow"]
    assert len(workflows) == WORKFLOWS
    for workflow in workflows:
        _check_end(workflow, belonging[workflow["id"]], history[workflow["id"]])
        _check_decisions(belonging[workflow["id"]], history[workflow["id"]])


def _grouped(rows: list[Any], key: Callable[[Any], str]) -> defaultdict[str, list[Any]]:
    groups: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


async def _define(wire: Wire) -> None:
    await wire.call("awf.definition/put", id=FLOW, kind="workflow", allowedRetryCount=50, **_TIMES)
    await wire.call("awf.definition/put", id=STEP, allowedRetryCount=50, **_TIMES)
    await wire.call("awf.definition/put", id=POISONED, allowedRetryCount=2, **_TIMES)


async def _create(wire: Wire) -> None:
    calls = [
        {
            "method": "awf.workflow/create-and-execute",
            "params": {"definition": FLOW, "params": {"kind": KINDS[n % len(KINDS)]}},
        }
        for n in range(WORKFLOWS)
    ]
    for begin in range(0, WORKFLOWS, _BATCH):
        answers = await wire.batch(*calls[begin : begin + _BATCH])
        assert all("result" in answer for answer in answers)


async def _all_done(database: asyncpg.Connection) -> bool:
    left = "select count(*) from taskrpc.task where status <> 'done' union all select count(*) from taskrpc.event"
    return not any(row["count"] for row in await database.fetch(left))


def _check_end(workflow: Any, belonging: list[Any], history: list[Any]) -> None:
    """The workflow ended as it had to; of what it started each thing was started once and succeeded once."""
    poisoned = '"poisoned"' in workflow["params"]
    ended = Counter(entry["task_id"] for entry in history if entry["action"] == "awf.task/success")
    activities = {row["label"]: row for row in belonging if row["kind"] == "task"}
    assert len(activities) == len([row for row in belonging if row["kind"] == "task"])
    steps = [f"step-{n}" for n in range(STEPS)]
    if poisoned:
        assert (workflow["outcome"], workflow["error"]) == ("failed", '{"failed":"step-2"}')
        assert activities.pop("step-2")["outcome"] == "failed"
        steps = ["step-0", "step-1", "undo"]
    else:
        assert (workflow["outcome"], workflow["result"]) == ("succeeded", f'{{"steps":{STEPS}}}')
    assert sorted(activities) == steps
    assert all(ended[row["id"]] == 1 and row["outcome"] == "succeeded" for row in activities.values())


def _check_decisions(belonging: list[Any], history: list[Any]) -> None:
    """Each decision came when the one before it was over, one for each event."""
    decisions = {row["id"]: row for row in belonging if row["kind"] == "decision"}
    open_ones: list[str] = []
    events: list[str] = []
    for entry in history:
        if entry["kind"] != "decision":
            continue
        if entry["action"] == "awf.task/create-and-execute":
            assert not open_ones, "two decisions overlap"
            open_ones.append(entry["task_id"])
            events.append(decisions[entry["task_id"]]["params"])
        assert open_ones == [entry["task_id"]]
        if entry["status_after"] == "done":
            open_ones.pop()
    assert not open_ones
    assert len(events) == len(decisions) == len(set(events))
    assert events[0] == '{"event":"awf.workflow.event/workflow-init"}'
