"""Use cases of workflows: they are created, waited for and canceled; what is in between are decisions."""

from collections.abc import Awaitable, Callable

from taskrpc.core.ids import is_id, serial_id, uuid7
from taskrpc.core.lifecycle import Call, not_found
from taskrpc.core.model import Row
from taskrpc.engine.caller import Caller
from taskrpc.engine.definitions import Definitions
from taskrpc.engine.execution_starts import Starts
from taskrpc.engine.pump import Pump
from taskrpc.engine.requests import TaskRequest, already_exists
from taskrpc.engine.results import Results
from taskrpc.errors import TaskRpcError
from taskrpc.store.batcher import Batcher, Spawn
from taskrpc.store.creations import Created, Exists, OutdatedDefinition
from taskrpc.store.database import Database
from taskrpc.store.signals import Signals
from taskrpc.store.transitions import Answer, Kind, TransitionElement, Transitions
from taskrpc.store.workflows import NewWorkflow, WorkflowCreations

_CANCEL = Kind("cancel_workflows", of_execution=False)


class Workflows:
    """Creates workflows and ends them for those who do not want them any more."""

    def __init__(
        self,
        database: Database,
        signals: Signals,
        spawn: Spawn,
        definitions: Definitions,
        starts: Starts,
        results: Results,
        pump: Pump,
    ) -> None:
        self._database = database
        self._definitions = definitions
        self._starts = starts
        self._results = results
        self._pump = pump
        self._creations: Batcher[NewWorkflow, Created | Exists | OutdatedDefinition] = Batcher(
            "create workflow", database, spawn, WorkflowCreations(database, signals).run
        )
        self._cancels: Batcher[TransitionElement, Answer] = Batcher(
            "cancel workflow", database, spawn, Transitions(_CANCEL, database, signals).run
        )

    async def create(self, request: TaskRequest) -> Row:
        """The row of the new workflow; its first decision can be polled. Raises `workflow-already-exists`, …"""
        call_id, request = serial_id(), request._replace(id=request.id or uuid7())
        submitted = request.submission is not None

        async def prepare() -> NewWorkflow:
            definition = self._definitions.of_workflow(request.definition, submitted=submitted)
            return await self._starts.workflow(request, definition, call_id)

        return await self.begin(prepare)

    async def begin(self, prepare: Callable[[], Awaitable[NewWorkflow]]) -> Row:
        """The row of the new workflow that `prepare` makes, once more where definitions have changed."""
        while True:
            known = self._definitions.newest
            try:
                workflow = await prepare()
            except TaskRpcError:
                if not await self._definitions.changed_since(known):
                    raise
                continue
            outcome = await self._creations.submit(workflow)
            if isinstance(outcome, Created):
                return outcome.row
            if isinstance(outcome, Exists):
                raise already_exists(outcome.row)
            await self._definitions.reload()

    async def cancel(self, workflow_id: str, call_id: str | None) -> Row:
        """Ends a workflow with everything that it has started, recursively; answers its row when all that is done.

        A flow's is answered at once: its execution is told, and ends what it has started.
        """
        if not is_id(workflow_id):
            raise not_found(workflow_id, "workflow")
        call = Call("cancel", workflow_id, call_id or serial_id(), call_id is not None, kind="workflow")
        answer = await self._cancels.submit(TransitionElement(call))
        if answer.row["state"] is None:
            await self._pump.attend([workflow_id])
        return answer.row

    async def row(self, workflow_id: str) -> Row:
        """The workflow as it is; raises `workflow-not-found`."""
        rows = await self._database.read("tasks_by_id", [workflow_id]) if is_id(workflow_id) else []
        if not rows or rows[0]["kind"] != "workflow":
            raise not_found(workflow_id, "workflow")
        return rows[0]  # type: ignore[no-any-return]

    async def result(self, workflow_id: str, seconds: float, caller: Caller) -> Row:
        """The workflow when it is done, or as it is after `seconds`."""
        return await self._results.awaited(workflow_id, lambda: self.row(workflow_id), seconds, caller)
