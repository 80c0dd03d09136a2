"""The scenarios: each a load, the servers that it is put on, and what lies in their database before."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from taskrpc.bench.plan import Plan

EXECUTORS: Final = (1, 8, 64, 256)


@dataclass(frozen=True, slots=True)
class Scenario:
    """`load` holds everything but the servers' URLs and times. `calls` is how many a task takes, 0 where it varies.

    `latency_of` is what is timed. `servers` are so many `taskrpc serve` with ports of their own, with these `options`.
    `done` and `ready` are rows in the database before.
    """

    name: str
    title: str
    load: Plan
    latency_of: str = "call"
    calls: int = 4
    servers: int = 1
    options: tuple[str, ...] = ()
    done: int = 0
    ready: int = 0
    old_snapshot: bool = False


@dataclass(frozen=True, slots=True)
class Timing:
    """How long each run is measured, after how much warm-up, in seconds."""

    seconds: float = 5.0
    warm_up: float = 1.0


# For trying things out: what comes of it means nothing.
QUICK: Final = Timing(seconds=0.5, warm_up=0.2)
QUICK_SCALE: Final = 200


def _life_cycles() -> Iterator[Scenario]:
    for executors in EXECUTORS:
        title = f"{executors} executor{'s' if executors > 1 else ''}, single calls"
        yield Scenario(f"single-{executors}", title, Plan("life-cycle", executors=executors))
    for executors in EXECUTORS[1:]:
        title = f"{executors} executors, `success` with `poll`"
        yield Scenario(f"success-and-poll-{executors}", title, Plan("success-and-poll", executors=executors), calls=2)
    for length in (10, 100):
        load = Plan("life-cycle", executors=8, array=length)
        title = f"8 executors, arrays of {length}"
        yield Scenario(f"arrays-{length}", title, load, latency_of="body", calls=0)
    load = Plan("drain", executors=8, array=100, queued=60_000)
    yield Scenario("drain-100", "8 executors, queue drained in arrays of 100", load, latency_of="body", calls=0)
    for servers in (2, 4):
        title = f"256 executors, single calls, {servers} server processes"
        yield Scenario(f"servers-{servers}", title, Plan("life-cycle", executors=256), servers=servers)
    for workers in (2, 4):
        title = f"256 executors, single calls, `--workers {workers}`"
        options = ("--workers", str(workers))
        yield Scenario(f"workers-{workers}", title, Plan("life-cycle", executors=256), options=options)
    for size, name in ((20_000, "20 kB"), (200_000, "200 kB")):
        title = f"8 executors, single calls, payloads of {name}"
        yield Scenario(f"payload-{size // 1000}k", title, Plan("life-cycle", executors=8, payload=size))
    title = "64 executors, single calls, YAML"
    yield Scenario("yaml-64", title, Plan("life-cycle", executors=64, form="yaml"))


def _waiting() -> Iterator[Scenario]:
    for servers in (1, 2):
        where = ", created on another server" if servers > 1 else ""
        for polls in (1, 1_000, 10_000):
            title = f"wake-up with {polls:,} waiting poll{'s' if polls > 1 else ''}{where}"
            load = Plan("waiting", waiting=polls)
            yield Scenario(
                f"wake-up-{polls}-of-{servers}", title, load, latency_of="delivery", calls=0, servers=servers
            )
    load = Plan("waiting", waiting=10_000, burst=10_000)
    title = "10,000 tasks for 10,000 waiting polls"
    yield Scenario("burst-10000", title, load, latency_of="delivery", calls=0)


def _claims() -> Iterator[Scenario]:
    def claims(name: str, title: str, done: int = 0, ready: int = 0, churn: int = 0) -> Scenario:
        load = Plan("claims", churn=churn)
        return Scenario(
            f"claims-{name}", title, load, latency_of="poll", done=done, ready=ready, old_snapshot=bool(churn)
        )

    yield claims("empty", "claims, nothing else in the queue")
    yield claims("1m-done", "claims with 1 M done rows", done=1_000_000)
    yield claims("10m-done", "claims with 10 M done rows", done=10_000_000)
    yield claims("10m-done-1m-ready", "claims with 10 M done and 1 M ready rows", done=10_000_000, ready=1_000_000)
    yield claims("old-snapshot", "claims under an old snapshot after 100,000 tasks", churn=100_000)


def _heartbeats() -> Iterator[Scenario]:
    load = Plan("heartbeats", executors=64, running=10_000)
    yield Scenario("heartbeats", "heartbeats of 10,000 running tasks, 64 connections", load, calls=1)


SCENARIOS: Final[Mapping[str, Scenario]] = {
    scenario.name: scenario for scenario in (*_life_cycles(), *_waiting(), *_heartbeats(), *_claims())
}


def scaled(scenario: Scenario, by: int) -> Scenario:
    """The scenario with the numbers that take long divided; its title says so."""
    load = scenario.load
    smaller = replace(
        load,
        waiting=_divided(load.waiting, by),
        burst=_divided(load.burst, by),
        running=_divided(load.running, by),
        queued=_divided(load.queued, by),
        churn=_divided(load.churn, by),
    )
    done, ready = _divided(scenario.done, by), _divided(scenario.ready, by)
    if (smaller, done, ready) == (load, scenario.done, scenario.ready):
        return scenario
    return replace(scenario, title=f"{scenario.title} (divided by {by})", load=smaller, done=done, ready=ready)


def _divided(number: int, by: int) -> int:
    return max(number // by, min(number, 1))
