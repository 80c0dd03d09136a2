"""PgQueuer under the work of workload.py, as its guide to performance says: asyncpg, one connection for the worker and
a pool for producers, `pgq autovac`, durability as it comes (durable). The order says how many jobs a batch has."""

import json
from datetime import timedelta
from importlib import import_module
from typing import Any

from tests.bench.peers.workload import Workload

asyncpg: Any = import_module("asyncpg")
uvloop: Any = import_module("uvloop")
pgqueuer: Any = import_module("pgqueuer")
drivers: Any = import_module("pgqueuer.db")
queries: Any = import_module("pgqueuer.queries")

POOL = 20


async def main() -> None:
    """One run."""
    workload = Workload()
    database = workload.order["database"]
    connection = await asyncpg.connect(**database)
    pool = await asyncpg.create_pool(**database, min_size=5, max_size=POOL)
    worker = pgqueuer.PgQueuer(drivers.AsyncpgDriver(connection))
    await queries.Queries(drivers.AsyncpgDriver(connection)).install()
    await queries.Queries(drivers.AsyncpgDriver(connection)).optimize_autovacuum()
    producer = queries.Queries(drivers.AsyncpgPoolDriver(pool))

    @worker.entrypoint("job")  # type: ignore[untyped-decorator]
    async def job(job: Any) -> None:
        workload.handled(json.loads(job.payload))

    async def enqueue(job: dict[str, Any]) -> None:
        await producer.enqueue("job", json.dumps(job).encode())

    async def enqueue_many(jobs: list[dict[str, Any]]) -> None:
        payloads = [json.dumps(job).encode() for job in jobs]
        await producer.enqueue(["job"] * len(jobs), payloads, [0] * len(jobs))

    async def work() -> None:
        await worker.run(batch_size=workload.order["batch"], dequeue_timeout=timedelta(seconds=30))

    async def unfinished() -> int:
        return int(await pool.fetchval("select count(*) from pgqueuer"))

    await workload.run(enqueue, enqueue_many, work, unfinished)


uvloop.run(main())
