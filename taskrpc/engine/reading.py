"""Lists and histories, for people and programs; on connections of their own, so that no search stops the queue."""

import asyncio
from dataclasses import dataclass
from typing import Final

from taskrpc.core.ids import is_id
from taskrpc.core.model import Resource, log_resource, task_resource
from taskrpc.errors import TaskRpcError, invalid_params
from taskrpc.store.claims import MOST_ANSWER_BYTES
from taskrpc.store.database import Database

MOST_COUNTED: Final = 100_000
MOST_LOG_ROWS: Final = 1000
LEAST_RESOURCE_BYTES: Final = 512


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list of tasks or workflows is narrowed to; None and empty mean no such condition.

    Of `paths`, correlationId has an index of its own.
    """

    kinds: tuple[str, ...] = ("task", "decision")
    definitions: list[str] | None = None
    definitions_left_out: list[str] | None = None
    statuses: list[str] | None = None
    outcomes: list[str] | None = None
    substring: str | None = None
    paths: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list, in which order; `number` counts from 1."""

    count: int
    number: int = 1
    sort: str = "createdAt"
    descending: bool = True


class Reading:
    """Reads resources; raises `unavailable` for a search that takes too long."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def tasks(self, narrow: Filter, page: Page) -> tuple[list[Resource], int]:
        """One page of resources, and how many there are in all (counted up to MOST_COUNTED)."""
        substring = narrow.substring.lower() if narrow.substring else None
        correlation = dict(reversed(narrow.paths)).get("correlationId")
        paths = [each for each in narrow.paths if each != ("correlationId", correlation)]
        args = [
            list(narrow.kinds),
            narrow.definitions,
            narrow.definitions_left_out,
            narrow.statuses,
            narrow.outcomes,
            substring,
            [path for path, _ in paths],
            [value for _, value in paths],
            correlation,
        ]
        skip = (page.number - 1) * page.count
        listed, total = await asyncio.gather(
            self._database.read("list_ids", *args, page.sort, page.descending, page.count, skip),
            self._database.read("list_total", *args, MOST_COUNTED),
        )
        if sum(row["bytes"] for row in listed) > MOST_ANSWER_BYTES and len(listed) > 1:
            raise invalid_params("count", "the page would be larger than 32 MiB; ask for fewer at a time")
        ids = [row["id"] for row in listed]
        rows = {row["id"]: row for row in await self._database.read("tasks_by_id", ids)}
        return [task_resource(rows[task_id]) for task_id in ids if task_id in rows], total[0][0]

    async def task(self, kinds: tuple[str, ...], task_id: str) -> Resource:
        """One resource; raises `not-found`."""
        rows = await self._database.read("tasks_by_id", [task_id]) if is_id(task_id) else []
        if not rows or rows[0]["kind"] not in kinds:
            raise TaskRpcError("not-found", f"There is no such resource: {task_id[:80]!r}")
        return task_resource(rows[0])

    async def children(self, workflow_id: str, kinds: tuple[str, ...], param: str) -> list[Resource]:
        """What belongs to a workflow, in the order of its creation; `param` is what asks for it, if it is too much."""
        (size,) = await self._database.read("count_children", workflow_id, kinds)
        if size["bytes"] + size["number"] * LEAST_RESOURCE_BYTES > MOST_ANSWER_BYTES:
            raise invalid_params(
                param, f"{size['number']} resources would be more than 32 MiB; use lists, page by page"
            )
        return [task_resource(row) for row in await self._database.read("children", workflow_id, kinds)]

    async def history(self, task_id: str) -> list[Resource]:
        """The log of one task, oldest first."""
        rows = await self._database.read("log_of_task", task_id, MOST_LOG_ROWS)
        return [log_resource(row) for row in rows]

    async def log_entry(self, entry_id: str) -> Resource:
        """One entry of the log; raises `not-found`."""
        task_id, _, number = entry_id.rpartition(".")
        if is_id(task_id) and number.isascii() and number.isdigit() and len(number) < 19:
            rows = await self._database.read("log_entry", task_id, int(number))
            if rows:
                return log_resource(rows[0])
        raise TaskRpcError("not-found", f"There is no such resource: {entry_id[:80]!r}")

    async def log(self, paths: tuple[tuple[str, str], ...], page: Page) -> tuple[list[Resource], int]:
        """One page of the log, and how many entries there are (counted up to MOST_COUNTED)."""
        subject = next((value for path, value in paths if path == "subject.id"), None)
        args = [subject, [path for path, _ in paths], [value for _, value in paths]]
        skip = (page.number - 1) * page.count
        rows, total = await asyncio.gather(
            self._database.read("list_log", *args, page.descending, page.count, skip),
            self._database.read("list_log_total", *args, MOST_COUNTED),
        )
        return [log_resource(row) for row in rows], total[0][0]

    async def settings(self, task_id: str) -> Resource:
        """The timeouts, retries and limits of a task's own revision of its definition."""
        row = (await self._database.read("settings_of_task", task_id))[0]
        settings: Resource = {
            "requestedToStartTimeout": row["requested_timeout"],
            "inProgressTimeout": row["run_timeout"],
            "allowedRetryCount": row["allowed_retry_count"],
            "retryDelay": row["retry_delay"],
            "retryBackoff": {
                key: value
                for key, value in (
                    ("factor", row["backoff_factor"]),
                    ("max", row["backoff_max"]),
                    ("jitter", row["backoff_jitter"]),
                )
                if value is not None
            },
        }
        further = {"timeout": "timeout", "concurrencyLimit": "concurrency_limit", "queueLimit": "queue_limit"}
        return settings | {key: row[column] for key, column in further.items() if row[column] is not None}
