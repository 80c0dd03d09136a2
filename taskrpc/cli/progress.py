"""How far tasks are, on a terminal as bars and elsewhere as lines."""

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from taskrpc.client import AsyncClient

_INTERVAL_SECONDS: Final = 0.1


async def show_progress(client: AsyncClient, tasks: Mapping[str, str], console: Console) -> bool:
    """Show the tasks, from their id to their title, until all are done; whether all of them succeeded."""
    view = _Bars(tasks, console) if console.is_terminal else _Lines(tasks, console)
    resources: list[dict[str, Any]] = []
    with view.bars or nullcontext():
        while True:
            answers = await client.batch([("awf.task/status", {"id": id}) for id in tasks])
            resources = [answer["resource"] for answer in answers if isinstance(answer, dict)]
            for resource in resources:
                view.show(resource)
            if all(resource["status"] == "done" for resource in resources):
                break
            await asyncio.sleep(_INTERVAL_SECONDS)
    failed = [resource for resource in resources if resource["outcome"] != "succeeded"]
    for resource in failed:
        console.print(f"{tasks[resource['id']]} {_end(resource)}", style="red", markup=False)
    return not failed


def _end(resource: dict[str, Any]) -> str:
    message = (resource.get("error") or resource.get("outcomeReason") or {}).get("message")
    return f"{resource['outcome']}: {message}" if message else str(resource["outcome"])


class _Bars:
    """A bar per task."""

    def __init__(self, tasks: Mapping[str, str], console: Console) -> None:
        self.bars: Progress | None = Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}  {task.fields[state]:<11}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._rows: dict[str, TaskID] = {
            id: self.bars.add_task(title, start=False, total=None, unit="", state="") for id, title in tasks.items()
        }

    def show(self, resource: dict[str, Any]) -> None:
        """Bring the task's bar up to date."""
        assert self.bars is not None
        row, progress = self._rows[resource["id"]], resource.get("progress") or {}
        if resource["status"] == "in-progress":
            self.bars.start_task(row)
        self.bars.update(
            row,
            completed=progress.get("current", 0),
            total=progress.get("total"),
            unit=progress.get("unit", ""),
            state=resource.get("outcome", resource["status"]),
        )
        if resource["status"] == "done":
            self.bars.stop_task(row)


class _Lines:
    """A line when a task's status changes; for files and pipes."""

    bars: Progress | None = None

    def __init__(self, tasks: Mapping[str, str], console: Console) -> None:
        self._tasks = tasks
        self._console = console
        self._shown: dict[str, str] = {}

    def show(self, resource: dict[str, Any]) -> None:
        """Print what is new about the task."""
        state = resource.get("outcome", resource["status"])
        if self._shown.get(resource["id"]) == state:
            return
        self._shown[resource["id"]] = state
        progress = resource.get("progress") or {}
        rows = f"  {progress['current']:,} {progress.get('unit', '')}" if progress else ""
        self._console.print(f"{self._tasks[resource['id']]:<14} {state}{rows}", markup=False, highlight=False)
