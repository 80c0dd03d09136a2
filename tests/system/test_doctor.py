"""`taskrpc doctor` on a healthy database and on sick ones: what is wrong, and what to do."""

from typing import Final

import pytest

from taskrpc.store import checkup
from taskrpc.store.statements import SQL
from tests.databases import connected
from tests.system.conftest import Serve
from tests.system.processes import run
from tests.system.wire import connection

_TASK: Final = """
insert into taskrpc.task (id, kind, name, rev, rank, status, queued, ready_at, due_at, created_at, updated_at)
values ('t1', 'task', 'test/task', 0, 0,
"""
_WORKFLOW: Final = _TASK.replace("'task'", "'workflow'")
# As if a server were alive, however long the doctor takes to come.
_PULSE: Final = "update taskrpc.pulse set at = taskrpc.now() + interval '1 minute'"
_NO_PULSE: Final = "update taskrpc.pulse set at = taskrpc.now() - interval '1 minute'"

SICKNESSES: Final = {
    "no server": (_NO_PULSE, "servers", "none was alive for 6"),
    "missing migration": ("delete from taskrpc.migration", "migrations", "missing: 0001"),
    "reaper behind": (
        f"{_TASK} 'in-progress', false, null, now() - interval '1 minute', now(), now())",
        "deadlines",
        "the oldest is 6",
    ),
    "nobody polls": (
        f"{_TASK} 'ready', true, now() - interval '2 hours', null, now(), now())",
        "queues",
        "test/task: 1 ready, the oldest for 72",
    ),
    "wrong count": ("insert into taskrpc.gate values ('queue/test/task', 5, 3)", "limits", "counts 3 of 5, has 0"),
    "stuck workflow": (
        f"{_WORKFLOW} 'in-progress', false, null, null, now(), now())",
        "workflows",
        "t1 of test/task waits for nothing",
    ),
    "lossy": (
        "do $$ begin execute format('alter database %I set synchronous_commit = off', current_database()); end $$",
        "database",
        "synchronous_commit is off",
    ),
}
HOLDERS: Final = {
    "reader": ("repeatable_read", "select count(*) from taskrpc.task"),
    "writer": ("read_committed", "update taskrpc.gate set used = used"),
}


async def test_the_doctor_finds_nothing_wrong_with_a_healthy_database(database_url: str, serve: Serve) -> None:
    server = await serve(database_url)
    async with connection(server.url) as wire:
        await wire.call("awf.task/create-and-execute", definition="test/task")
    ended = await run("doctor", "--database-url", database_url)
    assert ended.status == 0, ended.out
    assert "WRONG" not in ended.out
    assert "PostgreSQL" in ended.out
    assert "at least one is alive" in ended.out
    assert "test/task: 1 ready" in ended.out


@pytest.mark.parametrize(("sickness", "subject", "message"), SICKNESSES.values(), ids=SICKNESSES)
async def test_the_doctor_says_what_is_wrong_and_what_to_do(
    database_url: str, sickness: str, subject: str, message: str
) -> None:
    async with connected(database_url) as database:
        await database.execute(_PULSE)
        await database.execute(sickness)
    ended = await run("doctor", "--database-url", database_url)
    assert (ended.status, ended.err) == (1, "")
    lines = ended.out.splitlines()
    (wrong,) = [n for n, line in enumerate(lines) if line.startswith("WRONG")]
    assert lines[wrong].split()[1] == subject
    assert message in lines[wrong]
    assert lines[wrong + 1].strip().startswith("→ ")


@pytest.mark.parametrize(("isolation", "statement"), HOLDERS.values(), ids=HOLDERS)
async def test_the_doctor_names_an_idle_transaction_that_holds_back_vacuum(
    database_url: str, monkeypatch: pytest.MonkeyPatch, isolation: str, statement: str
) -> None:
    monkeypatch.setattr(checkup, "_OLD_XMIN_SECONDS", -1)
    async with connected(database_url) as sleeper:
        await sleeper.execute("insert into taskrpc.gate values ('queue/test/task', 5, 0)")
        async with sleeper.transaction(isolation=isolation):  # type: ignore[arg-type]
            await sleeper.execute("set local application_name = 'sleeper'")
            await sleeper.execute(statement)
            findings = await checkup.examine(database_url)
    (finding,) = [finding for finding in findings if "of sleeper (idle in transaction)" in finding.message]
    assert (finding.subject, finding.fine) == ("vacuum", False)
    assert "end it" in (finding.remedy or "")


async def test_a_transaction_that_began_after_the_doctor_looked_is_not_of_the_future(database_url: str) -> None:
    async with connected(database_url) as doctor, connected(database_url) as reader, doctor.transaction():
        await doctor.execute("select now()")
        async with reader.transaction(isolation="repeatable_read"):
            await reader.execute("select count(*) from taskrpc.task")
            holders = await doctor.fetch(SQL["xmin_holders"])
    (seconds,) = [holder["seconds"] for holder in holders if "(idle in transaction)" in holder["holder"]]
    assert seconds >= 0


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:1/nowhere", "mysql://127.0.0.1/x"])
async def test_the_doctor_says_that_a_database_cannot_be_reached(url: str) -> None:
    ended = await run("doctor", "--database-url", url)
    assert (ended.status, ended.err) == (1, "")
    assert ended.out.startswith("WRONG  database      cannot be reached: ")
    assert ended.out.count("\n") == 1
