"""Servers that die after a commit, connections that break, events that are told twice: it all comes out the same."""

import asyncio
from typing import Any, Final

import asyncpg
import pytest

from taskrpc.core.flow.advance import step
from taskrpc.core.flow.advance.events import Ended
from taskrpc.store.executions import ExecutionStore, StepRecord
from tests.databases import Clock
from tests.engine.headless import Headless, headless
from tests.executions.flows import WORK, Flows, log, work
from tests.store.halting import HALT, go_on, halted
from tests.system.waiting import until

EACH: Final[dict[str, Any]] = {
    "id": "each",
    "type": "core.flow.ForEach",
    "values": ["a", "b", "c"],
    "concurrencyLimit": 2,
    "tasks": [work(of="{{ taskrun.value }}"), log(message="{{ outputs.work[taskrun.value].made }}")],
}
TREE: Final = (EACH, {"id": "wait", "type": "core.flow.Sleep", "duration": "PT1H"}, work("last"))
TASKS: Final = 4
# It begins, it wakes up, and of each task it hears the begin and the end.
STEPS: Final = 2 + 2 * TASKS
OUTCOME: Final = [
    "each SUCCESS", "work SUCCESS", "work SUCCESS", "say SUCCESS", "say SUCCESS", "work SUCCESS", "say SUCCESS",
    "wait SUCCESS", "last SUCCESS",
]  # fmt: skip


class Crash:
    """What comes after so many commits of steps does not happen, once: what was in memory is lost."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, commits: int) -> None:
        self.left = commits
        take = ExecutionStore.take_step

        async def take_step(store: ExecutionStore, step: StepRecord) -> None:
            await take(store, step)
            self.left -= 1
            if self.left == 0:
                raise asyncio.CancelledError

        monkeypatch.setattr(ExecutionStore, "take_step", take_step)

    @property
    def has_happened(self) -> bool:
        return self.left <= 0


async def all_is_heard(observer: asyncpg.Connection) -> None:
    """Returns when no execution has anything in its inbox."""

    async def inbox_is_empty() -> bool:
        number: int = await observer.fetchval("select count(*) from taskrpc.event")
        return number == 0

    await until(inbox_is_empty)


async def finish(flows: Flows, id: str, clock: Clock, observer: asyncpg.Connection) -> None:
    """Does what executors and time have to do, one thing after the other: each is heard in a step of its own."""
    for number in range(TASKS):
        await all_is_heard(observer)
        if number == TASKS - 1:  # the loop is done, and the flow sleeps
            await clock.advance(3601)
            flows.server.parts.reaper.poke()
        task = await flows.task()
        await all_is_heard(observer)
        await flows.server.of("success", task, result={"made": task["params"].get("of", "it")})
    await flows.ended(id)


@pytest.mark.parametrize("commits", range(1, STEPS + 1))
async def test_a_crash_after_any_commit_changes_nothing(
    database_url: str, clock: Clock, observer: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, commits: int
) -> None:
    async with headless(database_url) as first:
        await Flows(first).put(*TREE, outputs=[{"id": "all", "type": "JSON", "value": "{{ outputs.work | toJson }}"}])
    crash = Crash(monkeypatch, commits)
    async with headless(database_url) as server:
        flows = Flows(server)
        id = await flows.begin()
        await finish(flows, id, clock, observer)
        ended = await flows.workflow(id)
        states = await flows.states(id)
    assert (ended["outcome"], ended["state"]) == ("succeeded", "SUCCESS")
    assert ended["result"] == {"all": {value: {"made": value} for value in "abc"}}
    assert sorted(states) == sorted(OUTCOME)
    assert crash.has_happened


async def test_a_step_that_was_rolled_back_is_taken_again(flows: Flows, observer: asyncpg.Connection) -> None:
    await flows.put(work(), log())
    id = await flows.begin()
    task = await flows.task()
    await observer.execute(HALT.replace("taskrpc.task\n", "taskrpc.execution\n"))
    await flows.server.of("success", task)
    for process in await halted(observer):
        await observer.execute("select pg_terminate_backend($1)", process)
    await halted(observer)
    await go_on(observer)
    await flows.ended(id, "SUCCESS")
    assert await flows.states(id) == ["work SUCCESS", "say SUCCESS"]


async def test_what_is_told_twice_is_heard_once(flows: Flows, observer: asyncpg.Connection) -> None:
    await flows.put(work(), work("more"))
    id = await flows.begin()
    task = await flows.work()
    more = await flows.task()
    for _ in range(2):
        for kind in ("task-begun", "task-completed"):
            await observer.execute(
                "insert into taskrpc.event (workflow_id, kind, subject) values ($1, $2, $3)", id, kind, task["id"]
            )
    await flows.server.of("success", more)
    await flows.ended(id, "SUCCESS")
    await all_is_heard(observer)
    assert await flows.states(id) == ["work SUCCESS", "more SUCCESS"]


async def test_what_nobody_was_told_of_is_found(still: Headless, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(still.parts.signals, "_on_told", [])
    flows = Flows(still)
    await flows.put(log())
    id = await flows.begin()
    loop = still.parts.services.executions.loop
    await loop.look()
    assert (await flows.workflow(id))["status"] == "in-progress"
    await loop.look()
    await flows.ended(id, "SUCCESS")


async def test_an_execution_that_somebody_holds_holds_up_no_other(flows: Flows, observer: asyncpg.Connection) -> None:
    await flows.put(work(), log())
    held, free = await flows.begin(), await flows.begin()
    tasks = {task["requester"]["id"]: task for task in [await flows.task(), await flows.task()]}
    async with observer.transaction():
        await observer.execute("select from taskrpc.task where id = $1 for update", held)
        for task in tasks.values():
            await flows.server.of("success", task)
        await flows.ended(free, "SUCCESS")
        assert (await flows.workflow(held))["state"] == "RUNNING"
    await flows.ended(held, "SUCCESS")


async def test_an_execution_that_cannot_go_on_fails_and_the_others_go_on(
    flows: Flows, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = step.advance

    def advance(flow: Any, *more: Any) -> Any:
        if flow.id == "broken" and any(isinstance(event, Ended) for event in more[1]):
            raise ZeroDivisionError("a defect")
        return real(flow, *more)

    monkeypatch.setattr("taskrpc.engine.execution_steps.advance", advance)
    await flows.put({"id": "both", "type": "core.flow.Parallel", "tasks": [work(), work("open")]}, id="broken")
    await flows.put(log())
    broken = await flows.begin("company.team.broken")
    await flows.work()
    assert await flows.ended(await flows.begin(), "SUCCESS")
    ended = await flows.ended(broken, "FAILED")
    assert ended["outcomeReason"]["type"] == "awf.workflow/internal-error"
    assert "a defect" in ended["outcomeReason"]["message"]

    async def nothing_is_open() -> bool:
        tasks = (await flows.call("awf.task/list", filter={"includeDefinitions": [WORK]}))["resources"]
        return [task["status"] for task in tasks] == ["done", "done"]

    await until(nothing_is_open)
    assert "cannot go on (3 of 3)" in caplog.text
