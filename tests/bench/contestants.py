"""Who is measured beside each other: the service in its scenarios, the limit, a plain server, and the peers."""

import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

from taskrpc.bench.cluster import Cluster
from taskrpc.bench.measurement import Figures, measure
from taskrpc.bench.runner import Tell, run_scenario
from taskrpc.bench.scenarios import EXECUTORS, QUICK_SCALE, SCENARIOS, Scenario, Timing, scaled
from taskrpc.bench.servers import starting
from tests.bench.peers.installation import Installation

_PAYLOAD: Final = 300
_PRODUCERS: Final = 64
_PLAIN_SERVER: Final = (sys.executable, "-m", "tests.bench.plain_server")
_LIMIT: Final = (sys.executable, "-m", "tests.bench.limit")
_ONE_ROW: Final = (sys.executable, "-m", "tests.bench.one_row")

DURABLE: Final = "every step committed before it is acknowledged; result and log stored"


@dataclass(frozen=True, slots=True, eq=False)
class Contestant:
    """`run` measures it once. `durability` says what is kept and when; `skipped` why it cannot be measured here.

    `group` is `service`, `plain server`, `limit`, `update`, `peers`, or `pick-up` (their latency).
    """

    name: str
    title: str
    durability: str
    run: Callable[[Cluster, Timing, Tell], Awaitable[Figures]]
    latency_of: str = "call"
    group: str = "service"
    skipped: str | None = None


def _of_service(scenario: Scenario) -> Contestant:
    async def run(cluster: Cluster, timing: Timing, tell: Tell) -> Figures:
        return await run_scenario(scenario, cluster, timing, tell)

    return Contestant(scenario.name, scenario.title, DURABLE, run, scenario.latency_of)


def _plain(executors: int) -> Contestant:
    scenario = SCENARIOS[f"single-{executors}"]
    start = starting(_PLAIN_SERVER)

    async def run(cluster: Cluster, timing: Timing, tell: Tell) -> Figures:
        return await run_scenario(scenario, cluster, timing, tell, start)

    title = f"plain server, {scenario.title}"
    return Contestant(f"plain-{executors}", title, DURABLE, run, group="plain server")


async def _run_on_schema(command: Sequence[str], cluster: Cluster, timing: Timing, tell: Tell) -> Figures:
    async with cluster.database() as url:
        order = {"database_url": url, "payload": _PAYLOAD, "seconds": timing.seconds, "warm_up": timing.warm_up}
        return await measure(command, orjson.dumps(order), cluster)


@dataclass(frozen=True, slots=True)
class _Mode:
    """One way of work, as tests/bench/peers/workload.py describes them, and what it means for this peer."""

    name: str
    means: str
    batch: int = 1
    most_waiting: int = _PRODUCERS


@dataclass(frozen=True, slots=True)
class _Peer:
    """A peer: its program, how it is installed, what it keeps, and how many jobs it is given to drain."""

    name: str
    title: str
    program: str
    in_python: bool
    durability: str
    jobs: int
    modes: Sequence[_Mode]


_ONE_BY_ONE: Final = _Mode("single", "enqueued and processed one by one")
_PICK_UP: Final = _Mode("pick-up", "one job in an idle system")
_PEERS: Final = (
    _Peer(
        "pgqueuer",
        "PgQueuer",
        "tests.bench.peers.pgqueuer_jobs",
        True,
        "enqueue committed; completions buffered: a crash repeats jobs; no results; log of statuses",
        30_000,
        (
            _ONE_BY_ONE,
            _Mode("single", "enqueued one by one, processed in hundreds", 100, 200),
            _Mode("drain", "queue drained in hundreds", 100),
            _PICK_UP,
        ),
    ),
    _Peer(
        "procrastinate",
        "Procrastinate",
        "tests.bench.peers.procrastinate_jobs",
        True,
        "every step committed; no results; log of events",
        2_000,
        (_ONE_BY_ONE, _Mode("drain", "queue drained, 30 jobs at a time"), _PICK_UP),
    ),
    _Peer(
        "pg-boss",
        "pg-boss",
        "pg_boss.mjs",
        False,
        "every step committed; results could be kept; no log",
        30_000,
        (
            _Mode("single", "enqueued one by one, polled every 0.5 s in hundreds", 100, 5_000),
            _Mode("drain", "queue drained in hundreds", 100),
            _PICK_UP,
        ),
    ),
    _Peer(
        "graphile",
        "Graphile Worker",
        "graphile_worker.mjs",
        False,
        "every step committed; done jobs are deleted; no results, no log",
        60_000,
        (_ONE_BY_ONE, _Mode("drain", "queue drained, local queue of 500, completions in batches", 500), _PICK_UP),
    ),
)


def _of_peer(peer: _Peer, mode: _Mode, installation: Installation, scale: int) -> Contestant:
    async def run(cluster: Cluster, timing: Timing, tell: Tell) -> Figures:
        async with cluster.empty_database() as url:
            order = {
                "database": _connection(url),
                "mode": mode.name,
                "batch": mode.batch,
                "payload": _PAYLOAD,
                "producers": _PRODUCERS,
                "most_waiting": mode.most_waiting,
                "jobs": peer.jobs // scale,
                "seconds": timing.seconds,
                "warm_up": timing.warm_up,
            }
            return await measure((*installation.command, peer.program), orjson.dumps(order), cluster)

    name = f"{peer.name}-{mode.name}{f'-{mode.batch}' if mode.name == 'single' else ''}"
    group = "pick-up" if mode is _PICK_UP else "peers"
    return Contestant(name, f"{peer.title}, {mode.means}", peer.durability, run, "job", group, installation.reason)


def _connection(url: str) -> dict[str, object]:
    """A URL as the parameters that drivers of all languages know."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    given = {
        "host": parts.hostname or query.get("host", ["localhost"])[0],
        "port": parts.port or int(query.get("port", ["5432"])[0]),
        "user": unquote(parts.username or "postgres"),
        "password": unquote(parts.password) if parts.password else None,
        "database": parts.path.removeprefix("/"),
    }
    return {name: value for name, value in given.items() if value is not None}


def contestants(python: Installation, node: Installation, quick: bool) -> Iterator[Contestant]:
    """All of them, those that are compared beside each other."""
    scale = QUICK_SCALE if quick else 1
    service = {name: _of_service(scaled(scenario, scale)) for name, scenario in SCENARIOS.items()}
    for executors in EXECUTORS:
        yield service.pop(f"single-{executors}")
        yield _plain(executors)
    yield Contestant(
        "limit", "the limit: the statements in arrays of 100, without HTTP", DURABLE,
        partial(_run_on_schema, _LIMIT), "statement", "limit",
    )  # fmt: skip
    yield Contestant(
        "one-row", "one row updated, one connection", DURABLE, partial(_run_on_schema, _ONE_ROW), "update", "update"
    )
    for peer in _PEERS:
        for mode in peer.modes:
            yield _of_peer(peer, mode, python if peer.in_python else node, scale)
    yield from service.values()
