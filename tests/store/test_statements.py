"""The named statements: each is described, complete, and says which edges of the life cycle it goes."""

import re
from pathlib import Path

import asyncpg
import pytest

from taskrpc.core.lifecycle import EDGES, STATUSES, WORKFLOW_EDGES
from taskrpc.store.database import _HOT_SETTINGS
from taskrpc.store.statements import SQL, STATEMENTS, Statement, _split

Edge = tuple[str, str, str]
STATES_PAGE = Path(__file__).parent.parent.parent / "docs/states.md"

each = pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)


@each
def test_a_statement_says_what_it_is_for_and_what_its_parameters_are(statement: Statement) -> None:
    assert len(statement.purpose) > 15
    taken = {int(number) for number in re.findall(r"\$(\d+)", statement.sql)}
    assert taken == set(range(1, len(taken) + 1)), "parameters are numbered without gaps"
    described = {int(number) for number in re.findall(r"\$(\d+)", statement.purpose)}
    for first, last in re.findall(r"\$(\d+) (?:to|and) \$(\d+)", statement.purpose):
        described |= set(range(int(first), int(last) + 1))
    assert described <= taken, "it describes a parameter that it does not take"
    if statement.file != "reaper.sql":  # there the head of the file describes them
        assert described == taken, "it takes a parameter that it does not describe"


@each
async def test_a_statement_is_understood_by_the_database(statement: Statement, observer: asyncpg.Connection) -> None:
    prepared = await observer.prepare(statement.sql)
    names = [attribute.name for attribute in prepared.get_attributes()]
    assert "?column?" not in names, "every column of an answer has a name"


async def test_all_statements_are_understood_with_the_settings_of_the_queue(database_url: str) -> None:
    connection = await asyncpg.connect(database_url, server_settings=_HOT_SETTINGS)
    try:
        for sql in SQL.values():
            await connection.prepare(sql)
    finally:
        await connection.close()


def test_a_statement_ends_where_the_next_one_begins() -> None:
    text = "-- of the file\n-- name: one\n-- First.\nselect 1;\n\n-- name: two\n-- Second,\n-- of two.\nselect\n  2;"
    assert _split("file.sql", text) == [
        Statement("one", "file.sql", "First.", "select 1"),
        Statement("two", "file.sql", "Second, of two.", "select\n  2"),
    ]


def _edges_of(statement: Statement, head: str = "Edges") -> set[Edge]:
    """The edges in a statement's comment: `Edges: a, b -call-> c, d -other-> e.`"""
    listed = re.search(rf"(?:^|\. ){head}: ([^.]*)\.", statement.purpose)
    edges: set[Edge] = set()
    before: list[str] = []
    for part in listed[1].split(", ") if listed else ():
        match = re.fullmatch(r"([a-z-]+?)(?: -([a-z-]+)-> ([a-z-]+))?", part)
        assert match is not None, f"{statement.name}: {part} is no edge"
        before.append(match[1])
        if match[2]:
            edges |= {(status, match[2], match[3]) for status in before}
            before = []
    assert not before, f"{statement.name}: {before} lead nowhere"
    return edges


def _all_edges_of(statement: Statement) -> set[Edge]:
    return _edges_of(statement) | _edges_of(statement, "Workflow edges")


def _edges_of_page(of_workflows: bool) -> list[Edge]:
    """The rows of a table of edges in docs/states.md: `| requested | start | in-progress |`."""
    of_page = STATES_PAGE.read_text().partition("# The life cycle of a workflow")[2 if of_workflows else 0]
    rows = re.findall(r"^\| ([a-z-]+) \| ([a-z-]+) \| ([a-z-]+) \|$", of_page, re.MULTILINE)
    return [(before, what, after) for before, what, after in rows if before in STATUSES]


def test_the_statements_go_the_edges_of_the_life_cycle() -> None:
    named = [
        edge
        for statement in STATEMENTS.values()
        if statement.file not in ("workflows.sql", "decisions.sql")
        for edge in _edges_of(statement)
    ]
    assert len(named) == len(set(named)), "two statements go the same edge, for tasks of any kind"
    assert set(named) == EDGES
    of_decisions = {edge for statement in STATEMENTS.values() for edge in _edges_of(statement)}
    assert of_decisions == EDGES


def test_the_statements_go_the_edges_of_the_life_cycle_of_workflows() -> None:
    named = [edge for statement in STATEMENTS.values() for edge in _edges_of(statement, "Workflow edges")]
    assert set(named) == WORKFLOW_EDGES


@pytest.mark.parametrize(("of_workflows", "edges"), [(False, EDGES), (True, WORKFLOW_EDGES)])
def test_the_page_about_states_draws_the_edges_of_the_life_cycle(of_workflows: bool, edges: frozenset[Edge]) -> None:
    drawn = _edges_of_page(of_workflows)
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == edges


@each
def test_who_changes_the_status_of_a_task_names_the_edge_and_logs_it(statement: Statement) -> None:
    changes = re.search(r"^\s+status = |insert into taskrpc\.task ", statement.sql, re.MULTILINE)
    assert bool(changes) <= bool(_all_edges_of(statement))
    logs = "insert into taskrpc.log" in statement.sql and statement.name != "advance_execution"  # what a flow says
    assert bool(_all_edges_of(statement)) == logs


@each
def test_the_log_says_the_name_of_the_edge(statement: Statement) -> None:
    names = {"create-and-execute" if what == "create" else what for _, what, _ in _all_edges_of(statement)}
    logged = statement.sql.partition("insert into taskrpc.log")[2]
    if statement.name not in ("end_workflows", "advance_execution"):  # they are told what happened
        assert set(re.findall(r"'awf\.(?:task|workflow)/([a-z-]+)'", logged)) == names
