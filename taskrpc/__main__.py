"""`python -m taskrpc`."""

from taskrpc.cli import main

main()
