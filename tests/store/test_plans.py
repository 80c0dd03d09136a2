"""The statements of the queue on a table with 250,000 tasks of all statuses: index scans only, and few rows touched."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import count
from typing import Any, Final

import asyncpg
import orjson
import pytest

from taskrpc.core.watermarks import Watermarks
from taskrpc.store.database import _HOT_SETTINGS
from taskrpc.store.statements import SQL
from tests.conftest import Template
from tests.databases import copy_of

FEW: Final = 100
MOST: Final = 50
# What one statement may look at per row that it is about: index entries, locks, the log's insert and what is left over.
ROWS_PER_ELEMENT: Final = 12

FILL: Final = """
insert into taskrpc.definition (name, spec, concurrency_limit, queue_limit, timeout, retention, created_at)
select 'd' || n, '{}', case when n % 5 = 0 then 10 end, case when n % 7 = 0 then 1000000 end, 1000, 1000, taskrpc.now()
from generate_series(0, 199) n;

insert into taskrpc.gate (key, lim, used)
select taskrpc.gate_key('d' || n, v::text), 10, 10 from generate_series(0, 199, 5) n, generate_series(0, 49) v;
insert into taskrpc.gate (key, lim, used) select taskrpc.queue_gate_key('d' || n), 1000000, 500
from generate_series(0, 199, 7) n;

insert into taskrpc.task (id, kind, name, rev, status, outcome, rank, queued, held, ready_at, wake_at, due_at,
    lease_at, drop_at, expire_at, created_at, updated_at, retry_count, exec_id, call, call_id, gate, gate_value,
    queue_gate, params)
select id, 'task', 'd' || d, (select rev from taskrpc.definition where name = 'd' || d), status,
    case when status = 'done' then case n % 3 when 0 then 'failed' else 'succeeded' end end, n % 3 - 1,
    status = 'ready' and not held, held, case when status = 'ready' then at end,
    case when status = 'waiting' then at end, case when status in ('requested', 'in-progress') then at end,
    case when status in ('requested', 'in-progress') then at + n % 2 * interval '10 days' end,
    case when status <> 'done' and n % 4 = 0 then at end, case when status = 'done' and n % 10 = 0 then at end,
    at, at, 1, 'exec-' || id, 'poll', 'call-' || id,
    case when d % 5 = 0 then taskrpc.gate_key('d' || d, value) end, value,
    case when d % 7 = 0 then taskrpc.queue_gate_key('d' || d) end, '{"key":"value"}'
from (
    select n, md5(n::text) as id, d, (abs(hashint4(-n)) % 50)::text as value, status,
        status = 'ready' and d % 5 = 0 as held, taskrpc.now() + (n % 20011 - 10000) * interval '1 second' as at
    from generate_series(1, 250000) n cross join lateral (select abs(hashint4(n)) % 200 as d, case
        when n % 100 < 90 then 'done' when n % 100 < 93 then 'waiting' when n % 100 < 96 then 'ready'
        when n % 100 < 98 then 'requested' else 'in-progress' end as status) s
) t;

insert into taskrpc.task (id, kind, name, rev, status, rank, ready_at, ends_at, created_at, updated_at, params)
select 'wait-' || n, 'task', 'awf.task/wait', 0, 'in-progress', 0, at, at, at, at, '{}'
from generate_series(1, 20000) n
cross join lateral (select taskrpc.now() + (n % 2011 - 1000) * interval '1 second' as at) t;

update taskrpc.pulse set at = 'infinity', resumed_at = '-infinity';

insert into taskrpc.log (task_id, kind, at, action, status_before, status_after)
select id, 'task', created_at, 'awf.task/create-and-execute', 'created', 'ready' from taskrpc.task;

insert into taskrpc.task (id, kind, name, rev, status, rank, ready_at, listens, created_at, updated_at, params)
select 'subscription-' || n, 'task', 'awf.task/subscribe', 0, 'in-progress', 0, taskrpc.now(), 'id/p' || n,
    taskrpc.now(), taskrpc.now(), '{}'
