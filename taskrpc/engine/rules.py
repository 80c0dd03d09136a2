"""What the rules of the scheduler and those for events have in common: they are read and deleted by their ids."""

from typing import Protocol

from taskrpc.errors import TaskRpcError
from taskrpc.store.database import Record


class KeptRules(Protocol):
    """The rules of one kind in the database."""

    async def read(self, rule_id: str | None = None) -> list[Record]:
        """The rule of an id, if there is one; without an id all, by their ids."""

    async def delete(self, rule_id: str) -> None:
        """Removes a rule; nothing where there is none."""


class Rules:
    """The use cases of rules of any kind."""

    def __init__(self, kept: KeptRules) -> None:
        self._kept = kept

    async def get(self, rule_id: str) -> Record:
        """A rule; raises `rule-not-found`."""
        rows = await self._kept.read(rule_id)
        if not rows:
            raise rule_not_found(rule_id)
        return rows[0]

    async def everything(self) -> list[Record]:
        """All rules, by their ids."""
        return await self._kept.read()

    async def delete(self, rule_id: str) -> None:
        """Deletes a rule; what it has started goes on. Raises `rule-not-found`."""
        await self.get(rule_id)
        await self._kept.delete(rule_id)


def rule_not_found(rule_id: str) -> TaskRpcError:
    """`rule-not-found`, with the id that was asked for."""
    return TaskRpcError("rule-not-found", f"There is no rule {rule_id[:80]!r}")
