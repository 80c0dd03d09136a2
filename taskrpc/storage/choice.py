"""Which storage a URL means."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from taskrpc.errors import TaskRpcError
from taskrpc.storage.directory import DirectoryStorage
from taskrpc.storage.storage import Storage


def open_storage(url: str | None, data_dir: Path) -> Storage:
    """The storage at `url`: a path, `file:///path`, `s3://bucket/prefix`; without one `data_dir`/storage.

    Nothing is read or written before it is used. Raises `not-configured` for what no storage can be.
    """
    if url is None:
        return DirectoryStorage(data_dir / "storage")
    parts = urlsplit(url)
    if parts.scheme in ("", "file"):
        return DirectoryStorage(Path(unquote(parts.path) if parts.scheme else url))
    if parts.scheme != "s3" or not parts.netloc:
        raise TaskRpcError("not-configured", f"--storage {url}: a directory or s3://bucket/prefix is expected")
    from taskrpc.storage.objects import ObjectStorage  # noqa: PLC0415  (what most servers never need)

    try:
        return ObjectStorage(url)
    except ImportError as error:
        raise TaskRpcError("not-configured", f"--storage {url}: {error}; pip install 'taskrpc[s3]'") from None