from generate_series(1, 20000) n;
"""
# 100 executions of flows with 1,000 runs each, a timer for every tenth of these, and slots of 20 flows.
FILL_EXECUTIONS: Final = """
insert into taskrpc.task (id, kind, name, rev, status, rank, state, created_at, updated_at)
select 'x' || n, 'workflow', 'f' || n % 20, -1, 'in-progress', 0, 'RUNNING', taskrpc.now(), taskrpc.now()
from generate_series(1, 100) n;
insert into taskrpc.execution (id, head) select 'x' || n, '{}' from generate_series(1, 100) n;
insert into taskrpc.execution_run (execution, n, parent, body)
select e.key, n, 0, '{}' from taskrpc.execution e, generate_series(0, 999) n;
insert into taskrpc.execution_timer (execution, run, kind, tag, at, workflow_id)
select r.execution, r.n, 'timeout', 1, taskrpc.now() + (r.n - 500) * interval '1 second', 'x1'
from taskrpc.execution_run r where r.n % 10 = 0;
insert into taskrpc.execution_slot (execution, workflow_id, name, held, event)
select e.key, e.id, 'f' || e.key % 20, e.key % 100 < 60, 'admitted' from taskrpc.execution e;
"""
# 10,000 workflows, each with a decision and four activities. Every second is in progress and has three events in its
# inbox, every fourth with its decision open; every tenth is done and has left its activities open.
FILL_WORKFLOWS: Final = """
insert into taskrpc.task (
    id, kind, name, rev, status, outcome, rank, wake_at, drop_at, expire_at, created_at, updated_at)
select 'w' || n, 'workflow', 'f' || n % 20, -1,
    case when n % 100 = 1 then 'created' when n % 2 = 0 then 'in-progress' else 'done' end,
    case when n % 2 = 1 and n % 100 <> 1 then 'succeeded' end, 0,
    case when n % 100 = 1 then at end, case when n % 200 = 0 then at end,
    case when n % 2 = 1 and n % 100 <> 1 then at end, at, at
from generate_series(1, 10000) n
cross join lateral (select taskrpc.now() + (n % 2003 - 1000) * interval '1 second' as at) t;

insert into taskrpc.task (id, kind, name, rev, status, outcome, rank, expire_at, created_at, updated_at, exec_id,
    parent_id, open_in, label)
select 'w' || n || '-' || c, case c when 0 then 'decision' else 'task' end,
    case c when 0 then 'f' || n % 20 else 'd1' end, case c when 0 then -1 else 0 end,
    case when open then 'in-progress' else 'done' end,
    case when not open then 'succeeded' end, 0, case when not open then taskrpc.now() end, taskrpc.now(), taskrpc.now(),
    'exec-w' || n || '-' || c, 'w' || n, case when open then 'w' || n end, c
from generate_series(1, 10000) n, generate_series(0, 4) c
cross join lateral (select case c when 0 then n % 4 = 0 else c < 3 and n % 2 = 0 or n % 10 = 5 end as open) o;

insert into taskrpc.event (workflow_id, kind, subject)
select 'w' || n, 'task-completed', 'w' || n || '-' || c from generate_series(2, 10000, 2) n, generate_series(2, 4) c;
"""
FILL_GRAVEYARD: Final = """
insert into taskrpc.task (id, kind, name, rev, status, outcome, rank, expire_at, created_at, updated_at)
select 'done-' || n, 'task', 'd1', 0, 'done', 'succeeded', 0, at, at, at
from generate_series(1, 30000) n
cross join lateral (select taskrpc.now() - n * interval '1 second' as at) t;

insert into taskrpc.task (id, kind, name, rev, status, rank, lease_at, exec_id, created_at, updated_at)
select 'clean-up', 'task', 'd2', 0, 'in-progress', 0, at, 'exec-clean-up', at, at from taskrpc.now() as at;
"""
MOVED_CLOCK: Final = """
create table taskrpc.test_clock (at timestamptz); insert into taskrpc.test_clock values (pg_catalog.now());
create or replace function taskrpc.now() returns timestamptz language sql stable parallel safe
as $$ select at from taskrpc.test_clock $$;
"""

Arguments = Callable[["Crowd"], list[object]]


class Crowd:
    """A full database, and the connection of a server to it."""

    def __init__(self, runner: asyncio.Runner, connection: asyncpg.Connection) -> None:
        self._runner = runner
        self._connection = connection
        self._numbers = count()

    def column(self, query: str) -> list[Any]:
        """The first column of a query's rows."""
        return [row[0] for row in self._runner.run(self._connection.fetch(query))]

    def explain(self, name: str, arguments: list[object], prelude: str = "") -> Any:
        """Carries a statement out as a server would, undoes it, and answers its plan with the rows that it touched."""
        return self._runner.run(self._explain(name, ", ".join(map(_literal, arguments)), prelude))["Plan"]

    def seconds_of_triggers(self, name: str, arguments: list[object]) -> float:
        """How long the triggers of a statement take."""
        explained = self._runner.run(self._explain(name, ", ".join(map(_literal, arguments)), ""))
        return sum(float(trigger["Time"]) for trigger in explained["Triggers"]) / 1000

    async def _explain(self, name: str, arguments: str, prelude: str) -> Any:
        prepared = f"examined_{next(self._numbers)}"
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            if prelude:
                await self._connection.execute(prelude)
            await self._connection.execute(f"prepare {prepared} as {SQL[name]}")
            execute = f"execute {prepared}({arguments})" if arguments else f"execute {prepared}"
            text = await self._connection.fetchval(f"explain (analyze, format json) {execute}")
            return orjson.loads(text)[0]
        finally:
            await transaction.rollback()


