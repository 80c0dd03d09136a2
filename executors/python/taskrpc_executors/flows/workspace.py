"""The directory that a task works in: what is put into it, and what is taken out."""

import asyncio
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from wcmatch import glob

from taskrpc.client import AsyncFiles
from taskrpc.core.file_uri import PREFIX, path_of, uri_of
from taskrpc.core.names import check_path
from taskrpc.errors import TaskRpcError

# Scripts and downloads, which are nobody's output.
OWN: Final = ".taskrpc"
_DIRECTORY: Final = re.compile(r"\$WORKING_DIR(?![A-Za-z0-9_])")
_URI: Final = re.compile(re.escape(PREFIX) + r"[A-Za-z0-9._~%/-]+")
# Of the name of a file that is put into a text, what no shell reads as anything else.
_SPECIAL: Final = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST_OWN: Final = 100
_GLOB: Final = glob.GLOBSTAR | glob.DOTGLOB | glob.BRACE


class Workspace:
    """A directory of this machine. Names in it are relative and lead nowhere else."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._made = 0

    def filled(self, value: Any) -> Any:
        """The value with `$WORKING_DIR`, which is what `{{ workingDir }}` renders to, replaced by the directory."""
        match value:
            case str():
                return _DIRECTORY.sub(lambda _: str(self.directory), value)
            case list():
                return [self.filled(each) for each in value]
            case dict():
                return {key: self.filled(each) for key, each in value.items()}
        return value

    def inside(self, name: str, property: str = "inputFiles") -> Path:
        """The path of a file in the directory, whose parents are there then; raises `invalid-params`."""
        try:
            path = self.directory / check_path(name)
            if name.partition("/")[0] == OWN:
                raise ValueError(f"{OWN} is the executor's own")
            path.parent.mkdir(parents=True, exist_ok=True)
        except (ValueError, OSError) as error:
            raise _refused(property, name, error) from None
        if not path.parent.resolve().is_relative_to(self.directory) or path.is_symlink():
            raise TaskRpcError("invalid-params", f"{property}: {name!r} leads out of the directory")
        return path

    def own(self, name: str) -> Path:
        """The path of a new file that is not looked at for outputs; it can stand in a command."""
        self._made += 1
        path = self.directory / OWN / f"{self._made}" / _SPECIAL.sub("_", name)[-_LONGEST_OWN:]
        path.parent.mkdir(parents=True)
        return path

    async def put(self, name: str, content: str, files: AsyncFiles, property: str = "inputFiles") -> None:
        """A file with this content; a URI of the internal storage stands for the file there."""
        path = self.inside(name, property)
        try:
            if _URI.fullmatch(content):
                await files.download(content, path)
            else:
                await asyncio.to_thread(path.write_text, content, encoding="utf-8")
        except OSError as error:
            raise _refused(property, name, error) from None

    async def localized(self, text: str, files: AsyncFiles) -> str:
        """The text with URIs of the internal storage replaced by paths of downloaded files."""
        paths: dict[str, str] = {}
        for uri in dict.fromkeys(_URI.findall(text)):
            path = self.own(unquote(uri).rpartition("/")[2])
            await files.download(uri, path)
            paths[uri] = str(path)
        return _URI.sub(lambda match: paths[match[0]], text)

    def matching(self, patterns: Iterable[str], *, links: bool = False) -> list[str]:
        """Files whose names match any of the globs: `*` stays within a folder, `**` does not. `links`: those too."""
        wanted = [pattern.removeprefix(f"{self.directory}/").removeprefix("./") for pattern in patterns]
        if not wanted:
            return []
        return [name for name in self._names(links) if matches(name, wanted)]

    def _names(self, links: bool) -> list[str]:
        found = []
        for folder, subfolders, names in os.walk(self.directory):
            relative = Path(folder).relative_to(self.directory)
            if relative == Path():
                subfolders[:] = [name for name in subfolders if name != OWN]
            found += [(relative / name).as_posix() for name in (*names, *subfolders)]
        paths = ((name, self.directory / name) for name in found)
        return sorted(name for name, path in paths if (links if path.is_symlink() else path.is_file()))

    async def upload(self, names: Iterable[str], prefix: str, files: AsyncFiles) -> dict[str, str]:
        """Stores files below a prefix of URIs; answers their URIs by their names."""
        try:
            uris = {name: _below(prefix, name) for name in names}
            for name, uri in uris.items():
                await files.upload(self.directory / name, uri)
        except OSError as error:
            raise TaskRpcError("not-stored", f"{error.filename} cannot be read: {error.strerror}") from None
        return uris


def _below(prefix: str, name: str) -> str:
    """The URI of a file; raises `not-stored` for a name that no stored file can have."""
    try:
        return uri_of(check_path(f"{path_of(prefix.rstrip('/'))}/{name}"))
    except ValueError as error:
        raise TaskRpcError("not-stored", f"{ascii(name)[:300]} cannot be stored: {error}") from None


def _refused(property: str, name: str, error: Exception) -> TaskRpcError:
    reason = f"{name[:200]!r} cannot be made: {error.strerror}" if isinstance(error, OSError) else str(error)
    return TaskRpcError("invalid-params", f"{property}: {reason}")


def matches(name: str, patterns: list[str]) -> bool:
    """Whether a path matches any of the globs."""
    return bool(glob.globmatch(name, patterns, flags=_GLOB))
