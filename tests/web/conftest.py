"""One server for all tests of a module; bad input must not change it, so they can share it."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.conftest import Template
from tests.databases import copy_of
from tests.web.target import Target, target_on


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def target(database_template: Template) -> AsyncIterator[Target]:
    """A server with a task in every status, which has to be alive and unharmed after the module."""
    async with copy_of(database_template.server_url, database_template.name) as url, target_on(url) as target:
        yield target
