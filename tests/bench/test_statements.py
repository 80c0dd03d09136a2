"""What is sent without the service has the parameters of the service's statements."""

import re
from typing import Any

import pytest

from tests.bench import statements

EXECUTIONS = [("t1", "e1"), ("t2", "e2")]


@pytest.mark.parametrize(
    "statement",
    [
        statements.create(["{}"]),
        statements.claim(10),
        statements.start(EXECUTIONS),
        statements.success(EXECUTIONS, ["1", "2"]),
    ],
    ids=["create", "claim", "start", "success"],
)
def test_a_statement_is_sent_with_all_its_parameters(statement: list[Any]) -> None:
    sql, *arguments = statement
    assert {int(number) for number in re.findall(r"\$(\d+)", sql)} == set(range(1, len(arguments) + 1))
