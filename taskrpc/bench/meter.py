"""What a load costs, seen from outside: processor time and memory of process trees, and the WAL of a cluster."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Process:
    """One line of /proc: `cpu` in seconds with that of children that ended, `memory` (resident) in bytes."""

    parent: int
    cpu: float
    memory: int


def _read(pid: int) -> Process | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    ticks = sum(map(int, fields[11:15]))
    return Process(int(fields[1]), ticks / _TICKS_PER_SECOND, int(fields[21]) * _PAGE_BYTES)


def _pids() -> set[int]:
    return {int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()}


def _processes() -> dict[int, Process]:
    """All processes at one moment: what ends in the midst of reading would be counted twice, or not at all."""
    while True:
        pids = _pids()
        found = {pid: process for pid in pids if (process := _read(pid)) is not None}
        if found.keys() == _pids():
            return found


def _tree(processes: Mapping[int, Process], roots: Sequence[int]) -> list[Process]:
    wanted, found = set(roots), 0
    while found < len(wanted):
        found = len(wanted)
        wanted |= {pid for pid, process in processes.items() if process.parent in wanted}
    return [processes[pid] for pid in wanted if pid in processes]


@dataclass(frozen=True, slots=True)
class Sample:
    """One look: seconds of CPU per group of processes, memory of the servers, bytes of WAL ever written."""

    at: float
    cpu: Mapping[str, float]
    memory: int
    wal: int


class Meter:
    """Looks at groups of process trees, given by their first processes, and at a cluster.

    The groups are named `server`, `database` and `load`; a cluster on another machine has no processes here.
    """

    def __init__(self, connection: asyncpg.Connection, roots: Mapping[str, Sequence[int]]) -> None:
        self._connection = connection
        self._roots = roots

    async def look(self) -> Sample:
        """One sample, within a few milliseconds."""
        at, processes = time.perf_counter(), _processes()
        trees = {name: _tree(processes, roots) for name, roots in self._roots.items()}
        cpu = {name: sum(process.cpu for process in tree) for name, tree in trees.items() if tree}
        memory = sum(process.memory for process in trees.get("server", []))
        wal = await self._connection.fetchval("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")
        return Sample(at, cpu, memory, wal)


async def postmaster(connection: asyncpg.Connection) -> int | None:
    """The process id of the cluster's first process; None where the cluster is not on this machine."""
    pid = await connection.fetchval("select pg_backend_pid()")
    name = await connection.fetchval("select current_setting('cluster_name')")
    backend = _read(pid)
    return backend.parent if backend is not None and _is_postgres(backend.parent, name) else None


def _is_postgres(pid: int, cluster_name: str) -> bool:
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    return b"postgres" in command and cluster_name.encode() in command
