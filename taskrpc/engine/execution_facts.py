"""What steps of executions have to know from outside: fetched when a step asks for it, and known for that step only."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import orjson

from taskrpc.core.file_uri import PREFIX
from taskrpc.core.flow.advance.facts import Facts, Key, MissingFactError
from taskrpc.core.flow.parse import parse_template
from taskrpc.core.flow.reading import InvalidFlowError
from taskrpc.core.json_text import JsonText
from taskrpc.engine.files import Files
from taskrpc.engine.flows import Flows, LoadedFlow, flow_name
from taskrpc.engine.namespaces import Namespaces
from taskrpc.errors import TaskRpcError
from taskrpc.store.executions import ExecutionStore

LARGEST_READ: Final = 4 * 2**20
_NAMESPACE_FILE: Final = "namespace://"
# What was asked for is not there: the expression that asks gets an absent value, and says so.
_ABSENT: Final = frozenset(
    {
        "key-not-found", "secret-not-found", "template-not-found", "namespace-file-not-found", "file-not-found",
        "not-configured", "invalid-params",
    }
)  # fmt: skip

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where facts come from."""

    flows: Flows
    namespaces: Namespaces
    files: Files
    store: ExecutionStore
    envs: Mapping[str, str]


class Outside:
    """The facts of one step, with the flows behind them; the outputs that it may ask for are those of an execution."""

    def __init__(self, sources: Sources, execution_id: str | None, known: Mapping[Key, Any]) -> None:
        self.facts = Facts(known)
        self.facts.learn(("environment",), {"envs": dict(sources.envs), "globals": {}, "kestra": {}})
        self.templates: dict[Key, Any] = {}
        self._sources = sources
        self._execution_id = execution_id
        self._loaded: dict[tuple[str, str, str], LoadedFlow] = {}

    async def answer(self, ask: Callable[[Facts], T]) -> T:
        """What is made of the facts, once all that is asked for is known. Raises what `ask` raises, `unavailable`."""
        while True:
            try:
                return ask(self.facts)
            except MissingFactError as missing:
                await self.learn(missing.key)

    async def learn(self, key: Key) -> None:
        """Finds out what a step has asked for. Raises `unavailable`."""
        try:
            value = await self._find(*key)
        except TaskRpcError as refusal:
            if refusal.type not in _ABSENT:
                raise
            value = None
        self.facts.learn(key, value)

    async def _find(self, what: str, *key: str) -> Any:
        namespaces = self._sources.namespaces
        match what:
            case "flow":
                return await self._flow(*key)
            case "template":
                return await self._template(*key)
            case "secret":
                return await namespaces.secrets.reveal(*key)
            case "kv":
                value = (await namespaces.keys.get(*key))["value"]
                return orjson.loads(value.text) if isinstance(value, JsonText) else value
            case "read":
                return (await self._content(key[0])).decode(errors="replace")
            case "size":
                return await self._size(key[0])
            case "outputs" if self._execution_id is not None:
                text = await self._sources.store.outputs(self._execution_id, int(key[0]))
                return None if text is None else orjson.loads(text)
        return None

    async def _flow(self, namespace: str, id: str, revision: str) -> Any:
        if revision and not revision.isdecimal():
            return None
        loaded = await self._sources.flows.load(flow_name(namespace, id), int(revision) if revision else None)
        if loaded is None:
            return None
        self._loaded[namespace, id, revision] = loaded
        return loaded.flow

    async def _template(self, namespace: str, id: str) -> Any:
        document: dict[str, Any] = await self._sources.namespaces.templates.get(namespace, id)
        known: dict[str, Any] = {"namespace": namespace, "id": id}
        known.update({name: document[name] for name in ("tasks", "errors", "finally") if name in document})
        try:
            template = parse_template(known)
        except InvalidFlowError:
            return None
        self.templates["template", namespace, id] = template
        return template

    async def _content(self, uri: str) -> bytes:
        if uri.startswith(_NAMESPACE_FILE):
            namespace, _, path = uri.removeprefix(_NAMESPACE_FILE).partition("/")
            return await self._sources.namespaces.files.content(namespace, path)
        return await self._sources.files.content(uri, LARGEST_READ)

    async def _size(self, uri: str) -> int:
        if not uri.startswith(PREFIX):
            return len(await self._content(uri))
        return await self._sources.files.size(uri)

    def loaded(self, namespace: str, id: str, revision: int | None) -> LoadedFlow:
        """The flow that a step was told of."""
        return self._loaded[namespace, id, "" if revision is None else str(revision)]
