"""The reference executor: what `taskrpc work` carries out."""

from .bulk_import import BulkImport
from .flows import FlowLeaves

__all__ = ["BulkImport", "FlowLeaves"]
