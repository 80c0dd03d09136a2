"""A picture of a flow, as a Mermaid flowchart: boxes for tasks, frames around what is nested, arrows in the order."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from taskrpc.core.flow.model import Flow, Task

_ROOT_LISTS: Final = ("tasks", "errors", "finally", "afterExecution")
_SIDE_BY_SIDE: Final = ("Parallel", "EachParallel")
_INDENT: Final = "  "


def mermaid(flow: Flow) -> str:
    """The flow as Mermaid text; a task's node is named by its place, so that ids may be anything."""
    drawing = _Drawing()
    drawing.line(0, "flowchart TD")
    for name in _ROOT_LISTS:
        if flow.list_of(name):
            drawing.frame(1, name, flow.list_of(name), "Flow")
    return "\n".join([*drawing.lines, *drawing.arrows]) + "\n"


class _Drawing:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.arrows: list[str] = []
        self._count = 0

    def line(self, depth: int, text: str) -> None:
        self.lines.append(_INDENT * depth + text)

    def _name(self) -> str:
        self._count += 1
        return f"n{self._count}"

    def frame(self, depth: int, title: str, tasks: Sequence[Task], kind: str) -> None:
        """A frame with tasks, and arrows between those that follow one another."""
        self.line(depth, f'subgraph {self._name()}["{_quoted(title)}"]')
        names = {task.id: self._task(depth + 1, task) for task in tasks}
        for before, after in _order(tasks, kind):
            self.arrows.append(f"{_INDENT}{names[before]} --> {names[after]}")
        self.line(depth, "end")

    def _task(self, depth: int, task: Task) -> str:
        label = f"{task.id}<br/>{task.type}" + (" (disabled)" if task.disabled else "")
        name = self._name()
        if not task.lists:
            self.line(depth, f'{name}["{_quoted(label)}"]')
            return name
        self.line(depth, f'subgraph {name}["{_quoted(label)}"]')
        for list_name, tasks in task.lists.items():
            self.frame(depth + 1, list_name.replace("cases.", "case "), tasks, task.kind)
        self.line(depth, "end")
        return name


def _order(tasks: Sequence[Task], kind: str) -> Iterator[tuple[str, str]]:
    if kind == "Dag" and any(task.depends_on for task in tasks):
        yield from ((needed, task.id) for task in tasks for needed in task.depends_on)
    elif kind not in _SIDE_BY_SIDE:
        yield from ((before.id, after.id) for before, after in pairwise(tasks))


def _quoted(text: str) -> str:
    return text.replace('"', "#quot;")
