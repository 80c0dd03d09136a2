"""The flows of a server."""

import pytest

from tests.engine.headless import Headless
from tests.executions.flows import Flows


@pytest.fixture
async def flows(server: Headless) -> Flows:
    """Those of this test's server."""
    return Flows(server)
