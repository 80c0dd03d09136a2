"""Clients of the service: the same methods, sync and async, safe to repeat when a connection breaks."""

from .files import AsyncFiles
from .methods import Methods
from .retry import RetryPolicy
from .transports import AsyncClient, Client

__all__ = ["AsyncClient", "AsyncFiles", "Client", "Methods", "RetryPolicy"]
