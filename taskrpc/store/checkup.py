"""Examines a database for the doctor: facts first, then what is wrong with them."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from taskrpc.store import migrate
from taskrpc.store.database import Connection
from taskrpc.store.hosts import connect
from taskrpc.store.statements import SQL

_LATE_SECONDS: Final = 10
_OLD_PULSE_SECONDS: Final = 5
_OLD_XMIN_SECONDS: Final = 300
_STALE_TASK_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `remedy` says what to do where it is not fine."""

    subject: str
    message: str
    fine: bool = True
    remedy: str | None = None


async def examine(url: str) -> list[Finding]:
    """All findings of a database. Raises what asyncpg raises when it cannot be reached."""
    connection = await connect(url, timeout=10, command_timeout=30)
    try:
        findings = [await _server(connection), await _migrations(connection)]
        if findings[-1].fine:
            findings += [
                await _pulse(connection),
                await _reaper(connection),
                *await _queues(connection),
                *await _gates(connection),
                *await _workflows(connection),
                *await _vacuum(connection),
            ]
        return findings
    finally:
        await connection.close()


async def _server(connection: Connection) -> Finding:
    facts = await connection.fetchrow(SQL["server_facts"])
    text = (
        f"PostgreSQL {facts['version']}, taskrpc {version('taskrpc')}, {facts['database_bytes'] / 2**20:.0f} MiB, "
        f"{facts['connections']} of {facts['max_connections']} connections"
    )
    if facts["in_recovery"]:
        return Finding("database", f"{text}; it is a standby", False, "name the primary in --database-url")
    if facts["synchronous_commit"] == "off":
        remedy = "set synchronous_commit = on: now an acknowledged call can be lost in a crash"
        return Finding("database", f"{text}; synchronous_commit is off", False, remedy)
    return Finding("database", text)


async def _migrations(connection: Connection) -> Finding:
    applied, known = await migrate.applied(connection), [name for name, _ in migrate.available()]
    missing = [name for name in known if name not in applied]
    if missing:
        return Finding("migrations", f"missing: {', '.join(missing)}", False, "run taskrpc migrate, or start a server")
    newer = [name for name in applied if name not in known]
    if newer:
        return Finding("migrations", f"{len(applied)} applied, of a newer version: {', '.join(newer)}")
    return Finding("migrations", f"{len(applied)} applied, none missing")


async def _pulse(connection: Connection) -> Finding:
    seconds = await connection.fetchval(SQL["pulse_age"])
    if seconds > _OLD_PULSE_SECONDS:
        remedy = "start one with taskrpc serve: nothing times out and nothing becomes due meanwhile"
        return Finding("servers", f"none was alive for {seconds:.0f} s", False, remedy)
    return Finding("servers", f"at least one is alive ({seconds:.1f} s ago)")


async def _reaper(connection: Connection) -> Finding:
    late = await connection.fetchval(SQL["overdue"]) or 0
    if late > _LATE_SECONDS:
        remedy = "look into the servers' logs, and for transactions that hold locks (pg_stat_activity)"
        return Finding("deadlines", f"the oldest is {late:.0f} s overdue", False, remedy)
    return Finding("deadlines", "none is overdue")


async def _queues(connection: Connection) -> list[Finding]:
    rows = await connection.fetch(SQL["queue_sizes"])
    if not rows:
        return [Finding("queues", "no task is open")]
    findings = []
    for row in rows:
        state = f"{row['status']}, held by its limit" if row["held"] else row["status"]
        name = row["name"] if row["kind"] == "task" else f"{row['kind']} {row['name']}"
        text = f"{name}: {row['tasks']} {state}"
        stale = row["status"] == "ready" and not row["held"] and (row["oldest"] or 0) > _STALE_TASK_SECONDS
        if row["oldest"] is not None:
            text += f", the oldest for {row['oldest']:.0f} s"
        remedy = "is an executor running that polls for this definition?" if stale else None
        findings.append(Finding("queues", text, not stale, remedy))
    return findings


async def _gates(connection: Connection) -> list[Finding]:
    rows = await connection.fetch(SQL["gate_faults"])
    return [
        Finding(
            "limits",
            f"{row['key']}: counts {row['used']} of {row['lim']}, has {row['counted']}, holds {row['held']}",
            False,
            "if it is still so in a minute, put the definition with another limit and back; please report it",
        )
        for row in rows
    ]


async def _workflows(connection: Connection) -> list[Finding]:
    return [
        Finding(
            "workflows",
            f"{row['id']} of {row['name']} waits for nothing",
            False,
            f"cancel it with taskrpc call workflow/cancel id={row['id']}; please report it",
        )
        for row in await connection.fetch(SQL["stuck_workflows"])
    ]


async def _vacuum(connection: Connection) -> list[Finding]:
    findings = []
    for row in await connection.fetch(SQL["xmin_holders"]):
        hidden = row["is_session"] and row["seconds"] is None
        old = (row["seconds"] or 0) > _OLD_XMIN_SECONDS or (row["seconds"] is None and not hidden)
        text = f"{row['holder']} holds back {row['transactions']} transactions"
        text += f" for {row['seconds']:.0f} s" if row["seconds"] is not None else ""
        text += " (grant pg_monitor to see for how long)" if hidden else ""
        remedy = "end it: dead rows stay, and claims become slow" if old else None
        findings.append(Finding("vacuum", text, not old, remedy))
    rows = await connection.fetch(SQL["dead_rows"])
    dead = ", ".join(f"{row['table']} {row['dead']} of {row['live'] + row['dead']}" for row in rows if row["dead"])
    findings.append(Finding("vacuum", f"dead rows: {dead or 'none'}"))
    return findings
