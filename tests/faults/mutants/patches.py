"""Patches that take a safeguard out of a copy of the service. Each replaces a text that stands in a file once: a
patch that does not fit any more fails its test, and is to be made anew."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import taskrpc

SOURCE: Final = Path(taskrpc.__file__).parent


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement in one file of the package."""

    file: str
    old: str
    new: str

    def apply(self, package: Path) -> None:
        """Changes the file; raises ValueError where the text does not stand exactly once."""
        path = package / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} holds {self.old!r} {text.count(self.old)} times, not once")
        path.write_text(text.replace(self.old, self.new))


def copied(place: Path, *edits: Edit) -> Path:
    """A directory with a copy of the package, changed by the edits."""
    package = place / "taskrpc"
    shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
    for edit in edits:
        edit.apply(package)
    return place


WITHOUT_FENCE: Final = (
    Edit(
        "store/queries/execution.sql",
        "where t.exec_id = x.exec_id and t.status = 'in-progress' and t.kind = 'task'",
        "where t.status = 'in-progress' and t.kind = 'task'",
    ),
)
WITHOUT_POLL_BEHIND_NOTIFY: Final = (
    Edit("parts.py", 'run_every("slow poll", self.dispatcher.look),', ""),
)  # fmt: skip
REPEATS_BLINDLY: Final = (
    Edit(
        "client/request.py",
        "return cls(full_name, given | {\"id\": uuid7()}, made_id=True)",
        "return cls(full_name, given)",
    ),
)  # fmt: skip
OWN_CLOCK: Final = (
    Edit("store/reaping.py", "from typing import Final\n", "import time\nfrom typing import Final\n"),
    Edit(
        "store/reaping.py",
        "connection.fetch(SQL[statement], MOST_ROWS",
        'connection.fetch(SQL[statement].replace("<= taskrpc.now()", f"<= to_timestamp({time.time()})"), MOST_ROWS',
    ),
)
DECIDES_SIDE_BY_SIDE: Final = (
    Edit(
        "store/queries/workflows.sql",
        "    where not exists (select from taskrpc.task d where d.open_in = w.id and d.kind = 'decision')\n), head",
        "), head",
    ),
    Edit(
        "store/migrations/0002_add_workflows.sql",
        "create unique index task_open_decision",
        "create index task_open_decision",
    ),
)
