"""The machine of a measurement, as far as it matters for its figures."""

import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

_WRITES: Final = 100
_PAGE_BYTES: Final = 8192


def describe() -> dict[str, str]:
    """Processor, cores, memory and the versions of what runs."""
    facts = {
        "processor": _after_colon(Path("/proc/cpuinfo"), "model name"),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(_after_colon(Path('/proc/meminfo'), 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "a durable write": f"{_sync_microseconds():.0f} µs",
        "Python": platform.python_version(),
    }
    if node := shutil.which("node"):
        facts["Node.js"] = subprocess.run(
            [node, "--version"], capture_output=True, text=True, check=False
        ).stdout.strip()
    return facts


def _after_colon(path: Path, key: str) -> str:
    for line in path.read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return "unknown"


def _sync_microseconds() -> float:
    """What it takes to have 8 kB on the disk: the median of a hundred writes to the directory for temporary files."""
    took = []
    with tempfile.TemporaryFile() as file:
        for _ in range(_WRITES):
            os.pwrite(file.fileno(), bytes(_PAGE_BYTES), 0)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e6


def busy() -> float:
    """The load average of the last minute."""
    return os.getloadavg()[0]
