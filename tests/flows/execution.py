"""One execution in the simulated world, as tests look at it."""

from dataclasses import dataclass, field

from taskrpc.core.flow.advance.events import Action, Event, Log, StartFlow
from taskrpc.core.flow.advance.state import ROOT, Run, State, path_of
from taskrpc.core.flow.model import Flow


@dataclass
class Execution:
    """One execution in the world, with all that it was told and all that it asked for."""

    flow: Flow
    state: State
    first: State
    parent: StartFlow | None = None
    told: list[Event] = field(default_factory=list)
    inbox: list[Event] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)
    steps: int = 0

    @property
    def runs(self) -> list[Run]:
        """The task runs, in the order of their creation."""
        return [run for n, run in sorted(self.state.runs.items()) if n != ROOT]

    def named(self, task: str) -> list[Run]:
        """The runs of a task."""
        return [run for run in self.runs if run.task == task]

    def states(self) -> list[str]:
        """`task STATE` of every run, with the loop values around it: `task[a] STATE`."""
        return [
            f"{run.task}{''.join(f'[{each}]' for each in path_of(run, self.state.run))} {run.state}"
            for run in self.runs
        ]
