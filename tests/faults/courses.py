"""The flows of the workload, which the server decides itself: what they say, and how they therefore have to end."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.faults.parties import Actor, Party

NAMESPACE: Final = "faults"
LEAF: Final = "faults/leaf"
POISONED_LEAF: Final = "faults/poisoned-leaf"
RETRY_SECONDS: Final = 0.3
PAUSE_SECONDS: Final = 1.0

_LEAVES: Final = f"type: {LEAF}, retry: {{type: constant, interval: PT{RETRY_SECONDS}S, maxAttempts: 50}}"
_COURSE: Final = f"""
id: course
namespace: {NAMESPACE}
inputs: [{{id: nonce, type: STRING}}]
tasks:
  - {{id: first, {_LEAVES}}}
  - id: each
    type: core.flow.ForEach
    values: [a, b, c]
    concurrencyLimit: 2
    tasks:
      - {{id: item, {_LEAVES}, value: "{{{{ taskrun.value }}}}"}}
  - {{id: pause, type: core.flow.Pause, pauseDuration: PT{PAUSE_SECONDS:.0f}S}}
  - {{id: last, {_LEAVES}, by: "{{{{ outputs.first.by }}}}"}}
outputs: [{{id: by, type: STRING, value: "{{{{ outputs.last.by }}}}"}}]
"""
_FAILING: Final = f"""
id: failing
namespace: {NAMESPACE}
inputs: [{{id: nonce, type: STRING}}]
tasks:
  - {{id: first, {_LEAVES}}}
  - {{id: bad, type: {POISONED_LEAF}, retry: {{type: constant, interval: PT{RETRY_SECONDS}S, maxAttempts: 2}}}}
  - {{id: never, {_LEAVES}}}
errors:
  - {{id: sorry, {_LEAVES}}}
"""


@dataclass(frozen=True, slots=True)
class Course:
    """How an execution ends that nobody cancels: `succeeding` tells how many runs of each task succeed, once each;
    `failing` how many attempts of the others fail."""

    source: str
    outcome: str
    succeeding: Mapping[str, int]
    failing: Mapping[str, int]


COURSES: Final[Mapping[str, Course]] = {
    f"{NAMESPACE}.course": Course(_COURSE, "succeeded", {"first": 1, "item": 3, "last": 1}, {}),
    f"{NAMESPACE}.failing": Course(_FAILING, "failed", {"first": 1, "sorry": 1}, {"bad": 2}),
}


class Conductor(Actor):
    """Has flows executed, and cancels some."""

    per_second = 1.5

    async def act(self) -> None:
        id, nonce = self.identifier(), self.identifier()
        definition = self.chance.choice(list(COURSES))
        params = {"nonce": nonce}
        await self.insist("awf.workflow/create-and-execute", id=id, definition=definition, params=params)
        if self.happens(0.1):
            await asyncio.sleep(self.chance.uniform(0, 1))
            await self.insist("awf.workflow/cancel", id=id, callId=self.identifier())


async def put_flows(party: Party) -> bool:
    """Puts the flows of the workload; False where the server is of a version that knows none."""
    for course in COURSES.values():
        reply = await party.insist("awf.flow/put", source=course.source)
        assert reply is not None
        if reply.status != 200:
            assert reply.error["type"] == "method-not-found", reply.body
            return False
    return True
