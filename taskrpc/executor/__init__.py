"""The runtime of executors: polls for tasks, runs Python functions for them, reports what came of it."""

from .executor import Executor
from .task import Task
from .workflow import Activity, Workflow

__all__ = ["Activity", "Executor", "Task", "Workflow"]
