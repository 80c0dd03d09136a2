"""The reference executor: what `taskrpc work` carries out."""

from .bulk_import import BulkImport

__all__ = ["BulkImport"]
