"""What is there at the end, read over the service's own API: all resources, and the log of each."""

from collections.abc import AsyncIterator
from typing import Any, Final

from tests.faults.recorder import Recorder
from tests.system.waiting import until
from tests.system.wire import Wire, connection

_PAGE: Final = 500
_OPEN: Final = {
    "task": ["waiting", "ready", "requested", "in-progress"],
    "workflow": ["created", "in-progress"],
}


async def drained(url: str, seconds: float) -> bool:
    """Waits until nothing is left to do; False when that takes longer than `seconds`."""
    async with connection(url) as wire:

        async def nothing_open() -> bool:
            left = [
                await wire.call(f"awf.{room}/list", filter={"status": statuses}, count=1)
                for room, statuses in _OPEN.items()
            ]
            return all(reply.status != 503 and reply.result["total"] == 0 for reply in left)

        try:
            return await until(nothing_open, seconds)
        except TimeoutError:
            return False


async def collect(url: str, recorder: Recorder) -> int:
    """Writes every resource and its log; answers how many resources there are."""
    count = 0
    async with connection(url) as wire:
        async for resources in _pages(wire, "AidboxTask"):
            calls = [_status(resource["id"]) for resource in resources]
            for answer in await wire.batch(*calls):
                _write(recorder, answer["result"]["resource"], answer["result"]["log"])
            count += len(resources)
        async for resources in _pages(wire, "AidboxWorkflow"):
            for resource in resources:
                path = f"/AidboxTaskLog?.subject.id={resource['id']}&_sort=createdAt&_count=1000"
                _write(recorder, resource, _entries((await wire.get(path)).body))
            count += len(resources)
    return count


def _status(task_id: str) -> dict[str, Any]:
    return {"method": "awf.task/status", "params": {"id": task_id, "include-log?": True}}


def _entries(bundle: Any) -> list[Any]:
    return [entry["resource"] for entry in bundle["entry"]]


async def _pages(wire: Wire, kind: str) -> AsyncIterator[list[Any]]:
    page = 1
    while True:
        reply = await wire.get(f"/{kind}?_sort=createdAt&_count={_PAGE}&_page={page}")
        resources = _entries(reply.body)
        if not resources:
            return
        yield resources
        page += 1


def _write(recorder: Recorder, resource: Any, log: list[Any]) -> None:
    recorder.write("resource", resource=resource)
    for entry in log:
        recorder.write("transition", resource=entry)
