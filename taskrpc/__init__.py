"""The service: a task executor in front of PostgreSQL (docs/design.md)."""
