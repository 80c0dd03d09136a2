"""The leaf tasks of flows that this executor carries out: processes, HTTP requests, files, and directories to share."""

from .leaves import FlowLeaves

__all__ = ["FlowLeaves"]
