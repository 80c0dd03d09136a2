"""Flows of others, with what came of them there: the folder that FLOW_CASES names."""

import os
from pathlib import Path

import pytest

from tests.flows.cases import Case

FOLDER = Path(os.environ.get("FLOW_CASES", Path(__file__).parents[3] / "shared" / "flow-cases"))
CASES = sorted(file.parent.name for file in FOLDER.glob("*/expect.json"))


@pytest.mark.skipif(not CASES, reason=f"there are no cases in {FOLDER}; FLOW_CASES names a folder that has some")
@pytest.mark.parametrize("name", CASES or ["none"])
def test_a_case_comes_out_as_it_did_there(name: str) -> None:
    Case(FOLDER / name).run()
