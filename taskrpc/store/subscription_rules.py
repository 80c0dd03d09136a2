"""Subscription rules in the database."""

from collections.abc import Mapping

import orjson

from taskrpc.store.database import Database, Record
from taskrpc.store.recovery import fetch_through_outages


class SubscriptionRules:
    """Reads and writes rules."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, rule_id: str, spec: Mapping[str, object]) -> Record:
        """Adds a rule or replaces it."""
        text = orjson.dumps(spec).decode()
        return (await fetch_through_outages(self._database, "put_subscription_rule", rule_id, text))[0]

    async def read(self, rule_id: str | None = None) -> list[Record]:
        """All rules by their ids, or the one that has this id."""
        return await fetch_through_outages(self._database, "subscription_rules", rule_id)

    async def delete(self, rule_id: str) -> None:
        """Deletes a rule, if there is one."""
        await fetch_through_outages(self._database, "delete_subscription_rule", rule_id)
