"""Who creates tasks and workflows, and who looks at them, cancels, stops and retries."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Final

from tests.faults.courses import Conductor, put_flows
from tests.faults.definitions import DEFINITIONS, KEYS, TASKS
from tests.faults.flows import FLOW, KINDS
from tests.faults.occasions import Publisher, Waiter, put_rules
from tests.faults.parties import Actor, Address, Party, over_http
from tests.faults.recorder import Recorder

CREATORS: Final = 6
USERS: Final = 3
_WORKFLOW_SHARE: Final = 0.04
_REMEMBERED: Final = 200
_OWN_SHARE: Final = 0.3
_EXECUTED_LATER_SECONDS: Final = 3.0


class Creator(Actor):
    """Creates tasks and workflows; mostly until they are there for sure, and sometimes it gives up."""

    # The queue has to be empty a minute after the last fault, whatever had piled up by then.
    per_second = 2.5

    async def act(self) -> None:
        if self.happens(_WORKFLOW_SHARE):
            await self._create("awf.workflow/create-and-execute", FLOW, {"kind": self.chance.choice(KINDS)})
        else:
            await self._create_task()

    async def _create_task(self) -> None:
        further: dict[str, Any] = {}
        if self.happens(0.1):
            further["executeAt"] = self.time_in(self.chance.uniform(0.5, 4))
        params = {"key": self.chance.choice(KEYS)}
        await self._create("awf.task/create-and-execute", self.chance.choice(TASKS), params, **further)

    async def _create(self, method: str, definition: str, params: dict[str, str], **further: Any) -> None:
        call = {"definition": definition, "params": {**params, "nonce": self.identifier()}, **further}
        if self.happens(0.05):
            await self.call(method, **call)  # the server names it, so it cannot be repeated
            return
        task_id = self.identifier()
        attempts = 1 if self.happens(0.1) else 1000
        reply = await self.insist(method, attempts=attempts, id=task_id, **call)
        if reply is not None and method.startswith("awf.task/"):
            self.known.append(task_id)


class User(Actor):
    """Meddles with the tasks of others, which are mostly done by then, and has tasks of their own done after all."""

    per_second = 1.5

    async def act(self) -> None:
        if self.happens(_OWN_SHARE):
            await self._reconsider()
        elif self.known:
            await self._meddle(self.chance.choice(self.known))

    async def _reconsider(self) -> None:
        """Creates a task, ends it before or while it is worked on, and begins another generation of it."""
        further: dict[str, Any] = {}
        if self.happens(0.5):
            further["executeAt"] = self.time_in(_EXECUTED_LATER_SECONDS)
        params = {"key": self.chance.choice(KEYS), "nonce": self.identifier()}
        call = {"id": self.identifier(), "definition": self.chance.choice(TASKS), "params": params, **further}
        await self.insist("awf.task/create-and-execute", **call)
        await asyncio.sleep(self.chance.uniform(0, 0.05))
        for what in (self.chance.choice(("cancel", "stop")), "retry"):
            await self.insist(f"awf.task/{what}", attempts=5, id=call["id"], callId=self.identifier())

    async def _meddle(self, task_id: str) -> None:
        what = self.chance.choice(("status", "status", "result", "cancel", "stop", "retry"))
        if what == "status":
            await self.call("awf.task/status", id=task_id)
        elif what == "result":
            await self.call("awf.task/result", id=task_id, timeout=2000)
        else:
            await self.insist(f"awf.task/{what}", attempts=5, id=task_id, callId=self.identifier())


async def define(party: Party) -> bool:
    """Puts the definitions, the rules and the flows of the workload; whether servers know flows, which old ones do
    not."""
    for name, fields in DEFINITIONS.items():
        reply = await party.insist("awf.definition/put", id=name, **fields)
        assert reply is not None
        assert reply.status == 200, reply.body
    await put_rules(party)
    return await put_flows(party)


async def run_workload(
    recorder: Recorder, servers: Sequence[Address], seed: str, *, with_flows: bool, is_over: Callable[[], bool]
) -> None:
    """Creates and meddles until the run is over, and everything that was begun is answered."""
    known: deque[str] = deque(maxlen=_REMEMBERED)
    with ExitStack() as at_the_end:
        async with asyncio.TaskGroup() as group:
            parties = ((Creator, CREATORS), (User, USERS), (Waiter, 1), (Publisher, 1), (Conductor, int(with_flows)))
            for kind, count in parties:
                for name in (f"{kind.__name__.lower()}-{n}" for n in range(count)):
                    clients = over_http(recorder, name, servers, at_the_end)
                    group.create_task(kind(known, name, clients, seed).run(is_over))
