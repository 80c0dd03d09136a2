"""The OpenAPI document of webhooks: `/api/v1/webhook/{namespace}/{flowId}/{key}`."""

from functools import cache
from typing import Any, Final

from taskrpc.web.openapi_parts import PROBLEM, PROBLEM_CONTENT, Schema, head, refusals
from taskrpc.web.webhooks import WEBHOOK_PATH

_DESCRIPTION: Final = (
    "Starts a flow that has a trigger of type core.trigger.Webhook. The key in the path is all that is needed. "
    "docs/flows.md tells more."
)
_ANSWER: Final[Schema] = {
    "description": "The execution; or its outputs, if the trigger waits and says so",
    "content": {"application/json": {"schema": {"type": "object"}}},
}
_TYPES: Final = (
    "not-found", "invalid-params", "cannot-start", "unparsable-body", "body-too-large", "unsupported-media-type",
    "request-timeout", "internal-error", "unavailable", "outcome-unknown",
)  # fmt: skip


def _part(name: str, description: str) -> Schema:
    schema = {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "schema": schema, "description": description}


@cache
def document() -> dict[str, Any]:
    """The document, as it is served."""
    call = {
        "operationId": "callWebhook",
        "summary": "Start a flow",
        "requestBody": {"content": {"application/json": {"schema": {}}, "text/plain": {"schema": {"type": "string"}}}},
        "responses": {
            "200": _ANSWER,
            "204": {"description": "A condition of the trigger does not hold: nothing was started"},
            **refusals(_TYPES, PROBLEM_CONTENT),
        },
        "security": [{}],
    }
    place = [_part("namespace", "Of the flow"), _part("flowId", "The flow's id"), _part("key", "Of the trigger")]
    return {
        **head("Webhooks", _DESCRIPTION),
        "security": [{}],
        "paths": {f"{WEBHOOK_PATH}{{namespace}}/{{flowId}}/{{key}}": {"parameters": place, "post": call}},
        "components": {"schemas": {"Problem": PROBLEM}},
    }
