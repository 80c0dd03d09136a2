"""Bodies of requests to other paths than `/rpc`, as they come."""

from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from taskrpc.errors import TaskRpcError
from taskrpc.web.limits import too_large


def is_encoded(request: Request) -> bool:
    """Whether a body is compressed or the like."""
    return bool(request.headers.get("content-encoding", "identity").lower() != "identity")


def refuse_encoded(request: Request) -> None:
    """Raises `unsupported-media-type` for a body that is compressed or the like."""
    if is_encoded(request):
        raise TaskRpcError("unsupported-media-type", "Encodings of the body are not undone; send it as it is")


async def pieces_of(request: Request) -> AsyncIterator[bytes]:
    """The body, piece by piece; raises `request-timeout` if it ends too early."""
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect:
        raise TaskRpcError("request-timeout", "The body did not come as a whole; nothing was done") from None


async def body_of(request: Request, most: int) -> bytes:
    """The whole body; raises `body-too-large` if it has more than `most` bytes, and what `pieces_of` raises."""
    body = bytearray()
    async for piece in pieces_of(request):
        body += piece
        if len(body) > most:
            raise too_large(most)
    return bytes(body)
