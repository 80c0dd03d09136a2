"""Procrastinate under the work of workload.py: the asynchronous connector, and the concurrency of its guide (30)."""

import logging
from importlib import import_module
from typing import Any

from tests.bench.peers.workload import Workload

uvloop: Any = import_module("uvloop")
procrastinate: Any = import_module("procrastinate")

CONCURRENCY = 30
POOL = 32


async def main() -> None:
    """One run."""
    logging.disable(logging.WARNING)
    workload = Workload()
    database = dict(workload.order["database"])
    database["dbname"] = database.pop("database")
    connector = procrastinate.PsycopgConnector(kwargs=database, min_size=4, max_size=POOL)
    app = procrastinate.App(connector=connector)

    @app.task(name="job")  # type: ignore[untyped-decorator]
    async def job(**job: Any) -> None:
        workload.handled(job)

    async def enqueue(payload: dict[str, Any]) -> None:
        await job.defer_async(**payload)

    async def enqueue_many(payloads: list[dict[str, Any]]) -> None:
        await job.batch_defer_async(*payloads)

    async def work() -> None:
        await app.run_worker_async(concurrency=CONCURRENCY, install_signal_handlers=False)

    async def unfinished() -> int:
        query = "select count(*) as jobs from procrastinate_jobs where status in ('todo', 'doing')"
        return int((await connector.execute_query_one_async(query))["jobs"])

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await workload.run(enqueue, enqueue_many, work, unfinished)


uvloop.run(main())
