"""Flows of others, with what came of them there: the folder that FLOW_CASES names."""

import os
from pathlib import Path

import pytest

from tests.flows.cases import Case

FOLDER = os.environ.get("FLOW_CASES")
CASES = sorted(Path(FOLDER).glob("*/expect.json")) if FOLDER else []


@pytest.mark.skipif(not FOLDER, reason="FLOW_CASES names no folder of cases")
def test_there_are_cases() -> None:
    assert CASES


@pytest.mark.parametrize("expected", CASES, ids=[path.parent.name for path in CASES])
def test_a_case_comes_out_as_it_did_there(expected: Path) -> None:
    Case(expected.parent).run()
