"""What rules start: their requests become tasks and workflows, inside the transaction of whoever asks for it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from taskrpc.core.definition import Definition
from taskrpc.core.rule import Rule
from taskrpc.engine.definitions import Definitions
from taskrpc.engine.execution_starts import Starts
from taskrpc.engine.requests import TaskRequest, new_task
from taskrpc.errors import TaskRpcError
from taskrpc.store.creations import Inserted, NewTask, insert
from taskrpc.store.database import Connection
from taskrpc.store.statements import SQL
from taskrpc.store.workflows import NewWorkflow, insert_workflows

Activity = NewTask | NewWorkflow


class OutdatedDefinitions(Exception):
    """A definition has a newer revision than this server knew: the transaction is to be tried again."""


class Activities:
    """Prepares and starts what rules ask for."""

    def __init__(self, definitions: Definitions, starts: Starts) -> None:
        self._definitions = definitions
        self._starts = starts

    async def prepare(
        self, rule: Rule, activity_id: str, requester: Mapping[str, object], params: Mapping[str, Any] | None
    ) -> Activity:
        """What a rule asks for, checked against its definition. Raises `invalid-params`, `definition-not-found`."""
        while True:
            known = self._definitions.newest
            try:
                return await self._prepare(rule, activity_id, requester, params)
            except TaskRpcError:
                await self._definitions.look()
                if self._definitions.newest == known:
                    raise

    async def _prepare(
        self, rule: Rule, activity_id: str, requester: Mapping[str, object], params: Mapping[str, Any] | None
    ) -> Activity:
        request = TaskRequest(
            id=activity_id,
            definition=rule.request.definition,
            params=params,
            label=rule.request.label,
            priority=rule.request.priority,
            requester=requester,
        )
        definition = self._definition(rule)
        if rule.starts == "workflow":
            return await self._starts.workflow(request, definition, activity_id)
        return new_task(request, definition, activity_id)

    def _definition(self, rule: Rule) -> Definition:
        of = self._definitions.of_workflow if rule.starts == "workflow" else self._definitions.of_task
        return of(rule.request.definition, f"{rule.starts}-request.definition")

    async def check_definition(self, rule: Rule) -> None:
        """Raises `definition-not-found` for a rule of an unknown definition where only defined ones are allowed, and
        `invalid-params` for one of the other kind."""
        await self._definitions.look()
        self._definition(rule)

    async def check(self, rule: Rule) -> None:
        """Refuses a rule whose request would be refused now; the paths of its mistakes begin with its request."""
        try:
            await self.prepare(rule, "checked", {}, rule.request.params)
        except TaskRpcError as refusal:
            raise _within(f"{rule.starts}-request", refusal) from None

    async def start(self, connection: Connection, activities: Sequence[Activity]) -> Inserted:
        """Starts activities inside the caller's transaction, once for each id. Raises OutdatedDefinitions."""
        inserted = await insert(connection, [each for each in activities if isinstance(each, NewTask)])
        workflows = [each for each in activities if isinstance(each, NewWorkflow)]
        inserted = replace(inserted, rows=[*inserted.rows, *await insert_workflows(connection, workflows)])
        known = {row["id"] for row in inserted.rows} | inserted.refused.keys()
        missing = [activity.id for activity in activities if activity.id not in known]
        if missing:
            there = await connection.fetch(SQL["tasks_by_id"], missing)
            if len(there) < len(missing):
                await self._definitions.look()
                raise OutdatedDefinitions
        return inserted


def _within(name: str, refusal: TaskRpcError) -> TaskRpcError:
    errors: Any = (refusal.data or {}).get("errors")
    if refusal.type != "invalid-params" or not errors or errors[0]["path"].startswith(name):
        return refusal
    placed = [{**error, "path": f"{name}.{error['path']}"} for error in errors]
    first = placed[0]
    return TaskRpcError(refusal.type, f"{first['path']}: {first['message']}", {"errors": placed})
