"""`python -m tests.bench.retention`: what deleting a million done tasks costs the executors that work meanwhile.

Measures how long polls take that find a task, first alone and then while one server deletes, by retention and by a
clean-up. The exit status is 1 where the median is more than twice the usual one. A quick try: `--tasks 20000`.
"""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Final

import asyncpg

from taskrpc.bench.ballast import fill
from taskrpc.bench.cluster import Cluster, opened
from taskrpc.bench.messages import DEFINITION
from taskrpc.bench.servers import serving
from taskrpc.core.built_in import CLEAN_UP
from tests.bench.at_work import HEADINGS, Phase, at_work
from tests.databases import connected
from tests.system.wire import connection

MOST_TIMES: Final = 2.0
_LOOK_SECONDS: Final = 0.25
# The ballast's ids are of long ago; looking for one costs next to nothing, counting them would be felt.
_LEFT: Final = "select exists (select from taskrpc.task where id < '01' and name = $1)"


async def _gone(database: asyncpg.Connection) -> None:
    while await database.fetchval(_LEFT, DEFINITION):  # noqa: ASYNC110  (nobody tells)
        await asyncio.sleep(_LOOK_SECONDS)


@contextlib.asynccontextmanager
async def _filled(cluster: Cluster, tasks: int) -> AsyncIterator[tuple[str, asyncpg.Connection]]:
    async with cluster.database() as url:
        await fill(url, tasks, 0, lambda text: print(text, file=sys.stderr))
        await cluster.settle()
        async with connected(url) as database:
            yield url, database


async def _usual(url: str, options: argparse.Namespace) -> Phase:
    async with serving(url, 1) as servers:
        await at_work("", servers.urls[0], options.executors, lambda: asyncio.sleep(2))
        return await at_work("alone", servers.urls[0], options.executors, lambda: asyncio.sleep(options.seconds))


async def _by_retention(cluster: Cluster, options: argparse.Namespace) -> tuple[Phase, Phase]:
    async with _filled(cluster, options.tasks) as (url, database):
        usual = await _usual(url, options)
        await database.execute("update taskrpc.task set expire_at = now() where name = $1", DEFINITION)
        await database.execute("vacuum analyze taskrpc.task")
        async with serving(url, 1) as servers:
            over = at_work("while expiring", servers.urls[0], options.executors, lambda: _gone(database))
            return usual, await over


async def _by_clean_up(cluster: Cluster, options: argparse.Namespace) -> tuple[Phase, Phase]:
    async with _filled(cluster, options.tasks) as (url, database):
        usual = await _usual(url, options)
        async with serving(url, 1) as servers, connection(servers.urls[0]) as wire:
            rules = [{"retentionPolicy": {"unit": "minute", "value": 0}, "includeDefinitions": [DEFINITION]}]
            await wire.call("awf.task/create-and-execute", definition=CLEAN_UP, params={"rules": rules})
            over = at_work("while cleaning up", servers.urls[0], options.executors, lambda: _gone(database))
            return usual, await over


async def _run(options: argparse.Namespace) -> int:
    print(HEADINGS)
    status = 0
    async with opened(options.database_url) as cluster:
        for measure in (_by_retention, _by_clean_up):
            usual, deleting = await measure(cluster, options)
            print(usual.line(), deleting.line(usual), sep="\n", flush=True)
            if deleting.median > MOST_TIMES * usual.median:
                status = 1
    return status


def main() -> int:
    """Measures and prints a table; answers the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.retention", description=__doc__)
    parser.add_argument("--tasks", type=int, default=1_000_000, help="done tasks to be deleted; default 1000000")
    parser.add_argument("--executors", type=int, default=8, help="how many work meanwhile; default 8")
    parser.add_argument("--seconds", type=float, default=10, help="how long they are measured alone; default 10")
    parser.add_argument("--database-url", help="PostgreSQL to use; without, an embedded one")
    return asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
