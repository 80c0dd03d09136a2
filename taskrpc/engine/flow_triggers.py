"""What starts executions of flows by itself: schedules, the ends of other executions, calls of addresses."""

import hmac
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

from taskrpc.core.access import digest_of
from taskrpc.core.definition import shown
from taskrpc.core.flow.advance.facts import Facts
from taskrpc.core.flow.advance.state import Changes, Head, State
from taskrpc.core.flow.durations import moment
from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.model import Flow, Trigger
from taskrpc.core.flow.schedules import rule_id, variables
from taskrpc.core.flow.triggers import Firing, after_step, begins, entered, fires, helps, key_of, listens
from taskrpc.core.ids import derived_id
from taskrpc.core.rule import SCHEDULER_RULE, SchedulerRule
from taskrpc.core.timestamps import format_time
from taskrpc.engine.definitions import Definitions, definition_not_found
from taskrpc.engine.execution_facts import Outside, Sources
from taskrpc.engine.execution_starts import Starts
from taskrpc.engine.flows import LoadedFlow, flow_name
from taskrpc.engine.requests import TaskRequest
from taskrpc.errors import TaskRpcError, invalid_params
from taskrpc.store.database import Record
from taskrpc.store.flow_triggers import Advance, FlowTriggerStore
from taskrpc.store.recovery import OUTAGES
from taskrpc.store.workflows import NewWorkflow

log = logging.getLogger(__name__)

T = TypeVar("T")

TRIGGER_RESOURCE: Final = "AidboxFlowTrigger"


class Listener(NamedTuple):
    """A trigger that listens to other flows, and the flow that it starts."""

    name: str
    loaded: LoadedFlow
    trigger: Trigger


