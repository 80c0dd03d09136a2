"""The named SQL statements of the store, read from queries/*.sql.

Each statement in a file starts with `-- name: NAME` and lines that say what it is for. They are complete SQL: what
stands in the file is what PostgreSQL gets, so that it can be read, prepared and explained as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

_MARK = "-- name: "


@dataclass(frozen=True, slots=True)
class Statement:
    """One named statement: `purpose` is its comment, `sql` what is sent."""

    name: str
    file: str
    purpose: str
    sql: str


def _split(file: str, text: str) -> list[Statement]:
    found = []
    for part in text.split(_MARK)[1:]:
        name, _, body = part.partition("\n")
        lines = body.strip().splitlines()
        comment = 0
        while lines[comment].startswith("--"):
            comment += 1
        purpose = " ".join(line.removeprefix("--").strip() for line in lines[:comment])
        sql = "\n".join(lines[comment:])
        found.append(Statement(name.strip(), file, purpose, sql.rstrip().removesuffix(";")))
    return found


def _load() -> dict[str, Statement]:
    statements: dict[str, Statement] = {}
    folder = resources.files("taskrpc.store") / "queries"
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        for statement in _split(entry.name, entry.read_text(encoding="utf-8")):
            if statement.name in statements:
                raise ValueError(f"{entry.name}: a statement named {statement.name} exists already")
            statements[statement.name] = statement
    return statements


STATEMENTS: Mapping[str, Statement] = MappingProxyType(_load())
SQL: Mapping[str, str] = MappingProxyType({name: statement.sql for name, statement in STATEMENTS.items()})
