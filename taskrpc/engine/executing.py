"""What runs flows on one server, put together."""

from dataclasses import dataclass
from typing import Final

from taskrpc.engine.definitions import Definitions
from taskrpc.engine.execution_chores import Chores
from taskrpc.engine.execution_commands import ExecutionCommands
from taskrpc.engine.execution_facts import Sources
from taskrpc.engine.execution_starts import Starts
from taskrpc.engine.execution_steps import Steps
from taskrpc.engine.executions import FlowLoop
from taskrpc.engine.tasks import Tasks
from taskrpc.engine.workflows import Workflows
from taskrpc.errors import TaskRpcError
from taskrpc.store.batcher import Spawn
from taskrpc.store.database import Database
from taskrpc.store.signals import Signals
from taskrpc.store.slots import Slots

# What was to be canceled and is so, or is gone.
_OVER: Final = frozenset({"task-has-been-done", "workflow-has-been-done", "task-not-found", "workflow-not-found"})


@dataclass(frozen=True, slots=True)
class Executing:
    """The loop, its steps, and the calls about executions."""

    loop: FlowLoop
    steps: Steps
    commands: ExecutionCommands


def executing(
    database: Database, spawn: Spawn, definitions: Definitions, sources: Sources, starts: Starts,
    tasks: Tasks, workflows: Workflows, signals: Signals,
) -> Executing:  # fmt: skip
    """The parts of one server that run flows."""

    async def cancel(kind: str, subject: str) -> None:
        try:
            await (workflows.cancel(subject, None) if kind == "workflow" else tasks.change("cancel", subject))
        except TaskRpcError as refusal:
            if refusal.type not in _OVER:
                raise

    store = sources.store
    steps = Steps(store, Slots(database), sources, definitions)
    loop = FlowLoop(store, steps, Chores(store, sources.files), cancel, spawn)
    return Executing(loop, steps, ExecutionCommands(database, signals, steps, starts))
