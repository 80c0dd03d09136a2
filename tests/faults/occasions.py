"""What the server does by itself in the workload: waits that end, events that are told, rules that start something."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from tests.faults.definitions import KEYS, PLAIN
from tests.faults.flows import FLOW
from tests.faults.parties import Actor, Party

WAIT: Final = "awf.task/wait"
SUBSCRIBE: Final = "awf.task/subscribe"
BY_SERVER: Final = (WAIT, SUBSCRIBE)
EVENT: Final = "faults/Event"
LISTENER: Final = "faults/listener"
# Schedules have no seconds: so that two minutes see many ticks, there are many rules.
_TICKERS: Final = 6


def _by_schedule(**request: Any) -> dict[str, Any]:
    return {"schedule": "* * * * *", "concurrency-policy": "allow", "start-deadline-seconds": 3600, **request}


TICKERS: Final[Mapping[str, Mapping[str, Any]]] = {
    **{
        f"faults/ticker-{n}": _by_schedule(**{"task-request": {"definition": PLAIN, "params": {"key": KEYS[0]}}})
        for n in range(_TICKERS)
    },
    "faults/workflow-ticker": _by_schedule(**{"workflow-request": {"definition": FLOW, "params": {"kind": "serial"}}}),
}
_SELECTS_EVENTS: Final = {"get-in": ["resourceType"], "comparator": "eq", "value": EVENT}
_LISTENS: Final[Mapping[str, Any]] = {
    "select-by": [_SELECTS_EVENTS],
    "task-request": {"definition": PLAIN, "params": {"key": KEYS[0], "nonce": {"get-in": ["nonce"]}}},
}


class Waiter(Actor):
    """Creates waits, which users may end before their time."""

    per_second = 0.5

    async def act(self) -> None:
        seconds = self.chance.randint(0, 4)
        params: dict[str, Any] = {"duration": {"seconds": seconds}}
        if self.happens(0.3):
            at = datetime.fromtimestamp(self.wall() + seconds, UTC)
            params = {"until": at.isoformat(timespec="milliseconds")}
        task_id = self.identifier()
        await self.insist("awf.task/create-and-execute", id=task_id, definition=WAIT, params=params)
        self.known.append(task_id)


class Publisher(Actor):
    """Subscribes to an event and then has it happen, mostly; a rule listens to all of them."""

    per_second = 0.5

    async def act(self) -> None:
        nonce = self.identifier()
        if self.happens(0.7):
            selects = [_SELECTS_EVENTS, {"get-in": ["nonce"], "comparator": "eq", "value": nonce}]
            params = {"select-by": selects}
            await self.insist("awf.task/create-and-execute", id=nonce, definition=SUBSCRIBE, params=params)
        event = {"resourceType": EVENT, "nonce": nonce, "by": self.name}
        await self.insist("awf.event/publish", resource=event, callId=self.identifier())


async def put_rules(party: Party) -> None:
    """Puts the rules of the workload."""
    for name, fields in TICKERS.items():
        await _sure(party, "awf.scheduler/put", id=name, **fields)
    await _sure(party, "awf.subscription/put", id=LISTENER, **_LISTENS)


async def delete_rules(party: Party) -> None:
    """Deletes them, so that the queue can drain."""
    for name in TICKERS:
        await _sure(party, "awf.scheduler/delete", id=name)
    await _sure(party, "awf.subscription/delete", id=LISTENER)


async def _sure(party: Party, method: str, **params: Any) -> None:
    reply = await party.insist(method, **params)
    assert reply is not None
    assert reply.status == 200 or reply.error["type"] == "rule-not-found", reply.body
