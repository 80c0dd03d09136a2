"""Flows as definitions: put, read, deleted; and, for those who run them, ready for use."""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from taskrpc.core.flow.model import Flow, Trigger
from taskrpc.core.flow.schedules import rule_id, rule_of
from taskrpc.core.model import Resource
from taskrpc.core.timestamps import format_time
from taskrpc.engine.definitions import Definitions, definition_not_found
from taskrpc.engine.flow_sources import FlowReader
from taskrpc.errors import TaskRpcError, invalid_params
from taskrpc.store.database import Record
from taskrpc.store.flow_triggers import NewRule, NewTrigger
from taskrpc.store.flows import FlowStore

log = logging.getLogger(__name__)

FLOW_RESOURCE: Final = "AidboxFlow"
LONGEST_NAME: Final = 255
_MOST_KEPT: Final = 256


class LoadedFlow(NamedTuple):
    """A revision of a flow, ready for use; `rev` is the number of its row, which tasks keep."""

    flow: Flow
    rev: int
    revision: int


class Flows:
    """The flows of all servers."""

    def __init__(self, store: FlowStore, definitions: Definitions, reader: FlowReader) -> None:
        self._store = store
        self._definitions = definitions
        self._reader = reader
        self._loaded: OrderedDict[int, LoadedFlow] = OrderedDict()

    async def put(self, document: Mapping[str, Any], text: str | None = None) -> Resource:
        """Adds a flow or a new revision of it, none where nothing has changed; answers its newest. The flow is a
        document, or the text of one. Raises `invalid-params` with the path of every mistake."""
        name, spec, triggers = await self._read(document, text)
        row = await self._store.put(name, spec, triggers)
        await self._definitions.reload()
        return _resource(row)

    async def apply_file(self, path: Path, content: bytes) -> None:
        """Puts the flow of a file, once per content for the whole database. Raises as `put` does."""
        name, spec, triggers = await self._read({}, content.decode())
        if await self._store.apply_file(hashlib.sha256(content).hexdigest(), str(path), name, spec, triggers):
            log.info("%s: flow %s applied", path, name)
        await self._definitions.reload()

    async def _read(
        self, document: Mapping[str, Any], text: str | None
    ) -> tuple[str, Mapping[str, Any], list[NewTrigger]]:
        """The name of a flow's definition, what it keeps, and its triggers."""
        flow, source = await self._reader.read(document, text)
        name = flow_name(flow.namespace, flow.id)
        if len(name) > LONGEST_NAME:
            raise invalid_params("id", f"the namespace and the id have at most {LONGEST_NAME - 1} characters together")
        return name, source.spec(flow), _triggers(name, flow)

    async def validate(self, document: Mapping[str, Any], text: str | None = None) -> list[Any]:
        """Every mistake of a flow as `invalid-params` would list it; nothing is kept."""
        try:
            await self._reader.read(document, text)
        except TaskRpcError as refusal:
            errors: Any = (refusal.data or {}).get("errors")
            return errors or [{"path": "flow", "message": refusal.message}]
        return []

    async def get(self, name: str, revision: int | None = None) -> Resource:
        """A flow as it is now, or one revision, also if it was deleted since. Raises `definition-not-found`."""
        rev = await self._store.rev(name, revision)
        row = None if rev is None else await self._store.by_rev(rev)
        if row is None:
            raise definition_not_found(name if revision is None else f"{name}, revision {revision}")
        return _resource(row)

    async def everything(self, namespace: str | None, names: Collection[str] | None) -> list[Resource]:
        """All flows without their documents, by name; of one namespace, and of these names only, where given."""
        return [_resource(row) for row in await self._store.all(namespace, names)]

    async def delete(self, name: str) -> None:
        """Deletes a flow; its executions go on. Raises `definition-not-found`."""
        if not await self._store.delete(name):
            raise definition_not_found(name)
        await self._definitions.reload()

    async def load(self, name: str, revision: int | None = None) -> LoadedFlow | None:
        """A flow as it is now, or one revision; None where there is none. The revisions of a deleted flow are there."""
        rev = await self._store.rev(name, revision)
        return None if rev is None else await self.of_rev(rev)

    async def of_rev(self, rev: int) -> LoadedFlow | None:
        """The flow that a task's `rev` stands for; None where that is no flow's. In memory: a row never changes."""
        if rev in self._loaded:
            self._loaded.move_to_end(rev)
            return self._loaded[rev]
        row = await self._store.by_rev(rev)
        if row is None:
            return None
        spec = orjson.loads(row["spec"])
        flow = await self._reader.parsed(spec["document"])
        found = LoadedFlow(replace(flow, revision=spec["revision"]), rev, spec["revision"])
        self._loaded[rev] = found
        if len(self._loaded) > _MOST_KEPT:
            self._loaded.popitem(last=False)
        return found


def _triggers(name: str, flow: Flow) -> list[NewTrigger]:
    """The triggers that start something. Raises `invalid-params` for an id that is too long."""
    found = []
    for index, trigger in enumerate(flow.triggers):
        path = f"triggers[{index}].id"
        if len(rule_id(name, trigger.id)) > LONGEST_NAME:
            raise invalid_params(path, f"it has at most {LONGEST_NAME - len(name) - 1} characters here")
        if not (trigger.disabled or flow.disabled):
            rule = _rule(name, trigger) if trigger.type == "Schedule" else None
            found.append(NewTrigger(trigger.id, trigger.type, trigger.properties, path, rule))
    return found


def _rule(name: str, trigger: Trigger) -> NewRule:
    rule, kept = rule_of(name, trigger)
    return NewRule(rule_id(name, trigger.id), kept, rule.ticks.next_tick)


def is_flow(document: object) -> bool:
    """Whether the document of a file is meant as a flow; else it maps names to definitions."""
    return isinstance(document, dict) and isinstance(document.get("namespace"), str)


def flow_name(namespace: str, id: str) -> str:
    """The name of a flow's definition."""
    return f"{namespace}.{id}"


def _resource(row: Record) -> Resource:
    """`AidboxFlow`: with `flow`, and `source` if it was put as text, where the row has them."""
    spec = orjson.loads(row["spec"])
    resource = {
        "namespace": spec["namespace"], "id": spec["id"], "resourceType": FLOW_RESOURCE, "definition": row["name"],
        "revision": spec["revision"], "disabled": spec["disabled"],
    }  # fmt: skip
    for key, name in (("description", "description"), ("document", "flow"), ("source", "source")):
        if key in spec:
            resource[name] = spec[key]
    return {**resource, "meta": {"createdAt": format_time(row["created_at"])}}
