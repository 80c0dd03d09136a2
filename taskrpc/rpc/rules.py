"""How rules look from outside, whatever they listen to."""

import orjson

from taskrpc.core.model import Resource
from taskrpc.core.timestamps import format_time
from taskrpc.store.database import Record


def rule_resource(resource_type: str, row: Record, further: Resource) -> Resource:
    """A rule as it was put, with what is known of it besides, and its versions."""
    meta = {
        "createdAt": format_time(row["created_at"]),
        "lastUpdated": format_time(row["updated_at"]),
        "versionId": str(row["version"]),
    }
    return {"id": row["id"], "resourceType": resource_type, **orjson.loads(row["spec"]), **further, "meta": meta}
