"""The methods about what flows keep by namespace: keys, secrets, files, templates."""

import base64
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class NamespaceMethods(ABC, Generic[Result]):
    """The methods of `awf.kv/`, `awf.secret/`, `awf.namespace-file/` and `awf.template/`.

    Lists are in the order of names, which begin with `prefix`, and leave contents out.
    """

    @abstractmethod
    def _call(self, method: str, **arguments: Any) -> Result:
        """Call a method by its name without `awf.`; None means absent."""

    def kv_put(self, namespace: str, key: str, value: Any, *, ttl: int | None = None) -> Result:
        """Set the value of a key, any JSON but null; with `ttl` it is gone after so many ms."""
        return self._call("kv/put", namespace=namespace, key=key, value=value, ttl=ttl)

    def kv_get(self, namespace: str, key: str) -> Result:
        """A key with its value."""
        return self._call("kv/get", namespace=namespace, key=key)

    def kv_list(
        self,
        namespace: str | None = None,
        *,
        prefix: str | None = None,
        count: int | None = None,
        page: int | None = None,
    ) -> Result:
        """Keys of a namespace, or of all: `{resources, total}`."""
        return self._call("kv/list", namespace=namespace, prefix=prefix, count=count, page=page)

    def kv_delete(self, namespace: str, key: str) -> Result:
        """Remove a key."""
        return self._call("kv/delete", namespace=namespace, key=key)

    def secret_put(self, namespace: str, key: str, value: str, *, description: str | None = None) -> Result:
        """Set a secret, which no method will show."""
        return self._call("secret/put", namespace=namespace, key=key, value=value, description=description)

    def secret_get(self, namespace: str, key: str) -> Result:
        """What may be known of a secret."""
        return self._call("secret/get", namespace=namespace, key=key)

    def secret_list(
        self,
        namespace: str | None = None,
        *,
        prefix: str | None = None,
        count: int | None = None,
        page: int | None = None,
    ) -> Result:
        """What may be known of the secrets of a namespace, or of all: `{resources, total}`."""
        return self._call("secret/list", namespace=namespace, prefix=prefix, count=count, page=page)

    def secret_delete(self, namespace: str, key: str) -> Result:
        """Remove a secret."""
        return self._call("secret/delete", namespace=namespace, key=key)

    def namespace_file_put(self, namespace: str, path: str, content: str | bytes) -> Result:
        """Store a file, in place of the one with this path."""
        if isinstance(content, str):
            return self._call("namespace-file/put", namespace=namespace, path=path, content=content)
        binary = {"contentBase64": base64.b64encode(content).decode()}
        return self._call("namespace-file/put", namespace=namespace, path=path, **binary)

    def namespace_file_get(self, namespace: str, path: str) -> Result:
        """A file with its `content`, or `contentBase64` if it is no text."""
        return self._call("namespace-file/get", namespace=namespace, path=path)

    def namespace_file_list(
        self,
        namespace: str | None = None,
        *,
        prefix: str | None = None,
        count: int | None = None,
        page: int | None = None,
    ) -> Result:
        """Files of a namespace, or of all: `{resources, total}`."""
        return self._call("namespace-file/list", namespace=namespace, prefix=prefix, count=count, page=page)

    def namespace_file_delete(self, namespace: str, path: str) -> Result:
        """Remove a file."""
        return self._call("namespace-file/delete", namespace=namespace, path=path)

    def template_put(self, namespace: str, id: str, tasks: Sequence[Mapping[str, Any]], **further: Any) -> Result:
        """Add a revision of a template; `further` is `description`, `errors`, `finally`."""
        return self._call("template/put", namespace=namespace, id=id, tasks=list(tasks), **further)

    def template_get(self, namespace: str, id: str, *, revision: int | None = None) -> Result:
        """A template as it is now, or one revision of it."""
        return self._call("template/get", namespace=namespace, id=id, revision=revision)

    def template_list(
        self,
        namespace: str | None = None,
        *,
        prefix: str | None = None,
        count: int | None = None,
        page: int | None = None,
    ) -> Result:
        """Templates of a namespace, or of all: `{resources, total}`."""
        return self._call("template/list", namespace=namespace, prefix=prefix, count=count, page=page)

    def template_delete(self, namespace: str, id: str) -> Result:
        """Delete a template; its revisions stay for executions that have them."""
        return self._call("template/delete", namespace=namespace, id=id)