class FlowTriggers:
    """Prepares executions that nobody asks for. `fired` is told of every step of every execution."""

    def __init__(self, store: FlowTriggerStore, sources: Sources, definitions: Definitions, starts: Starts) -> None:
        self._store = store
        self._sources = sources
        self._flows = sources.flows
        self._definitions = definitions
        self._starts = starts
        self._known = -1
        self._listeners: list[Listener] = []

    async def scheduled(
        self, row: Record, rule: SchedulerRule, execution_id: str, tick: datetime | None
    ) -> NewWorkflow:
        """The execution that a tick of a flow's rule starts, or a run of it now. Raises `condition` where a condition
        of the trigger does not hold, `invalid-params`, `cannot-start`, `definition-not-found`."""
        requester = {"id": row["id"], "resourceType": SCHEDULER_RULE}
        if tick is not None:
            requester["tick"] = format_time(tick)
        loaded, trigger = await self._trigger(row["flow"], row["trigger"])
        at = await self._starts.now()
        firing = await self._begins(loaded, trigger, variables(rule, tick or moment(at)), at)
        if firing is None:
            raise TaskRpcError("condition", "a condition of the trigger does not hold")
        request = TaskRequest(row["flow"], firing.inputs, execution_id, requester=requester)
        return await self._new(request, loaded, firing)

    async def called(
        self, name: str, trigger_id: str, execution_id: str, said: Mapping[str, Any]
    ) -> NewWorkflow | None:
        """The execution that a call of an address starts; None where a condition of the trigger does not hold. Raises
        as `scheduled` does."""
        loaded, trigger = await self._trigger(name, trigger_id)
        firing = await self._begins(loaded, trigger, said, await self._starts.now())
        if firing is None:
            return None
        requester = {"id": rule_id(name, trigger_id), "resourceType": TRIGGER_RESOURCE}
        return await self._new(TaskRequest(name, firing.inputs, execution_id, requester=requester), loaded, firing)

    async def webhook(self, name: str, key: str) -> Trigger | None:
        """The trigger that is called with a key; None where there is none. It takes as long for any wrong key."""
        ids = await self._store.webhooks(name)
        loaded = await self._flows.load(name) if ids else None
        if loaded is None:
            return None
        found, at = None, await self._starts.now()
        for trigger in loaded.flow.triggers:
            if trigger.id in ids and await self._is_key(key, trigger, loaded.flow, at):
                found = trigger
        return found

    async def _is_key(self, key: str, trigger: Trigger, flow: Flow, at: int) -> bool:
        try:
            expected = await self._asking(lambda facts: key_of(trigger, flow, at, facts))
        except TaskRpcError as refusal:
            if refusal.type in OUTAGES:
                raise
            log.warning(
                "trigger %s of the flow %s.%s has no key: %s", trigger.id, flow.namespace, flow.id, refusal.message
            )
            return False
        if not expected:
            log.warning("trigger %s of the flow %s.%s has an empty key", trigger.id, flow.namespace, flow.id)
        return bool(expected) and hmac.compare_digest(digest_of(key.encode()), digest_of(expected.encode()))

    async def fired(
        self, source: LoadedFlow, state: State, changes: Changes
    ) -> tuple[list[NewWorkflow], list[Advance]]:
        """The executions of other flows that a step of an execution starts, always with the same ids, and what it means
        for triggers with preconditions; all is to be stored together with the step."""
        workflows: list[NewWorkflow] = []
        advances: list[Advance] = []
        steps = entered(state.head, changes.head)
        if not steps:
            return workflows, advances
        await self._stop(source, [head for _, head in steps])
        for listener in await self._listening():
            for place, head in steps:
                if listens(listener.trigger, listener.loaded.flow, source.flow, head):
                    after = after_step(state, changes, head)
                    if "preconditions" in listener.trigger.properties:
                        advances += await self._advanced(listener, source, after, place)
                    else:
                        workflows += await self._started(listener, source, after, place)
        return workflows, advances

    # -- what has happened to others --------------------

    async def _listening(self) -> Sequence[Listener]:
        """The triggers that listen, as of now: read again when definitions have changed."""
        await self._definitions.look()
        if self._known != self._definitions.newest:
            known, listeners = self._definitions.newest, []
            for name, trigger_id in await self._store.listeners():
                if (loaded := await self._flows.load(name)) is not None:
                    found = [each for each in loaded.flow.triggers if each.id == trigger_id]
                    listeners += [Listener(name, loaded, trigger) for trigger in found]
            self._known, self._listeners = known, listeners
        return self._listeners

    async def _advanced(self, listener: Listener, source: LoadedFlow, state: State, place: int) -> list[Advance]:
        name, loaded, trigger = listener
        names = await self._asking(lambda facts: helps(trigger, loaded.flow, source.flow, state, facts), state.head.id)
        if not names:
            return []
        started = await self._started(listener, source, state, place)
        return [Advance(name, trigger.id, names, started[0] if started else None)]

    async def _started(self, listener: Listener, source: LoadedFlow, state: State, place: int) -> list[NewWorkflow]:
        name, loaded, trigger = listener
        try:
            firing = await self._asking(
                lambda facts: fires(trigger, loaded.flow, source.flow, state, facts), state.head.id
            )
            if firing is None or await self._store.is_stopped(name, trigger.id):
                return []
            execution_id = derived_id("trigger", state.head.id, str(place), name, trigger.id)
            requester = {"id": state.head.id, "resourceType": "AidboxWorkflow", "trigger": rule_id(name, trigger.id)}
            return [
                await self._new(TaskRequest(name, firing.inputs, execution_id, requester=requester), loaded, firing)
            ]
        except TaskRpcError as refusal:
            if refusal.type in OUTAGES:
                raise
            log.warning(
                "trigger %s of the flow %s: %s of execution %s starts nothing: %s", trigger.id, name, state.head.state,
                state.head.id, refusal.message,
            )  # fmt: skip
            return []

    async def _stop(self, source: LoadedFlow, heads: Sequence[Head]) -> None:
        """Stops the trigger that has started an execution, if its `stopAfter` names a state that it has come to."""
        stopping = {each.id: stop for each in source.flow.triggers if (stop := each.properties.get("stopAfter"))}
        if not stopping:
            return
        requester = await self._store.requester(heads[-1].id)
        name = flow_name(source.flow.namespace, source.flow.id)
        for trigger_id, states in stopping.items():
            ended = [head.state for head in heads if head.state in ([states] if isinstance(states, str) else states)]
            if ended and rule_id(name, trigger_id) in (requester.get("id"), requester.get("trigger")):
                await self._store.stop(name, trigger_id, f"execution {heads[-1].id} is {ended[-1]}")

    # -- what starts --------------------

    async def _trigger(self, name: str, trigger_id: str) -> tuple[LoadedFlow, Trigger]:
        loaded = await self._flows.load(name)
        if loaded is not None:
            for trigger in loaded.flow.triggers:
                if trigger.id == trigger_id:
                    return loaded, trigger
        raise definition_not_found(rule_id(name, trigger_id))

    async def _begins(self, loaded: LoadedFlow, trigger: Trigger, said: Mapping[str, Any], at: int) -> Firing | None:
        return await self._asking(lambda facts: begins(trigger, loaded.flow, said, at, facts))

    async def _asking(self, render: Callable[[Facts], T], execution_id: str | None = None) -> T:
        """What is rendered, once all is known that its expressions speak of."""
        try:
            return await Outside(self._sources, execution_id, {}).answer(render)
        except ExpressionError as error:
            raise invalid_params("inputs", str(error)) from None

    async def _new(self, request: TaskRequest, loaded: LoadedFlow, firing: Firing) -> NewWorkflow:
        if not isinstance(firing.inputs, Mapping):
            raise invalid_params("inputs", f"they are a mapping, not {shown(firing.inputs)}")
        return await self._starts.new(
            request, loaded, str(request.id), "inputs", trigger=firing.trigger, labels=firing.labels
        )
