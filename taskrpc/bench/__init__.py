"""The benchmark: loads that look like executors at work, and what they cost server and database.

A load runs in a process of its own (`driver`), which is told what to do by a `Plan` and tells by events when its
measurement begins and ends; the process that started it looks at those moments into /proc and PostgreSQL.
"""
