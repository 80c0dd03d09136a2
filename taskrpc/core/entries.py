"""Resources of what flows keep by namespace, made from rows."""

import base64

from taskrpc.core.json_text import JsonText
from taskrpc.core.model import Resource, Row, meta_of
from taskrpc.core.timestamps import format_time


def _entry(row: Row, type: str, name: str) -> Resource:
    resource: Resource = {"namespace": row["namespace"], name: row[name], "resourceType": type}
    return resource


def key_resource(row: Row) -> Resource:
    """`AidboxKeyValue`; its `value` where the row has it."""
    resource = _entry(row, "AidboxKeyValue", "key")
    if "value" in row:
        resource["value"] = JsonText(row["value"])
    if row["expires_at"] is not None:
        resource["expiresAt"] = format_time(row["expires_at"])
    return resource | {"meta": meta_of(row)}


def secret_resource(row: Row) -> Resource:
    """`AidboxSecret`: everything but the secret."""
    resource = _entry(row, "AidboxSecret", "key")
    if row["description"] is not None:
        resource["description"] = row["description"]
    return resource | {"meta": meta_of(row)}


def file_resource(row: Row) -> Resource:
    """`AidboxNamespaceFile`; its `content`, or `contentBase64` if it is no text, where the row has it."""
    resource = _entry(row, "AidboxNamespaceFile", "path") | {"size": row["size"]}
    if "content" in row:
        content: bytes = row["content"]
        try:
            resource["content"] = _text(content)
        except ValueError:
            resource["contentBase64"] = base64.b64encode(content).decode()
    return resource | {"meta": meta_of(row)}


def _text(content: bytes) -> str:
    if b"\0" in content:
        raise ValueError("this is no text: it has a NUL")
    return content.decode()


def template_resource(row: Row, spec: Resource) -> Resource:
    """`AidboxTemplate` in one revision; `spec` has its fields, as far as they were read."""
    return {
        "namespace": row["namespace"],
        "id": row["id"],
        "resourceType": "AidboxTemplate",
        "revision": row["revision"],
        **spec,
        "meta": {"createdAt": format_time(row["created_at"])},
    }
