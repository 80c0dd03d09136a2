"""What handlers work with: the engine's use cases, and the circumstances of one call."""

from dataclasses import dataclass, field

from taskrpc.core.access import Access
from taskrpc.engine.caller import Caller
from taskrpc.engine.definitions import Definitions
from taskrpc.engine.dispatcher import Dispatcher
from taskrpc.engine.executing import Executing
from taskrpc.engine.files import Files
from taskrpc.engine.flow_triggers import FlowTriggers
from taskrpc.engine.flows import Flows
from taskrpc.engine.hints import Hints
from taskrpc.engine.namespaces import Namespaces
from taskrpc.engine.reading import Reading
from taskrpc.engine.schedules import Schedules
from taskrpc.engine.submissions import AsynchronousWorkflows
from taskrpc.engine.subscriptions import Subscriptions
from taskrpc.engine.tasks import Tasks
from taskrpc.engine.workflows import Workflows
from taskrpc.store.signals import Signals


@dataclass(frozen=True, slots=True)
class Services:
    """The engine of one server."""

    tasks: Tasks
    workflows: Workflows
    dispatcher: Dispatcher
    definitions: Definitions
    flows: Flows
    reading: Reading
    signals: Signals
    hints: Hints
    schedules: Schedules
    triggers: FlowTriggers
    subscriptions: Subscriptions
    asynchronous: AsynchronousWorkflows
    executions: Executing
    namespaces: Namespaces
    files: Files


@dataclass(slots=True)
class Context:
    """The circumstances of one request: who waits for its answer, whether it may wait, what it has handed out, and what
    its key allows (everything where none is required)."""

    caller: Caller = field(default_factory=Caller)
    may_wait: bool = True
    handed_out: bool = False
    access: Access | None = None
