"""`python -m tests`: everything that has to hold, in one command: lint, types, import rules, tests, coverage.

Arguments are handed to pytest, and then only pytest runs: `python -m tests tests/rpc -x`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
# More at a time than there are cores: tests that start servers wait for a third of their time.
AT_A_TIME: Final = (os.cpu_count() or 1) + 2
PYTEST: Final = (sys.executable, "-m", "pytest", "--tb=native", "-n", str(AT_A_TIME))
# What decides is covered to the last branch; these tests run in this process and so can be measured.
COVERED: Final = ("taskrpc/core", "taskrpc/wire", "taskrpc/rpc")
COVERING: Final = ("tests/unit", "tests/rpc", "tests/contract", "tests/web")

STEPS: Final[tuple[tuple[str, Sequence[str]], ...]] = (
    ("lint", (sys.executable, "-m", "ruff", "check", ".")),
    ("format", (sys.executable, "-m", "ruff", "format", "--check", ".")),
    ("types", (sys.executable, "-m", "mypy")),
    ("import rules", (str(Path(sys.executable).parent / "lint-imports"), "--no-cache")),
    (
        "tests of the rules and of the protocol, with coverage",
        (
            *PYTEST,
            *COVERING,
            *(f"--cov={folder}" for folder in COVERED),
            "--cov-branch",
            "--cov-report=term-missing:skip-covered",
            "--cov-fail-under=100",
        ),
    ),
    ("all other tests", (*PYTEST, "tests", *(f"--ignore={folder}" for folder in COVERING))),
)


def main() -> int:
    """Runs the steps in order and stops at the first that fails; its exit status is that step's."""
    if len(sys.argv) > 1:
        return subprocess.call((*PYTEST, *sys.argv[1:]), cwd=ROOT)
    for name, command in STEPS:
        print(f"== {name}", flush=True)
        began = time.monotonic()
        status = subprocess.call(command, cwd=ROOT)
        print(f"   {'ok' if status == 0 else 'FAILED'} in {time.monotonic() - began:.0f} s", flush=True)
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
