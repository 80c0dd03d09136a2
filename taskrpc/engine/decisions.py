"""What the decisions of workflows say: checked against definitions and made ready, before any of it takes effect."""

from collections.abc import Sequence
from typing import Final

from taskrpc.core.lifecycle import Call
from taskrpc.core.model import Row
from taskrpc.core.workflow import Decision, End, Schedule, parse_decision
from taskrpc.engine.definitions import Definitions
from taskrpc.engine.execution_starts import Starts
from taskrpc.engine.requests import TaskRequest, json_text, new_task
from taskrpc.errors import Mistake, TaskRpcError, invalid_params_of, mistakes_of
from taskrpc.store.batcher import Batcher, Spawn
from taskrpc.store.creations import NewTask
from taskrpc.store.database import Database
from taskrpc.store.decisions import Decided, OutdatedDefinitions
from taskrpc.store.decisions import Decisions as DecisionStore
from taskrpc.store.signals import Signals
from taskrpc.store.transitions import Done
from taskrpc.store.workflows import Ending, NewWorkflow

_MOST_CHECKS: Final = 5


class Decisions:
    """Carries out what decisions say."""

    def __init__(
        self, database: Database, signals: Signals, spawn: Spawn, definitions: Definitions, starts: Starts
    ) -> None:
        self._definitions = definitions
        self._starts = starts
        self._batcher: Batcher[Decided, Done | OutdatedDefinitions] = Batcher(
            "decide", database, spawn, DecisionStore(database, signals).run
        )

    async def succeed(self, call: Call, row: Row, result: object) -> Done:
        """Ends a decision whose row was seen, with the actions that are its result, all of them or none.

        Raises `invalid-params` for actions that cannot be carried out, and what other calls of an execution raise.
        """
        decision = parse_decision(result)
        for _ in range(_MOST_CHECKS):
            outcome = await self._batcher.submit(await self._decided(call, row, result, decision))
            if isinstance(outcome, Done):
                return outcome
            await self._definitions.reload()
        raise TaskRpcError("unavailable", f"The definitions that {call.task_id} needs change all the time; try again")

    async def _decided(self, call: Call, row: Row, result: object, decision: Decision) -> Decided:
        tasks, workflows = await self._requested(decision.schedules, row["parent_id"], call.call_id)
        ending = None if decision.end is None else await self._ending(decision.end, row)
        return Decided(call, row["parent_id"], json_text(result), tasks, workflows, ending)

    async def _requested(
        self, schedules: Sequence[Schedule], workflow_id: str, call_id: str
    ) -> tuple[tuple[NewTask, ...], tuple[NewWorkflow, ...]]:
        """What is to be started; raises `invalid-params` that lists all that does not fit the newest definitions."""
        while True:
            known = self._definitions.newest
            found: list[Mistake] = []
            new: list[NewTask | NewWorkflow] = []
            for schedule in schedules:
                try:
                    new.append(await self._new(schedule, workflow_id, call_id))
                except TaskRpcError as refusal:
                    found += mistakes_of(refusal, f"{schedule.path}.definition")
            if not found:
                tasks = tuple(each for each in new if isinstance(each, NewTask))
                return tasks, tuple(each for each in new if isinstance(each, NewWorkflow))
            if not await self._definitions.changed_since(known):
                raise invalid_params_of(found)

    async def _new(self, schedule: Schedule, workflow_id: str, call_id: str) -> NewTask | NewWorkflow:
        request = TaskRequest(
            definition=schedule.definition,
            params=schedule.params,
            label=schedule.label,
            requester={"id": workflow_id, "resourceType": "AidboxWorkflow"},
            parent_id=workflow_id,
        )
        place, params = f"{schedule.path}.definition", f"{schedule.path}.params"
        if schedule.kind == "task":
            return new_task(request, self._definitions.of_task(schedule.definition, place), call_id, params)
        definition = self._definitions.of_workflow(schedule.definition, place)
        return await self._starts.workflow(request, definition, call_id, params)

    async def _ending(self, end: End, row: Row) -> Ending:
        """The end of a workflow; its result or error is checked against its own revision of its definition."""
        definition = await self._definitions.by_rev(row["rev"])
        result, error = end.result, end.error
        if definition is not None and end.outcome == "succeeded" and definition.result_schema is not None:
            result = definition.result_schema.check(result, f"{end.path}.result")
        if definition is not None and end.outcome == "failed" and definition.error_schema is not None:
            error = definition.error_schema.check(error, f"{end.path}.error")
        return Ending(
            id=row["parent_id"],
            outcome=end.outcome,
            action=end.action,
            result=json_text(result),
            error=json_text(error),
            reason=json_text(end.reason),
        )
