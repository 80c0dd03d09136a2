"""Where the keys for secrets come from: the environment, a file that is named, or a file in the data directory."""

import os
from pathlib import Path
from typing import Final

from taskrpc.core.ids import serial_id
from taskrpc.engine.cipher import Cipher, new_key
from taskrpc.errors import TaskRpcError
from taskrpc.settings import Settings

FILE: Final = "secret.key"


def load_cipher(settings: Settings) -> Cipher:
    """The cipher with the keys of these settings.

    With the embedded PostgreSQL a key is made in the data directory, which has to be there, if none is named; it is
    part of what a backup needs. Raises `not-configured` for keys that are none or cannot be read.
    """
    if settings.secret_key is not None:
        return Cipher(_split(settings.secret_key.get_secret_value()))
    file = key_file(settings)
    return Cipher() if file is None else Cipher(_split(_read(file)))


def key_file(settings: Settings) -> Path | None:
    """The file of keys that these settings mean; with the embedded PostgreSQL it is made if none is named."""
    if settings.secret_key_file is not None or settings.secret_key is not None or settings.database_url is not None:
        return settings.secret_key_file
    return _of_data_dir(settings.data_dir)


def _split(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise TaskRpcError("not-configured", f"The keys for secrets in {path} cannot be read: {reason}") from None


def _of_data_dir(data_dir: Path) -> Path:
    path = data_dir / FILE
    if not path.exists():
        _create(path)
    if path.stat().st_mode & 0o077:
        raise TaskRpcError(
            "not-configured", f"{path} can be read by others than its owner: chmod 600 {path}, and put new secrets"
        )
    return path


def _create(path: Path) -> None:
    """Makes the file with a new key, whole or not at all; of servers that do so at once the first counts."""
    draft = path.with_name(f"{FILE}.{serial_id()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(new_key() + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
