"""How large requests may be, and how long they may take."""

from typing import Final

from taskrpc.errors import TaskRpcError

BYTE_SECONDS: Final = 10.0
REQUEST_SECONDS: Final = 60.0
KEEP_ALIVE_SECONDS: Final = 75.0
# Whoever has just connected, or has sent half a head, is about to send; a connection that is closed now takes the
# request with it.
HEAD_SECONDS: Final = 0.5
MOST_HEAD_BYTES: Final = 64 * 1024  # no other limit of bytes is lower, see RpcProtocol.data_received
# A client that is cut off while it sends never sees why, and sends the same again: so what follows a refusal is read
# and forgotten, until nothing comes for a while, up to this much.
QUIET_SECONDS: Final = 2.0
MOST_DISCARDED: Final = 64 * 2**20
# A body of one-byte chunks is six times as long on the wire.
CHUNK_OVERHEAD: Final = 8


def too_large(limit: int) -> TaskRpcError:
    """The refusal of a body of more than `limit` bytes."""
    return TaskRpcError("body-too-large", f"The body is larger than {limit} bytes", {"limit": limit})


def too_slow() -> TaskRpcError:
    """The refusal of a body that takes too long."""
    return TaskRpcError(
        "request-timeout",
        f"The body did not come: {BYTE_SECONDS:.0f} s without a byte, or {REQUEST_SECONDS:.0f} s in all",
    )
