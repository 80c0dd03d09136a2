"""The parts of one server, and how they are told of each other."""

import os
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from taskrpc.core.callback import networks
from taskrpc.engine.activities import Activities
from taskrpc.engine.callbacks import Callbacks
from taskrpc.engine.cleaning import Cleaning
from taskrpc.engine.decisions import Decisions
from taskrpc.engine.definitions import Definitions
from taskrpc.engine.dispatcher import Dispatcher
from taskrpc.engine.executing import Executing, executing
from taskrpc.engine.execution_facts import Sources
from taskrpc.engine.execution_starts import Starts
from taskrpc.engine.file_tokens import FileTokens
from taskrpc.engine.files import Files
from taskrpc.engine.flow_sources import FlowReader
from taskrpc.engine.flow_triggers import FlowTriggers
from taskrpc.engine.flows import Flows
from taskrpc.engine.hints import Hints
from taskrpc.engine.keys import Keys
from taskrpc.engine.loop import run_every
from taskrpc.engine.matcher import Matcher
from taskrpc.engine.namespaces import Namespaces
from taskrpc.engine.pump import Pump
from taskrpc.engine.reading import Reading
from taskrpc.engine.reaper import Reaper
from taskrpc.engine.results import Results
from taskrpc.engine.scheduler import Scheduler
from taskrpc.engine.schedules import Schedules
from taskrpc.engine.submissions import AsynchronousWorkflows
from taskrpc.engine.subscriptions import Subscriptions
from taskrpc.engine.tasks import Tasks
from taskrpc.engine.workflows import Workflows
from taskrpc.rpc.services import Services
from taskrpc.secret_keys import load_cipher
from taskrpc.settings import Settings, shown_to_flows
from taskrpc.storage.choice import open_storage
from taskrpc.store import log_partitions
from taskrpc.store.batcher import Spawn
from taskrpc.store.claims import Claims
from taskrpc.store.database import Database
from taskrpc.store.definitions import DefinitionStore
from taskrpc.store.executions import ExecutionStore
from taskrpc.store.flow_triggers import FlowTriggerStore
from taskrpc.store.flows import FlowStore
from taskrpc.store.hub import Hub
from taskrpc.store.inboxes import Inboxes
from taskrpc.store.reaping import Reaping
from taskrpc.store.retention import Retention
from taskrpc.store.signals import Signals
from taskrpc.store.submissions import Submissions
from taskrpc.wire.yaml_places import lines_of
from taskrpc.wire.yaml_reader import decode

_LOG_KEEPING_SECONDS: Final = 3600.0


