"""What rules start: the one place where a request becomes a task, inside the transaction of whoever asks for it."""

from collections.abc import Mapping, Sequence
from typing import Any

from taskrpc.core.definition import Definition
from taskrpc.core.rule import Rule
from taskrpc.engine.definitions import Definitions
from taskrpc.engine.requests import TaskRequest, new_task
from taskrpc.errors import TaskRpcError, invalid_params
from taskrpc.store.creations import Inserted, NewTask, insert
from taskrpc.store.database import Connection
from taskrpc.store.statements import SQL


class OutdatedDefinitions(Exception):
    """A definition has a newer revision than this server knew: the transaction is to be tried again."""


class Activities:
    """Prepares and starts what rules ask for."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    async def prepare(
        self, rule: Rule, activity_id: str, requester: Mapping[str, object], params: Mapping[str, Any] | None
    ) -> NewTask:
        """What a rule asks for, checked against its definition. Raises `invalid-params`, `definition-not-found`."""
        while True:
            known = self._definitions.newest
            try:
                return self._prepare(rule, activity_id, requester, params)
            except TaskRpcError:
                await self._definitions.look()
                if self._definitions.newest == known:
                    raise

    def _prepare(
        self, rule: Rule, activity_id: str, requester: Mapping[str, object], params: Mapping[str, Any] | None
    ) -> NewTask:
        definition = self._definition(rule)
        request = TaskRequest(
            id=activity_id,
            definition=rule.request.definition,
            params=params,
            label=rule.request.label,
            priority=rule.request.priority,
            requester=requester,
        )
        return new_task(request, definition, activity_id, activity_id)

    def _definition(self, rule: Rule) -> Definition:
        if rule.starts == "workflow":
            raise invalid_params("workflow-request", "workflows are not there yet; use task-request")
        return self._definitions.of_task(rule.request.definition)

    async def check_definition(self, rule: Rule) -> None:
        """Raises `definition-not-found` for a rule of an unknown definition where only defined ones are allowed."""
        await self._definitions.look()
        self._definition(rule)

    async def check(self, rule: Rule) -> None:
        """Refuses a rule whose request would be refused now; the paths of its mistakes begin with its request."""
        try:
            await self.prepare(rule, "checked", {}, rule.request.params)
        except TaskRpcError as refusal:
            raise _within(f"{rule.starts}-request", refusal) from None

    async def start(self, connection: Connection, activities: Sequence[NewTask]) -> Inserted:
        """Starts activities inside the caller's transaction, once for each id. Raises OutdatedDefinitions."""
        inserted = await insert(connection, activities)
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
