"""The ways in which the input of an import can be wrong; they become the error of the failed task."""

from taskrpc.errors import TaskRpcError


def bad_params(path: str, message: str) -> TaskRpcError:
    """The task's params do not say what to import; `path` is dotted, from the params' top."""
    return TaskRpcError("invalid-params", f"{path}: {message}", {"path": path})


def unreadable(url: str, reason: str) -> TaskRpcError:
    """The input cannot be fetched, or may not be."""
    return TaskRpcError("input-unreadable", f"{url}: {reason}", {"url": url})


def bad_content(url: str, reason: str) -> TaskRpcError:
    """The input as a whole is not what it should be."""
    return TaskRpcError("bad-input", f"{url}: {reason}", {"url": url})


def bad_line(url: str, number: int, reason: str) -> TaskRpcError:
    """One line of the input cannot be imported; lines count from 1."""
    return TaskRpcError("bad-input", f"{url}, line {number}: {reason}", {"url": url, "line": number})
