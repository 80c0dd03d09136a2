"""Definitions as a server knows them: in memory, read again whenever a newer revision exists."""

import asyncio
import hashlib
import logging
from pathlib import Path
from typing import Any, Final

import orjson

from taskrpc.core.built_in import BUILT_INS, definition_fields
from taskrpc.core.definition import (
    FLOW_SPEC,
    Definition,
    DefinitionSpec,
    Kind,
    default_definition,
    parse_definition,
    shown,
)
from taskrpc.core.model import DECISION_TASK, Queue
from taskrpc.errors import TaskRpcError, invalid_params
from taskrpc.store.database import Record
from taskrpc.store.definitions import DefinitionStore

log = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 1.0
MOST_FORMER_REVISIONS: Final = 100


def _definition(row: Record) -> Definition:
    spec = FLOW_SPEC if row["kind"] == "flow" else parse_definition(orjson.loads(row["spec"]))
    return Definition(row["name"], row["rev"], spec)


def _is_untouched(definition: Definition) -> bool:
    name = definition.name
    return name in BUILT_INS and definition.spec == parse_definition(definition_fields(name, {}))


class Definitions:
    """The definitions of one server's memory. `look` has to be called now and then."""

    def __init__(self, store: DefinitionStore, *, strict: bool = False) -> None:
        self._store = store
        self._strict = strict
        self._by_name: dict[str, Definition] = {}
        self._by_rev: dict[int, Definition] = {}
        self._deleted: dict[str, int] = {}
        self._outdated = asyncio.Event()
        self._newest = -1

    @property
    def outdated(self) -> asyncio.Event:
        """Set by a hint that definitions changed elsewhere."""
        return self._outdated

    @property
    def newest(self) -> int:
        """The newest revision that is in memory."""
        return self._newest

    async def look(self) -> float:
        """Reads the definitions again if there is a newer revision."""
        if await self._store.newest_rev() != self._newest:
            await self.reload()
        return REFRESH_SECONDS

    async def changed_since(self, known: int) -> bool:
        """Looks again; whether there are newer definitions than those that were known."""
        await self.look()
        return self._newest != known

    async def reload(self) -> None:
        """Reads all definitions."""
        rows = await self._store.all()
        live = [_definition(row) for row in rows if not row["deleted"]]
        self._by_name = {definition.name: definition for definition in live}
        self._by_rev = {definition.rev: definition for definition in live}
        self._deleted = {row["name"]: row["rev"] for row in rows if row["deleted"]}
        self._newest = max((row["rev"] for row in rows), default=0)

    def of_task(self, name: str, path: str = "definition", *, submitted: bool = False) -> Definition:
        """What holds for new tasks of a name: the defaults for one that nobody defined.

        Raises `definition-not-found` where only defined ones are allowed, and for what is `submitted` over REST where
        the definition was deleted; `invalid-params` for a name of workflows or decisions, which stands at `path`.
        """
        return self._of(name, "task", path, submitted)

    def of_workflow(self, name: str, path: str = "definition", *, submitted: bool = False) -> Definition:
        """The same for new workflows."""
        return self._of(name, "workflow", path, submitted)

    def _of(self, name: str, kind: Kind, path: str, submitted: bool) -> Definition:
        if name == DECISION_TASK:
            raise invalid_params(path, f"{name} is what the server makes for workflows; begin a workflow instead")
        definition = self._by_name.get(name)
        if definition is None:
            if self._strict or (submitted and name in self._deleted):
                raise definition_not_found(name)
            default = default_definition(name, kind)
            return Definition(name, self._deleted.get(name, default.rev), default.spec)
        if definition.spec.starts != kind:
            raise invalid_params(path, f"{name} is defined as a {definition.spec.kind}, not as a {kind}")
        return definition

    def kind(self, name: str) -> Kind | None:
        """What is created with a definition; None where nobody defined the name, or it was deleted."""
        definition = self._by_name.get(name)
        return None if definition is None else definition.spec.starts

    def is_deleted(self, name: str) -> bool:
        """Whether the name had a definition."""
        return name in self._deleted

    def get(self, name: str) -> Definition:
        """A definition by its name; raises `definition-not-found`."""
        definition = self._by_name.get(name)
        if definition is None:
            raise definition_not_found(name)
        return definition

    def everything(self) -> list[Definition]:
        """All definitions that somebody has put, by name; the server's own only if something was put about them."""
        put = [definition for definition in self._by_name.values() if not _is_untouched(definition)]
        return sorted(put, key=lambda definition: definition.name)

    async def by_rev(self, rev: int) -> Definition | None:
        """The revision that a task was created with."""
        if rev not in self._by_rev:
            row = await self._store.by_rev(rev)
            if row is None:
                return None
            if len(self._by_rev) > len(self._by_name) + MOST_FORMER_REVISIONS:
                self._by_rev = {definition.rev: definition for definition in self._by_name.values()}
            self._by_rev[rev] = _definition(row)
        return self._by_rev[rev]

    async def put(self, name: str, fields: dict[str, Any]) -> tuple[Definition, list[Queue]]:
        """Adds a revision; answers it and the queues that got tasks because a limit was raised."""
        if name in BUILT_INS:
            fields = definition_fields(name, fields)
        row, admitted = await self._store.put(name, parse_definition(fields), fields)
        await self.reload()
        return _definition(row), admitted

    async def delete(self, name: str) -> list[Queue]:
        """Deletes a definition: its tasks stay, and new ones get the defaults. Raises `definition-not-found`."""
        kind = self.get(name).spec.kind
        if name in BUILT_INS:
            raise invalid_params("id", f"{name} belongs to the server; put it without fields to take back what was put")
        _, admitted = await self._store.put(name, DefinitionSpec(kind=kind), {"kind": kind}, deleted=True)
        await self.reload()
        return admitted

    async def apply_file(self, path: Path, content: bytes, parsed: object) -> list[Queue]:
        """Puts the definitions of a file (a mapping of ids to fields), once per content for the whole database."""
        definitions = _of_file(parsed)
        digest = hashlib.sha256(content).hexdigest()
        fresh, admitted = await self._store.apply_file(digest, str(path), definitions)
        if fresh:
            log.info("%s: %d definitions applied", path, len(definitions))
        await self.reload()
        return admitted


def _of_file(parsed: object) -> dict[str, tuple[DefinitionSpec, dict[str, Any]]]:
    if not isinstance(parsed, dict):
        found = "the file is empty" if parsed is None else f"this is {shown(parsed)}"
        message = (
            f"{found}; a mapping of definitions' names to their fields is expected, as in demo/it: {{priority: 1}}"
        )
        raise TaskRpcError("invalid-params", message)
    definitions = {}
    for name, fields in parsed.items():
        if not isinstance(fields, dict | None):
            message = f"{name}: the fields of a definition are a mapping, not {shown(fields)}"
            raise TaskRpcError("invalid-params", message, {"definition": name})
        try:
            given = definition_fields(name, fields or {}) if name in BUILT_INS else fields or {}
            definitions[name] = (parse_definition(given), given)
        except TaskRpcError as error:
            data = {"definition": name, **(error.data or {})}
            raise TaskRpcError("invalid-params", f"{name}: {error.message}", data) from error
    return definitions


def definition_not_found(name: str) -> TaskRpcError:
    """`definition-not-found`, with the name that was asked for."""
    return TaskRpcError("definition-not-found", f"There is no definition {name[:80]!r}")
