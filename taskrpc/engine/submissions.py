"""Use cases of asynchronous workflows over REST.

A workflow there is a definition, of whatever kind; a task there is a task or a workflow of it, by whichever door it
came.
"""

from collections.abc import Collection, Sequence
from typing import Final

from taskrpc.core.definition import Kind
from taskrpc.core.ids import is_id
from taskrpc.core.lifecycle import not_found
from taskrpc.core.model import Resource, Row
from taskrpc.core.submission import Submission, is_verbose, request_of, response_of
from taskrpc.engine.definitions import Definitions, definition_not_found
from taskrpc.engine.reading import Reading
from taskrpc.engine.requests import TaskRequest
from taskrpc.engine.tasks import Tasks
from taskrpc.engine.workflows import Workflows
from taskrpc.errors import TaskRpcError, invalid_params
from taskrpc.store.submissions import MOST_LISTED, Submissions

MOST_NAMED: Final = 20


class AsynchronousWorkflows:
    """Submits, watches and deletes; `name` is always that of the definition."""

    def __init__(
        self, store: Submissions, definitions: Definitions, tasks: Tasks, workflows: Workflows, reading: Reading
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._tasks = tasks
        self._workflows = workflows
        self._reading = reading

    async def submit(self, name: str, body: object, submission: Submission) -> str:
        """Creates a task or workflow; answers its id. Raises as their creation does, and `definition-not-found`."""
        if not isinstance(body, dict):
            raise invalid_params("body", "a JSON object is expected: the input of the workflow")
        request = TaskRequest(definition=name, params=body, submission=submission)
        create = self._workflows.create if await self._kind(name) == "workflow" else self._tasks.create
        task_id: str = (await create(request))["id"]
        return task_id

    async def _kind(self, name: str) -> Kind:
        """Of which kind new tasks of a name are.

        Raises `definition-not-found` where neither a definition nor a task has it, or the definition was deleted.
        """
        kind = self._definitions.kind(name)
        if kind is None:
            await self._definitions.look()
            kind = self._definitions.kind(name)
        if kind is None and not self._definitions.is_deleted(name):
            kind = await self._store.kind(name)
        if kind is None:
            raise definition_not_found(name)
        return kind

    async def _check_name(self, name: str) -> None:
        """Raises `definition-not-found` where neither a definition nor a task has the name."""
        if self._definitions.kind(name) is None and await self._store.kind(name) is None:
            await self._kind(name)

    async def _row(self, name: str, task_id: str) -> Row:
        row = await self._store.one(name, task_id) if is_id(task_id) else None
        if row is None:
            await self._check_name(name)
            raise not_found(task_id)
        return row

    async def status(self, name: str, task_id: str) -> str:
        """The status of one. Raises `task-not-found`, `definition-not-found`."""
        status: str = (await self._row(name, task_id))["submission_status"]
        return status

    async def statuses(self, name: str, ids: Sequence[str] | None, statuses: Collection[str] | None) -> dict[str, str]:
        """Ids and statuses of all; only of some ids, only of some statuses. What does not exist is left out."""
        if ids is None:
            found = await self._store.statuses(name, statuses)
            if len(found) > MOST_LISTED:
                raise invalid_params("taskIds", f"there are more than {MOST_LISTED} tasks: ask for some of them")
        else:
            found = await self._store.statuses_of(name, [task_id for task_id in ids if is_id(task_id)])
        if not found:
            await self._check_name(name)
        return {task_id: status for task_id, status in found.items() if statuses is None or status in statuses}

    async def request(self, name: str, task_id: str) -> object:
        """The body that it was created with."""
        return request_of(await self._row(name, task_id))

    async def response(self, name: str, task_id: str) -> object:
        """The outcome. Raises `task-not-finished`."""
        row = await self._row(name, task_id)
        history: list[Resource] = await self._reading.history(task_id) if is_verbose(row) else []
        return response_of(row, row["submission_status"], history)

    async def delete(self, name: str, task_id: str) -> None:
        """Ends one if need be and deletes it with all its traces. Raises `task-not-found`, and `task-not-finished` for
        what belongs to a workflow that is not done."""
        deleted = await self._store.delete(name, [task_id] if is_id(task_id) else [])
        if deleted.kept:
            raise _kept([task_id])
        if task_id not in deleted.ids:
            await self._check_name(name)
            raise not_found(task_id)

    async def delete_all(self, name: str, statuses: Collection[str] | None) -> None:
        """Ends and deletes all, or those in given statuses; what belongs to workflows that are not done stays, and is
        refused with `task-not-finished` when the others are deleted."""
        kept: set[str] = set()
        ids = list(await self._store.statuses(name, statuses))
        if not ids:
            await self._check_name(name)
        while ids:
            kept |= (await self._store.delete(name, ids, statuses)).kept
            more = len(ids) > MOST_LISTED and len(kept) < MOST_LISTED
            ids = [each for each in await self._store.statuses(name, statuses) if each not in kept] if more else []
        if kept:
            raise _kept(sorted(kept))


def _kept(ids: Sequence[str]) -> TaskRpcError:
    named = ", ".join(ids[:MOST_NAMED]) + (f" and {len(ids) - MOST_NAMED} more" if len(ids) > MOST_NAMED else "")
    return TaskRpcError(
        "task-not-finished",
        f"What belongs to a workflow that goes on is not deleted: {named}; cancel the workflow, or wait for its end",
        {"tasks": list(ids[:MOST_NAMED])},
    )
