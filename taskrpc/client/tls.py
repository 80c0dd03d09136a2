"""What TLS connections trust: read once per process, since reading it takes longer than many a task."""

import ssl
from functools import lru_cache

import httpx2


@lru_cache(maxsize=1)
def trust() -> ssl.SSLContext:
    """The context of all clients; nobody changes it."""
    return httpx2.create_ssl_context()
