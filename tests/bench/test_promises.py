"""The measurements of single promises run from end to end: with small numbers, and without looking at a time."""

import asyncio
import sys
from typing import Final

import pytest

from tests.conftest import Template

_DEADLINE_SECONDS: Final = 120


@pytest.mark.parametrize(
    ("name", "arguments", "lines"),
    [
        ("retention", "--tasks 2000 --executors 2 --seconds 0.5", 5),
        ("waits", "--waiting 500 --waits 100 --executors 2 --seconds 0.5", 6),
        ("workflows", "--small 3 --large 6 --rounds 1", 3),
        ("flows", "--small 3 --large 6 --limit 2 --rounds 1", 3),
    ],
)
async def test_a_measurement_prints_its_table(
    database_template: Template, name: str, arguments: str, lines: int
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"tests.bench.{name}", *arguments.split(), "--database-url", database_template.server_url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(_DEADLINE_SECONDS):
        output, errors = await process.communicate()
    assert process.returncode in (0, 1), errors.decode()
    assert "Traceback" not in errors.decode(), errors.decode()
    assert len(output.decode().splitlines()) == lines, output.decode()
