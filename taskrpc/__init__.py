"""A task executor service in front of PostgreSQL, and its Python clients (docs/design.md)."""

from taskrpc.client import AsyncClient, Client
from taskrpc.errors import TaskRpcError
from taskrpc.executor import Activity, Executor, Task, Workflow

__all__ = ["Activity", "AsyncClient", "Client", "Executor", "Task", "TaskRpcError", "Workflow"]
