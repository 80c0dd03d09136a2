"""What flows keep by namespace, in one place."""

from dataclasses import dataclass

from taskrpc.engine.cipher import Cipher
from taskrpc.engine.key_values import KeyValues
from taskrpc.engine.namespace_files import NamespaceFiles
from taskrpc.engine.secrets import Secrets
from taskrpc.engine.templates import Templates
from taskrpc.store.database import Database


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The stores of one server."""

    keys: KeyValues
    secrets: Secrets
    files: NamespaceFiles
    templates: Templates

    @classmethod
    def on(cls, database: Database, cipher: Cipher) -> "Namespaces":
        """The stores in a database; `cipher` has the keys for secrets."""
        return cls(KeyValues(database), Secrets(database, cipher), NamespaceFiles(database), Templates(database))