class _YamlTexts:
    """Reads flows that come as text; JSON is YAML."""

    decode = staticmethod(decode)
    lines_of = staticmethod(lines_of)


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything of a server between its database and its HTTP."""

    settings: Settings
    database: Database
    signals: Signals
    results: Results
    definitions: Definitions
    dispatcher: Dispatcher
    reaper: Reaper
    pump: Pump
    cleaning: Cleaning
    callbacks: Callbacks
    hints: Hints
    keys: Keys
    services: Services

    @property
    def scheduler(self) -> Scheduler:
        """Who judges the ticks of rules."""
        return self.services.schedules.scheduler

    @property
    def matcher(self) -> Matcher:
        """Who tells events to those who listen."""
        return self.services.subscriptions.matcher

    def loops(self) -> list[Coroutine[Any, Any, None]]:
        """The background work of the server: each runs until it is cancelled."""
        loops = [
            self.database.watch(),
            self.reaper.run(),
            self.scheduler.run(),
            self.matcher.run(),
            self.cleaning.run(),
            self.callbacks.run(),
            run_every("retention", self.cleaning.expire),
            run_every("runs of deleted executions", self.cleaning.forget_runs),
            run_every("slow poll", self.dispatcher.look),
            run_every("workflows", self.pump.look),
            run_every("flows", self.services.executions.loop.look),
            run_every("results", self.results.look, self.hints.look_for_results),
            run_every("definitions", self.definitions.look, self.definitions.outdated),
            run_every("keys", self.keys.look, self.keys.outdated),
            run_every("log", self._keep_log),
            run_every("expired keys", self.services.namespaces.keys.sweep),
        ]
        return loops if self.hints.hub is None else [*loops, self.hints.hub.run()]

    async def _keep_log(self) -> float:
        await log_partitions.keep(self.database, self.settings.log_retention_days)
        return _LOG_KEEPING_SECONDS

    def drain(self) -> None:
        """Answers everybody who waits: the server stops."""
        self.dispatcher.drain()
        self.results.drain()


class _Ground(NamedTuple):
    """What all parts stand on."""

    settings: Settings
    database: Database
    spawn: Spawn
    signals: Signals
    definitions: Definitions
    flows: Flows


class _Queue(NamedTuple):
    """Tasks and workflows, from their creation to their end."""

    starts: Starts
    results: Results
    pump: Pump
    tasks: Tasks
    workflows: Workflows
    claims: Claims
    dispatcher: Dispatcher


class _FlowParts(NamedTuple):
    """What executes flows, and what they use."""

    namespaces: Namespaces
    files: Files
    executions: Executing
    triggers: FlowTriggers


def build(settings: Settings, database: Database, spawn: Spawn) -> Parts:
    """Makes the parts of a server; `spawn` starts what they do beside each other.

    Raises `not-configured` for keys for secrets that are none, and for a storage that cannot be.
    """
    definitions = Definitions(DefinitionStore(database), strict=settings.strict_definitions)
    flows = Flows(FlowStore(database), definitions, FlowReader(_YamlTexts()))
    ground = _Ground(settings, database, spawn, Signals(), definitions, flows)
    queue = _queue(ground)
    keys = Keys(database, open_without=settings.is_open_without_keys)
    hints = Hints(queue.dispatcher, queue.results, definitions, keys)
    services = _services(ground, queue, _flow_parts(ground, queue), hints)
    parts = Parts(
        settings=settings,
        database=database,
        signals=ground.signals,
        results=queue.results,
        definitions=definitions,
        dispatcher=queue.dispatcher,
        reaper=Reaper(Reaping(database, ground.signals)),
        pump=queue.pump,
        cleaning=Cleaning(Retention(database), queue.claims, queue.tasks, services.files, spawn),
        callbacks=Callbacks(database, queue.claims, queue.tasks, spawn, networks(settings.callback_networks)),
        hints=hints,
        keys=keys,
        services=services,
    )
    _connect(parts)
    return parts


def _queue(ground: _Ground) -> _Queue:
    _, database, spawn, signals, definitions, flows = ground
    starts, results = Starts(database, flows), Results(database)
    pump = Pump(Inboxes(database, signals), database, spawn)
    decisions = Decisions(database, signals, spawn, definitions, starts)
    tasks = Tasks(database, signals, spawn, definitions, decisions, results)
    workflows = Workflows(database, signals, spawn, definitions, starts, results, pump)
    claims = Claims(database, tasks.transitions["release"], spawn)
    return _Queue(starts, results, pump, tasks, workflows, claims, Dispatcher(claims, spawn))


def _flow_parts(ground: _Ground, queue: _Queue) -> _FlowParts:
    settings, database, spawn, signals, definitions, flows = ground
    namespaces = Namespaces.on(database, load_cipher(settings))
    files = Files(open_storage(settings.storage, settings.data_dir), FileTokens(database), settings.max_file)
    outside = Sources(flows, namespaces, files, ExecutionStore(database, signals), shown_to_flows(os.environ))
    executions = executing(database, spawn, definitions, outside, queue.starts, queue.tasks, queue.workflows, signals)
    triggers = FlowTriggers(FlowTriggerStore(database), outside, definitions, queue.starts)
    executions.steps.on_state(triggers.fired)
    return _FlowParts(namespaces, files, executions, triggers)


def _services(ground: _Ground, queue: _Queue, of_flows: _FlowParts, hints: Hints) -> Services:
    _, database, spawn, signals, definitions, flows = ground
    activities, reading = Activities(definitions, queue.starts), Reading(database)
    submissions = Submissions(database, signals)
    return Services(
        tasks=queue.tasks,
        workflows=queue.workflows,
        dispatcher=queue.dispatcher,
        definitions=definitions,
        flows=flows,
        reading=reading,
        signals=signals,
        hints=hints,
        schedules=Schedules(database, activities, of_flows.triggers, signals),
        triggers=of_flows.triggers,
        subscriptions=Subscriptions(database, spawn, activities, signals),
        asynchronous=AsynchronousWorkflows(submissions, definitions, queue.tasks, queue.workflows, reading),
        executions=of_flows.executions,
        namespaces=of_flows.namespaces,
        files=of_flows.files,
    )


def _connect(parts: Parts) -> None:
    parts.signals.subscribe(parts.dispatcher.wake, parts.results.ended)
    parts.signals.subscribe(parts.cleaning.queued, lambda _: None)
    parts.signals.subscribe_due(parts.reaper.due_in)
    parts.signals.subscribe_reported(parts.pump.wake)
    parts.signals.subscribe_told(parts.services.executions.loop.told)
    parts.signals.subscribe_changes(parts.matcher.changed)
    parts.signals.subscribe_changes(parts.callbacks.changed)
    parts.database.on_return(lambda: parts.dispatcher.wake(None))
    parts.database.on_return(parts.reaper.poke)
    parts.database.on_return(parts.scheduler.poke)
    parts.database.on_return(parts.matcher.poke)
    parts.database.on_return(parts.hints.look_for_results.set)
    parts.results.on_waiting(parts.hints.waiting_for_end)
    if parts.settings.notify:
        parts.hints.hub = Hub(parts.database.url, parts.hints)
        parts.signals.subscribe(parts.hints.hub.queued, parts.hints.hub.ended)
        parts.services.executions.loop.hand_on(parts.hints.hub.told)
        parts.hints.on_told = parts.services.executions.loop.told_elsewhere
