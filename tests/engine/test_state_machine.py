"""The service against a model of the protocol: random calls of several clients on two servers and a clock that jumps.

`TASKRPC_STATE_MACHINE_EXAMPLES` says how many histories are tried; they are the same each time where `CI` is set.
"""

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from taskrpc.errors import TaskRpcError
from taskrpc.store.reaping import Reaping
from tests.conftest import Template
from tests.databases import connected, copy_of
from tests.engine.headless import Headless, headless
from tests.engine.model import EPOCH, LEGAL, RUNS, Call, Definition, Model, Refused, View, shown

EXAMPLES: Final = int(os.environ.get("TASKRPC_STATE_MACHINE_EXAMPLES", "200"))
STEPS: Final = 40

DEFINITIONS: Final = {
    "plain": Definition(),
    "stubborn": Definition(allowed=3, retry_delay=0, requested_timeout=3_000, run_timeout=7_000),
    "short": Definition(allowed=1, timeout=20_000),
    "limited": Definition(concurrency=1, queue=3, timeout=60_000),
    "narrow": Definition(concurrency=2, retry_delay=1_000),
}
FROZEN_CLOCK: Final = """
create table taskrpc.frozen (at timestamptz not null);
insert into taskrpc.frozen values ($at$2030-01-01 00:00+00$at$);
create or replace function taskrpc.now() returns timestamptz language sql stable parallel safe
as $$ select at from taskrpc.frozen $$;
update taskrpc.pulse set at = taskrpc.now(), resumed_at = taskrpc.now();
"""


@dataclass
class World:
    """Two servers on one database whose clock stands still between the steps, and the loop that runs them."""

    runner: asyncio.Runner
    servers: list[Headless]
    observer: asyncpg.Connection

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Runs until something is done; between that everything stands still."""
        return self.runner.run(work)

    async def forget(self) -> None:
        """Begins anew: no task, no log, and the clock where it was at first."""
        await self.observer.execute("delete from taskrpc.task; delete from taskrpc.log; delete from taskrpc.gate")
        await self.set_clock(0)
        for server in self.servers:
            server.parts.dispatcher.wake(None)  # this looks like another database

    async def set_clock(self, now: int) -> None:
        """Moves the clock, and the pulse with it."""
        await self.observer.execute(f"update taskrpc.frozen set at = '{shown(now)}'")
        await self.observer.execute("update taskrpc.pulse set at = taskrpc.now(), resumed_at = least(resumed_at, at)")

    async def reap(self) -> None:
        """Carries out what is due, until nothing is left."""
        parts = self.servers[0].parts
        while await Reaping(parts.database, parts.signals).reap():
            pass

    async def outage(self, now: int) -> None:
        """Moves the clock while no server gives its pulse; then one comes back."""
        parts = self.servers[0].parts
        await self.observer.execute(f"update taskrpc.frozen set at = '{shown(now)}'")
        assert await Reaping(parts.database, parts.signals).beat()

    async def answer(self, server: int, call: Call) -> View | Refused:
        """What a server says to a call, in the model's words."""
        params: View = {"id": call.task_id, "execId": call.exec_id, "callId": call.call_id, **dict(call.params)}
        given = {name: value for name, value in params.items() if value is not None}
        try:
            return observed(await self.servers[server].call(f"awf.task/{call.method}", **given))
        except TaskRpcError as error:
            return Refused(error.type, **(dict(error.data or {}) if error.type == "wrong-status" else {}))


@contextlib.asynccontextmanager
async def world(template: Template, runner: asyncio.Runner) -> AsyncIterator[World]:
    """Two servers on a fresh database."""
    async with copy_of(template.server_url, template.name) as url, connected(url) as observer:
        await observer.execute(FROZEN_CLOCK)
        async with headless(url, loops=False) as one, headless(url, loops=False) as two:
            for name, definition in DEFINITIONS.items():
                await one.call("awf.definition/put", id=name, **definition.fields())
            await two.parts.definitions.reload()
            yield World(runner, [one, two], observer)


def observed(answer: View) -> View:
    """What an answer shows of what the model knows."""
    if "resource" not in answer:
        return answer
    resource = dict(answer["resource"])
    for name in ("id", "resourceType", "definition", "meta"):
        del resource[name]
    if "outcomeReason" in resource:
        resource["outcomeReason"] = resource["outcomeReason"]["type"]
    return resource | ({"stopRequested": True} if "stopRequested" in answer else {})


