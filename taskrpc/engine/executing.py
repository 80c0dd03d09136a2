"""What runs flows on one server, put together."""

from dataclasses import dataclass

from taskrpc.engine.definitions import Definitions
from taskrpc.engine.execution_chores import Chores
from taskrpc.engine.execution_commands import ExecutionCommands
from taskrpc.engine.execution_errands import Errands
from taskrpc.engine.execution_facts import Sources
from taskrpc.engine.execution_starts import Starts
from taskrpc.engine.execution_steps import Steps
from taskrpc.engine.executions import FlowLoop
from taskrpc.engine.tasks import Tasks
from taskrpc.engine.workflows import Workflows
from taskrpc.store.batcher import Spawn
from taskrpc.store.database import Database
from taskrpc.store.signals import Signals
from taskrpc.store.slots import Slots


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
    store = sources.store
    steps = Steps(store, Slots(database), sources, definitions)
    commands = ExecutionCommands(database, signals, steps, starts)
    errands = Errands(store, Chores(store, sources.files), commands, tasks, workflows)
    return Executing(FlowLoop(store, steps, errands, spawn), steps, commands)
