"""The embedded PostgreSQL: a real server that taskrpc starts, shares, supervises and stops (on Linux)."""

from taskrpc.store.embedded.ownership import EmbeddedPostgres

__all__ = ["EmbeddedPostgres"]