def same(seen: View | Refused, expected: View | Refused) -> bool:
    """Whether an answer is the one that the model gives."""
    if isinstance(seen, Refused) or isinstance(expected, Refused):
        return (
            isinstance(seen, Refused)
            and isinstance(expected, Refused)
            and (seen.type, seen.data) == (expected.type, expected.data)
        )
    return seen == expected


def expected_of(model: Model, call: Call) -> View | Refused:
    """What the model says to a call."""
    try:
        return dict(model.call(call))
    except Refused as refusal:
        return refusal


EXECUTION: Final = st.sampled_from(["current"] * 6 + ["old", "foreign"])
CALL_ID: Final = st.sampled_from(["none", "none", "new", "new", "last", "borrowed"])
EXECUTION_METHODS: Final = ("notify", "feedback", "success", "fail", "fail", "release", "start")
OF_EXECUTION: Final = st.sampled_from(EXECUTION_METHODS)
USER_METHODS: Final = ("cancel", "stop", "retry")
OF_USER: Final = st.sampled_from(USER_METHODS)
NUMBER: Final = st.integers(0, 1000)


class LifeCycle(RuleBasedStateMachine):
    """One history: every answer is compared, and after it the task."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.model = Model(DEFINITIONS)
        self.versions: dict[str, dict[int, int]] = {}
        self.sent: dict[str, Call] = {}
        self.numbers = itertools.count()
        world.run(world.forget())

    def _task(self, number: int, *statuses: str) -> str:
        """Some task, if there is one with one of these statuses."""
        ids = sorted(self.model.tasks)
        ids = [task_id for task_id in ids if self.model.tasks[task_id].status in statuses] or ids
        return ids[number % len(ids)]

    def _exec_id(self, task_id: str, choice: str, number: int) -> str:
        current = self.model.tasks[task_id].exec_id
        others = [exec_id for exec_id in self.model.execs if exec_id != current]
        if choice == "current" and current is not None:
            return current
        return others[number % len(others)] if others and choice != "foreign" else "not-an-execution"

    def _call_id(self, task_id: str, choice: str) -> str | None:
        if choice == "none":
            return None
        sent = self.sent.get(task_id)
        return sent.call_id if choice == "borrowed" and sent is not None else f"call-{next(self.numbers)}"

    def _params(self, method: str, number: int) -> tuple[tuple[str, Any], ...]:
        if method == "notify":
            notification = "progress" if number % 2 else "heartbeat"
            return (("notification", notification), ("progress-current", number))
        if method == "feedback":
            return (("feedback", {"n": number}), ("append", bool(number % 2)))
        name = {"success": "result", "fail": "error"}.get(method)
        return () if name is None or number % 3 == 0 else ((name, {"n": number}),)

    def _call(self, method: str, task_id: str, execution: str, call_id: str, number: int) -> Call:
        """A call about a task, of a user or of an execution."""
        if call_id == "last" and task_id in self.sent:
            return self.sent[task_id]  # the very same call again, whatever has happened since
        if method in USER_METHODS:
            return Call(method, task_id, call_id=self._call_id(task_id, call_id))
        exec_id = self._exec_id(task_id, execution, number)
        return Call(method, task_id, exec_id, self._call_id(task_id, call_id), self._params(method, number))

    def _check_task(self, task_id: str) -> None:
        """The task is what the model says, and its version grew with every change."""
        resource = self.world.run(self.world.servers[0].status({"id": task_id}))
        task = self.model.tasks[task_id]
        assert observed({"resource": resource}) == task.view()
        versions = self.versions.setdefault(task_id, {})
        version = int(resource["meta"]["versionId"])
        assert versions.setdefault(task.version, version) == version, "the version changes with the resource only"
        assert all((ours < task.version) == (theirs < version) for ours, theirs in versions.items())

    @initialize(names=st.lists(st.sampled_from(sorted(DEFINITIONS)), min_size=2, max_size=5))
    def begin(self, names: list[str]) -> None:
        """No history without tasks, however few rules Hypothesis lets take part in it."""
        for number, name in enumerate(names):
            self.create(name, False, number, None, 0)

    @rule(
        name=st.sampled_from(sorted(DEFINITIONS)), again=st.booleans(), number=NUMBER,
        execute_in=st.sampled_from([None, None, None, -5_000, 2_000, 12_000]),
        priority=st.sampled_from([0, 0, 0, 5, -5]),
    )  # fmt: skip
    def create(self, name: str, again: bool, number: int, execute_in: int | None, priority: int) -> None:
        known = again and number % 4 == 0 and bool(self.model.tasks)
        task_id = self._task(number) if known else f"task-{next(self.numbers)}"
        execute_at = None if execute_in is None else self.model.now + execute_in
        params: View = {"id": task_id, "definition": name, "priority": priority}
        if execute_at is not None:
            params["executeAt"] = shown(execute_at)
        expected: View | Refused
        try:
            expected = self.model.create(task_id, name, execute_at, priority)
        except Refused as refusal:
            expected = refusal
        try:
            answer = self.world.run(self.world.servers[number % 2].call("awf.task/create-and-execute", **params))
            seen: View | Refused = observed(answer)
        except TaskRpcError as error:
            seen = Refused(error.type)
        assert same(seen, expected), (seen, expected)

    @rule(
        names=st.lists(st.sampled_from(sorted(DEFINITIONS)), min_size=1, max_size=5, unique=True),
        most=st.integers(1, 4), start=st.booleans(), number=NUMBER,
    )  # fmt: skip
    def poll(self, names: list[str], most: int, start: bool, number: int) -> None:
        tasks = self.world.run(self.world.servers[number % 2].poll(*names, maxBatchSize=most, start=start))
        views = self.model.hand_out([(t["id"], t["execId"]) for t in tasks], names, most, start)
        assert [observed({"resource": task}) for task in tasks] == views

    @rule(most=st.integers(1, 3))
    def race_for_tasks(self, most: int) -> None:
        names = sorted(DEFINITIONS)
        handed_out = self.model.most_handed_out(names)

        async def polls() -> list[list[Any]]:
            servers = [*self.world.servers, *self.world.servers]
            return await asyncio.gather(*(server.poll(*names, maxBatchSize=most) for server in servers))

        tasks = [task for answer in self.world.run(polls()) for task in answer]
        assert len({task["id"] for task in tasks}) == len(tasks) <= handed_out, "a task was handed out twice"
        for task in tasks:
            self.model._hand_out(self.model.tasks[task["id"]], task["execId"], names, False)
            self._check_task(task["id"])

    @rule(
        methods=st.lists(st.sampled_from([*EXECUTION_METHODS, "stop"]), min_size=1, max_size=6),
        number=NUMBER, execution=EXECUTION, call_id=CALL_ID,
    )  # fmt: skip
    def executor_works(self, methods: list[str], number: int, execution: str, call_id: str) -> None:
        """An executor that does what makes sense for its tasks, and then perhaps more, or is asked to stop."""
        task_id = self._running_task(number)
        for turn, method in enumerate(methods, number):
            if self.model.tasks[task_id].status not in RUNS and turn % 3:
                task_id = self._running_task(turn)
            if self.model.tasks[task_id].status == "requested" and turn % 5:
                self._compare(turn, self._call("start", task_id, "current", call_id, turn))
            self._compare(turn, self._call(method, task_id, execution, call_id, turn))

    def _running_task(self, number: int) -> str:
        """A task that is handed out; when there is none, one is polled for."""
        if not any(task.status in RUNS for task in self.model.tasks.values()):
            self.poll(sorted(DEFINITIONS), 1 + number % 3, number % 2 == 0, number)
        return self._task(number, *RUNS)

    @precondition(lambda self: self.model.tasks)
    @rule(method=OF_EXECUTION, number=NUMBER, execution=EXECUTION, call_id=CALL_ID)
    def executor_errs(self, method: str, number: int, execution: str, call_id: str) -> None:
        task_id = self._task(number)
        self._compare(number, self._call(method, task_id, execution, call_id, number))

    @precondition(lambda self: self.model.tasks)
    @rule(method=OF_USER, number=NUMBER, call_id=CALL_ID)
    def user_interferes(self, method: str, number: int, call_id: str) -> None:
        statuses = ("done",) if method == "retry" else RUNS
        task_id = self._task(number, *(statuses if number % 4 else ()))
        self._compare(number, self._call(method, task_id, "current", call_id, number))

    @rule(method=OF_USER)
    def call_about_nothing(self, method: str) -> None:
        seen = self.world.run(self.world.answer(0, Call(method, "nothing")))
        assert same(seen, Refused("task-not-found"))

    def _compare(self, number: int, call: Call) -> None:
        self.sent[call.task_id] = call
        seen = self.world.run(self.world.answer(number % 2, call))
        expected = expected_of(self.model, call)
        assert same(seen, expected), (call, seen, expected)
        self._check_task(call.task_id)

    @precondition(lambda self: self.model.tasks)
    @rule(
        methods=st.lists(st.sampled_from([*EXECUTION_METHODS, *USER_METHODS]), min_size=2, max_size=3),
        number=NUMBER, call_id=CALL_ID,
    )  # fmt: skip
    def race_of_calls(self, methods: list[str], number: int, call_id: str) -> None:
        """Calls at the same time on two servers: their answers are those of some order."""
        task_id = self._task(number, *RUNS)
        calls = [self._call(method, task_id, "current", call_id, number) for method in methods]

        async def race() -> list[View | Refused]:
            return await asyncio.gather(*(self.world.answer(n % 2, call) for n, call in enumerate(calls)))

        seen = self.world.run(race())
        final = observed({"resource": self.world.run(self.world.servers[0].status({"id": task_id}))})
        futures = (model for model, answers in self._orders(calls) if all(map(same, seen, answers)))
        fitting = [model for model in futures if model.tasks[task_id].view() == final]
        assert fitting, (calls, seen, final)
        self.model = fitting[0]

    def _orders(self, calls: list[Call]) -> Iterator[tuple[Model, list[View | Refused]]]:
        for order in itertools.permutations(range(len(calls))):
            model = self.model.copy()
            answers: dict[int, View | Refused] = {n: expected_of(model, calls[n]) for n in order}
            yield model, [answers[n] for n in range(len(calls))]

    @rule(seconds=st.sampled_from([0, 1, 3, 10, 30]), reap=st.sampled_from([True, True, False]))
    def time_passes(self, seconds: int, reap: bool) -> None:
        """Deadlines pass; whoever calls before they are carried out was in time."""
        self.model.now += seconds * 1000
        self.world.run(self.world.set_clock(self.model.now))
        if reap:
            self.model.reap()
            self.world.run(self.world.reap())
            for task_id in self.model.tasks:
                self._check_task(task_id)

    @rule(seconds=st.sampled_from([6, 40]))
    def everything_is_away_for_a_while(self, seconds: int) -> None:
        self.model.now += seconds * 1000
        self.world.run(self.world.outage(self.model.now))
        self.model.outage()

    def teardown(self) -> None:
        """The log tells a legal history of every task, and each generation had one end."""
        for task_id, task in self.model.tasks.items():
            self._check_task(task_id)
            log = self.world.run(self.world.servers[0].call("awf.task/status", id=task_id, **{"include-log?": True}))
            steps = [(e.get("status-before"), e["action"], e.get("status-after")) for e in log["log"]]
            assert set(steps) <= LEGAL
            assert [before for before, _, _ in steps] == ["created", *(after for _, _, after in steps[:-1])]
            assert steps[-1][2] == task.status


def test_the_service_answers_as_the_model_of_the_protocol_says(database_template: Template) -> None:
    chosen = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        derandomize="CI" in os.environ,
        database=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        there = runner.run(stack.enter_async_context(world(database_template, runner)))

        class History(LifeCycle):
            def __init__(self) -> None:
                super().__init__(there)

        try:
            run_state_machine_as_test(History, settings=chosen)
        finally:
            runner.run(stack.aclose())


@pytest.mark.parametrize("at", [0, 1, 1_234_567])
def test_the_model_writes_times_as_the_protocol_does(at: int) -> None:
    assert shown(at).startswith("2030-01-01T")
    assert shown(at).endswith("000Z")
    assert EPOCH.isoformat() == "2030-01-01T00:00:00+00:00"
