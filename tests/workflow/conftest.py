"""The workflows of a server."""

import pytest

from tests.engine.headless import Headless
from tests.workflow.flows import Flows


@pytest.fixture
async def flows(server: Headless) -> Flows:
    """Those of this test's server."""
    return Flows(server)
