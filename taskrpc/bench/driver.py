"""The program of a load's process: `python -m taskrpc.bench.driver`, a plan on standard input, events on output."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import uvloop

from taskrpc.bench import claims, drain, heartbeats, life_cycle, waiting
from taskrpc.bench.connection import LoadError
from taskrpc.bench.plan import Plan
from taskrpc.bench.window import Window, read_order, say, wait_for_dismissal

BEHAVIOURS: Final[Mapping[str, Callable[[Plan, Window], Awaitable[None]]]] = {
    "life-cycle": life_cycle.run,
    "success-and-poll": life_cycle.run,
    "drain": drain.run,
    "waiting": waiting.run,
    "heartbeats": heartbeats.run,
    "claims": claims.run,
}


async def _drive(plan: Plan) -> None:
    await BEHAVIOURS[plan.behaviour](plan, Window())


def main() -> int:
    """Carries out one plan; exit status 1, after an event that says why, when the load could not be put on."""
    try:
        uvloop.run(_drive(Plan.decode(read_order())))
    except LoadError as error:
        say("failed", message=str(error))
        return 1
    wait_for_dismissal()
    return 0


if __name__ == "__main__":
    sys.exit(main())
