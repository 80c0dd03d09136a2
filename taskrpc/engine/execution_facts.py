"""What steps of executions have to know from outside: fetched when a step asks for it, and known for that step only."""

from typing import Any

from taskrpc.core.flow.advance.facts import Facts, Key
from taskrpc.engine.flows import Flows, LoadedFlow, flow_name


class Outside:
    """The facts of one step, with the flows behind them."""

    def __init__(self, flows: Flows) -> None:
        self.facts = Facts({("environment",): {"envs": {}, "globals": {}, "kestra": {}}})
        self._flows = flows
        self._loaded: dict[tuple[str, str, str], LoadedFlow] = {}

    async def learn(self, key: Key) -> None:
        """Finds out what a step has asked for."""
        self.facts.learn(key, await self._find(*key))

    async def _find(self, what: str, *key: str) -> Any:
        if what == "flow":
            namespace, id, revision = key
            return await self._flow(namespace, id, revision)
        return None

    async def _flow(self, namespace: str, id: str, revision: str) -> Any:
        number = int(revision) if revision.isdecimal() else None
        if revision and number is None:
            return None
        loaded = await self._flows.load(flow_name(namespace, id), number)
        if loaded is None:
            return None
        self._loaded[namespace, id, revision] = loaded
        return loaded.flow

    def loaded(self, namespace: str, id: str, revision: int | None) -> LoadedFlow:
        """The flow that a step was told of."""
        return self._loaded[namespace, id, "" if revision is None else str(revision)]
