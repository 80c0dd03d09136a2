"""An executor as a program of its own: `python program.py URL GRACE`. Its task waits for a file."""

import sys
import time
from pathlib import Path

from taskrpc import Executor, Task

executor = Executor(sys.argv[1], grace=float(sys.argv[2]))


@executor.task("test/work")
def wait_for_file(task: Task) -> str:
    """Poll for the file as a stand-in for work that takes its time."""
    while not Path(task.params["file"]).exists():
        time.sleep(0.01)
    return "found"


executor.run()
