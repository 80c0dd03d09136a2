"""What leaf tasks of the simulated world do with files: those that are stored, and those in directories."""

import json
from typing import Any

from taskrpc.core.flow.advance.events import StartTask


class Leaves:
    """Files in memory, and the directories of executions: each is that of a run of a task."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self._directories: dict[tuple[str, int], dict[str, str]] = {}

    def store(self, text: str, ending: str = "") -> str:
        """Puts a file away; answers its URI."""
        uri = f"kestra:///{len(self.files) + 1}{ending}"
        self.files[uri] = text
        return uri

    def open_directory(self, execution: str, task: StartTask) -> None:
        """A directory with the files that its task brings along."""
        inputs = task.params.get("inputFiles", {})
        self._directories[execution, task.run] = {name: self.files.get(text, text) for name, text in inputs.items()}

    def close_directory(self, execution: str, run: int, wanted: list[str]) -> dict[str, Any]:
        """The outputs of a directory: those files that are wanted, if they are there."""
        files = self._directories.get((execution, run), {})
        return {"outputFiles": {name: self.store(files[name]) for name in wanted if name in files}}

    def split(self, task: StartTask) -> dict[str, Any]:
        """Cuts the items of a ForEachItem into batches of so many rows."""
        lines = self.files[task.params["items"]].splitlines(keepends=True)
        rows = int(task.params["batch"].get("rows", 1))
        batches = [self.store("".join(lines[at : at + rows]), ".txt") for at in range(0, len(lines), rows)]
        return {"splits": self.store("\n".join(batches)), "batches": batches}

    def merge(self, outputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Puts the outputs of the subflows of a ForEachItem together."""
        return {"subflowOutputs": self.store("\n".join(map(json.dumps, outputs)))}

    def local_files(self, execution: str, task: StartTask) -> dict[str, Any]:
        """Puts files into the directory that the task is in, and stores those that are wanted of it."""
        files = self._directories.get((execution, task.directory or 0), {})
        files.update(task.params.get("inputs", {}))
        names = [name for name in files for wanted in task.params.get("outputs", []) if _fits(name, wanted)]
        return {"uris": {name: self.store(files[name]) for name in names}}


def _fits(name: str, wanted: str) -> bool:
    return name == wanted or (wanted.endswith("*") and name.startswith(wanted[:-1]))
