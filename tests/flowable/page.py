"""The page that teaches flows: its flows, and what it says comes of them."""

import io
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from taskrpc.cli.flow_run import tell_end
from taskrpc.cli.flow_tree import Status, tree_of

PAGE: Final = Path(__file__).parents[2] / "docs/flows.md"
_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DURATION: Final = re.compile(r"\d+\.\d\d s$", re.MULTILINE)
RUN: Final = "$ taskrpc flow run "
CHECK: Final = "$ taskrpc flow check "


@dataclass(frozen=True)
class Example:
    """A command of the page, the flows that it is about by their ids, and what it is said to write."""

    command: str
    flows: dict[str, str]
    output: str

    @property
    def files(self) -> list[str]:
        """The texts of the files that are named."""
        return [self.flows[word.removesuffix(".yaml")] for word in self.words if word.endswith(".yaml")]

    @property
    def words(self) -> list[str]:
        """The arguments."""
        return shlex.split(self.command)[4:]

    @property
    def inputs(self) -> dict[str, str]:
        """What is given with -i."""
        given = [word for before, word in zip(self.words, self.words[1:], strict=False) if before == "-i"]
        return dict(each.split("=", 1) for each in given)


def flows() -> dict[str, str]:
    """All flows of the page by their ids; a mistaken one is called wrong."""
    found: dict[str, str] = {}
    for kind, text in _FENCE.findall(PAGE.read_text()):
        if kind == "yaml" and (id := re.match(r"id: (\S+)\nnamespace:", text)):
            found["wrong" if id[1] in found else id[1]] = text
    return found


def examples(command: str) -> list[Example]:
    """The examples of a command."""
    known, found = flows(), []
    for kind, text in _FENCE.findall(PAGE.read_text()):
        if kind == "" and text.startswith(command):
            line, _, output = text.partition("\n")
            found.append(Example(line, known, output.rstrip("\n")))
    return found


def shown(status: Status) -> str:
    """What the command writes in a terminal at the end."""
    console = Console(file=io.StringIO(), width=120)
    console.print(tree_of(status))
    tell_end(status["resource"], console)
    return str(console.file.getvalue()).rstrip("\n")  # type: ignore[attr-defined]


def without_durations(text: str) -> str:
    """What is the same each time."""
    return _DURATION.sub("0.00 s", text)
