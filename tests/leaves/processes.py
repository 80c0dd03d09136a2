"""The processes of tasks, as the system sees them."""

import asyncio
from pathlib import Path

from tests.system.waiting import until


def lives(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(*pids: int) -> None:
    """Returns when none of these processes runs any more."""

    async def none() -> bool:
        return not any(lives(pid) for pid in pids)

    await until(none)


async def written(path: Path) -> list[int]:
    """The numbers in a file, once it has a whole line."""

    async def numbers() -> list[int]:
        text = await asyncio.to_thread(lambda: path.read_text() if path.exists() else "")
        return [int(each) for each in text.split()] if text.endswith("\n") else []

    found: list[int] = await until(numbers)
    return found
