"""What is answered to a call that a defect of the server has broken."""

import logging

from taskrpc.core.ids import uuid7
from taskrpc.errors import TaskRpcError

log = logging.getLogger(__name__)


def defect(where: str) -> TaskRpcError:
    """`internal-error` for the exception that is being handled; it is logged under the incident's number."""
    incident = uuid7()
    log.exception("incident %s in %s", incident, where[:100])
    return TaskRpcError(
        "internal-error", "This is a defect of the server; its log has the incident", {"incident": incident}
    )