def _literal(value: object) -> str:
    """A parameter as a constant without a type: it takes the one of the statement."""
    if value is None:
        return "null"
    text = "{" + ",".join(map(_element, value)) + "}" if isinstance(value, list) else str(value)
    return "'" + text.replace("'", "''") + "'"


def _element(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "NULL" if value is None else value.isoformat() if isinstance(value, datetime) else str(value)


@contextlib.contextmanager
def _filled(template: Template, fill: str) -> Iterator[Crowd]:
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        copy = copy_of(template.server_url, template.name)
        try:
            url = runner.run(stack.enter_async_context(copy))
            connection = runner.run(asyncpg.connect(url, server_settings=_HOT_SETTINGS))
            stack.push_async_callback(connection.close)
            runner.run(connection.execute(fill))
            tables = ", ".join(f"taskrpc.{table}" for table in ("task", "gate", "definition", "event", "log"))
            runner.run(connection.execute(f"vacuum analyze {tables}"))
            yield Crowd(runner, connection)
        finally:
            runner.run(stack.aclose())


@pytest.fixture(scope="module")
def crowd(database_template: Template) -> Iterator[Crowd]:
    """250,000 tasks of all statuses."""
    with _filled(database_template, FILL + FILL_EXECUTIONS + FILL_WORKFLOWS) as crowd:
        yield crowd


@pytest.fixture(scope="module")
def graveyard(database_template: Template) -> Iterator[Crowd]:
    """30,000 tasks that are done and expired, and one that deletes them."""
    with _filled(database_template, FILL_GRAVEYARD) as graveyard:
        yield graveyard


def _calls(status: str, *further: object, exec_ids: bool = True) -> Arguments:
    """Ids, execIds and call ids of tasks with a status, then one more array or constant for each of `further`."""

    def arguments(crowd: Crowd) -> list[object]:
        ids = crowd.column(f"select id from taskrpc.task where status = '{status}' and gate is null limit {FEW}")
        arrays: list[object] = [ids, *([[f"exec-{i}" for i in ids]] if exec_ids else []), [f"now-{i}" for i in ids]]
        return [*arrays, *([value] * FEW if isinstance(value, str) else value for value in further)]

    return arguments


def _new_tasks(crowd: Crowd) -> list[object]:
    rev = crowd.column("select rev from taskrpc.definition where name = 'd1'")[0]
    each: list[object] = ["d1", rev, None, None, 0, None, None, None, None, "call", "{}", 2, None, None, None, None]
    return [[f"new-{n}" for n in range(FEW)], *([value] * FEW for value in each)]


NAMES: Final = [f"d{n}" for n in range(1, 21)]
QUEUES: Final = [["task"] * len(NAMES), NAMES]


def _parts(crowd: Crowd) -> list[object]:
    """What a claim looks at that has handed out tasks of two ranks of each queue an hour ago."""
    (at,) = crowd.column("select taskrpc.now() - interval '1 hour'")
    marks = Watermarks()
    rows = [
        {"kind": "task", "name": name, "rank": rank, "ready_at": at, "id": "t", "updated_at": at}
        for name in NAMES
        for rank in (-1, 0)
    ]
    marks.learn(rows, marks.epoch, 0, 0)
    parts = marks.parts([("task", name) for name in NAMES], 0)
    assert len(parts) == 4 * len(NAMES)
    return [list(column) for column in zip(*parts, strict=True)]


def _gates(*further: object) -> Arguments:
    def arguments(crowd: Crowd) -> list[object]:
        return [crowd.column(f"select key from taskrpc.gate where key < 'd' order by key limit {FEW}"), *further]

    return arguments


def _ids(crowd: Crowd) -> list[object]:
    return [crowd.column(f"select id from taskrpc.task limit {FEW}")]


def _new_workflows(crowd: Crowd) -> list[object]:
    each: list[object] = ["f1", -1, None, None, "w2", 0, None, "call", "{}", 2, None, None, None, None]
    return [[f"new-{n}" for n in range(FEW)], [f"first-{n}" for n in range(FEW)], *([value] * FEW for value in each)]


def _workflows(condition: str, *further: object) -> Arguments:
    """Ids of workflows, then one more array or constant for each of `further`."""

    def arguments(crowd: Crowd) -> list[object]:
        ids = crowd.column(
            f"select id from taskrpc.task where state is null and kind = 'workflow' and {condition} limit {FEW}"
        )
        return [ids, *([f"{value}-{i}" for i in ids] if isinstance(value, str) else value for value in further)]

    return arguments


def _step(crowd: Crowd) -> list[object]:
    """A step of an execution with 1,000 runs, that changes some of them."""
    (key,) = crowd.column("select key from taskrpc.execution where id = 'x50'")
    numbers, texts = list(range(950, 950 + MOST)), ["{}"] * MOST
    runs = [numbers, [0] * MOST, texts, texts, [None] * MOST]
    timers = [numbers, ["sleep"] * MOST, [1] * MOST, [0] * MOST]
    told, log = [["continue"], ["x50"], [None]], [[0] * MOST, texts]
    return [key, 0, "in-progress", "server", "{}", None, [900], *runs, numbers, *told, numbers, *timers, *log]


def _decisions(*further: object) -> Arguments:
    def arguments(crowd: Crowd) -> list[object]:
        ids = crowd.column(f"select id from taskrpc.task where kind = 'decision' and status <> 'done' limit {FEW}")
        return [ids, *([f"{value}{i}" for i in ids] if isinstance(value, str) else value for value in further)]

    return arguments


_LEFT_OPEN: Final = "id like '%5'"


def _clean_up(crowd: Crowd) -> list[object]:
    (task,) = crowd.column("select id from taskrpc.task where status = 'in-progress' and lease_at is not null limit 1")
    return [task, f"exec-{task}", "2100-01-01", ["d1", "d2"], None, "2000-01-01", "", MOST]


HOT: Final[dict[str, Arguments]] = {
    "create_workflows": _new_workflows,
    "lock_workflows": _workflows("status = 'in-progress'"),
    "turn_events": _workflows("status = 'in-progress' and id not like '%4'", "new"),
    "end_workflows": _workflows(
        "status = 'in-progress'", ["failed"] * FEW, [None] * FEW, [None] * FEW, ["{}"] * FEW, ["action"] * FEW
    ),
    "cancel_workflows": _workflows("status = 'in-progress'", "call"),
    "sweep": _workflows(_LEFT_OPEN, MOST),
    "close_inboxes": _workflows(_LEFT_OPEN),
    "list_inboxes": lambda _: ["w4", FEW],
    "list_execution_inboxes": lambda _: ["w4", FEW],
    "execution": lambda _: ["x50"],
    "execution_inbox": lambda _: ["w2", FEW, 2**24],
    "advance_execution": _step,
    "leave_unwanted": lambda _: ["w15", None],
    "fire_timers": lambda _: [MOST],
    "take_slot": lambda _: [1, "x1", "f1", 5, "admitted", True],
    "admit_executions": lambda _: ["f1", 5],
    "lock_decisions": _decisions("exec-"),
    "succeed_decisions": _decisions("call", ["[]"] * FEW),
    "find_left_alone": _workflows("status = 'done' and not " + _LEFT_OPEN),
    "create": _new_tasks,
    "tasks_by_id": _ids,
    "find_done": _ids,
    "claim": lambda crowd: [*_parts(crowd), MOST, 2**25, False, "claim", True],
    "find_ready": lambda _: [*QUEUES],
    "start": _calls("requested"),
    "notify": _calls("in-progress", "{}", "{}"),
    "feedback": _calls("in-progress", "1", [True] * FEW, 2**20),
    "success": _calls("in-progress", "1", [0] * FEW, False),
    "fail": _calls("in-progress", "1", [0] * FEW, False),
    "release": _calls("in-progress", False),
    "cancel": _calls("ready", False, exec_ids=False),
    "stop": _calls("waiting", False, exec_ids=False),
    "retry": _calls("done", False, exec_ids=False),
    "lock_retries": _ids,
    "lock_gates": _gates(),
    "lock_submissions": lambda crowd: [
        crowd.column("select id from taskrpc.task where name = 'd1' limit 99"),
        "d1",
        None,
    ],
    "lock_below": _workflows("status = 'in-progress'"),
    "count_below": _workflows("status = 'in-progress'"),
    "delete_traces": _ids,
    "settle": _gates([-1] * FEW),
    "next_due": lambda _: [],
    "put_off": lambda _: [MOST],
    "promote": lambda _: [MOST],
    "finish_waits": lambda _: [MOST],
    "listening_tasks": lambda _: [["id/p1", "definition/d1", "resourceType/Patient", "*"]],
    "finish_subscriptions": lambda _: [[f"subscription-{n}" for n in range(1, FEW + 1)], ["{}"] * FEW],
    "still_listening": lambda _: [[f"subscription-{n}" for n in range(1, FEW + 1)]],
    "somebody_listens": lambda _: [],
    "requeue": lambda _: [MOST, 5000],
    "expire": lambda _: [MOST, 5000],
    "drop": lambda _: [MOST],
    "delete_expired": lambda _: [MOST, 1000],
    "next_expiry": lambda _: [],
    "clean_up": _clean_up,
}
_REAPER: Final = (
    "next_due", "put_off", "promote", "finish_waits", "requeue", "expire", "drop", "delete_expired", "next_expiry"
)  # fmt: skip


def _nodes(plan: Any) -> Iterator[Any]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _touched(node: Any) -> float:
    """How many rows of its table a scan has looked at."""
    passed = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return float(passed * node["Actual Loops"])


_ALLOWED: Final = ("Index Scan", "Index Only Scan", "Bitmap Heap Scan", "ModifyTable")


def _check(plan: Any, elements: int) -> None:
    for node in _nodes(plan):
        table = node.get("Relation Name", "")
        if table in ("task", "gate", "event") or table.startswith(("log", "execution")):
            assert node["Node Type"] in _ALLOWED, node["Node Type"]
            assert _touched(node) <= elements * ROWS_PER_ELEMENT, f"{node.get('Index Name')}: {_touched(node)} rows"
        compared = node.get("Rows Removed by Join Filter", 0) * node["Actual Loops"]
        assert compared <= elements * ROWS_PER_ELEMENT, f"{compared} pairs of rows were compared to join them"
        if node["Node Type"] == "Sort" and node["Actual Loops"]:
            assert node["Actual Rows"] * node["Actual Loops"] <= elements * 20
            assert node["Sort Space Type"] == "Memory"


@pytest.mark.parametrize("name", HOT)
def test_a_statement_of_the_queue_looks_at_few_rows(crowd: Crowd, name: str) -> None:
    plan = crowd.explain(name, HOT[name](crowd))
    _check(plan, FEW)
    if name not in ("next_due", "put_off", "leave_unwanted"):
        assert plan["Actual Rows"] > 0, "the example touches nothing"


@pytest.mark.parametrize("name", _REAPER)
def test_a_clock_that_a_test_moves_changes_no_plan(crowd: Crowd, name: str) -> None:
    _check(crowd.explain(name, HOT[name](crowd), MOVED_CLOCK), FEW)


def test_transitions_cost_little_although_20000_subscriptions_listen(crowd: Crowd) -> None:
    assert 0 < crowd.seconds_of_triggers("create", _new_tasks(crowd)) < FEW * 0.001


@pytest.mark.parametrize("name", ["delete_expired", "clean_up"])
def test_deleting_looks_at_few_rows_where_everything_is_done(graveyard: Crowd, name: str) -> None:
    plan = graveyard.explain(name, HOT[name](graveyard))
    _check(plan, FEW)
    assert plan["Actual Rows"] > 0


@pytest.mark.parametrize("name", HOT)
def test_no_part_of_a_statement_is_gone_through_for_each_of_its_elements(crowd: Crowd, name: str) -> None:
    for node in _nodes(crowd.explain(name, HOT[name](crowd))):
        if node["Node Type"] == "CTE Scan":
            passed = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
            assert passed <= FEW * ROWS_PER_ELEMENT, f"{node['CTE Name']}: {passed} rows"
