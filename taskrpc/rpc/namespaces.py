"""Methods of `awf.kv/`, `awf.secret/`, `awf.namespace-file/` and `awf.template/`: what flows keep by namespace."""

from collections.abc import Callable

from taskrpc.core.model import Resource
from taskrpc.engine.namespace_entries import NamespaceEntries
from taskrpc.engine.namespaces import Namespaces
from taskrpc.rpc import namespace_params as p
from taskrpc.rpc.registry import Handler, method
from taskrpc.rpc.services import Context, Services
from taskrpc.store.entries import Page

_Kind = Callable[[Namespaces], NamespaceEntries]


def _get(kind: _Kind, doc: str) -> Handler[p.OfEntry]:
    async def get(services: Services, context: Context, params: p.OfEntry) -> Resource:
        return {"resource": await kind(services.namespaces).get(params.namespace, params.name)}

    get.__doc__ = doc
    return get


def _list(kind: _Kind, doc: str) -> Handler[p.ListOfNamespace]:
    async def list_entries(services: Services, context: Context, params: p.ListOfNamespace) -> Resource:
        page = Page(params.namespace, params.prefix, params.count, params.page)
        resources, total = await kind(services.namespaces).page(page)
        return {"resources": resources, "total": total}

    list_entries.__doc__ = doc
    return list_entries


def _delete(kind: _Kind, doc: str) -> Handler[p.OfEntry]:
    async def delete(services: Services, context: Context, params: p.OfEntry) -> Resource:
        await kind(services.namespaces).delete(params.namespace, params.name)
        return {}

    delete.__doc__ = doc
    return delete


@method("awf.kv/put", p.PutKey, in_turn=True)
async def put_key(services: Services, context: Context, params: p.PutKey) -> Resource:
    """Sets the value of a key, any JSON but null; with `ttl` it is gone after so many ms."""
    return {"resource": await services.namespaces.keys.put(params.namespace, params.name, params.value, params.ttl)}


method("awf.kv/get", p.OfKey)(_get(lambda of: of.keys, "A key with its value."))
method("awf.kv/list", p.ListOfNamespace)(_list(lambda of: of.keys, "Keys without their values."))
method("awf.kv/delete", p.OfKey, in_turn=True)(_delete(lambda of: of.keys, "Removes a key."))


@method("awf.secret/put", p.PutSecret, in_turn=True)
async def put_secret(services: Services, context: Context, params: p.PutSecret) -> Resource:
    """Sets a secret, which is encrypted and shown by no method; answers what may be known of it."""
    value = params.value.get_secret_value()
    resource = await services.namespaces.secrets.put(params.namespace, params.name, value, params.description)
    return {"resource": resource}


method("awf.secret/get", p.OfKey)(
    _get(lambda of: of.secrets, "What may be known of a secret: that it is there, its description, when it was set.")
)
method("awf.secret/list", p.ListOfNamespace)(_list(lambda of: of.secrets, "What may be known of secrets."))
method("awf.secret/delete", p.OfKey, in_turn=True)(_delete(lambda of: of.secrets, "Removes a secret."))


@method("awf.namespace-file/put", p.PutFile, in_turn=True)
async def put_file(services: Services, context: Context, params: p.PutFile) -> Resource:
    """Stores a file, in place of the one with this path: `content` is text, `contentBase64` any bytes."""
    return {"resource": await services.namespaces.files.put(params.namespace, params.name, params.content)}


method("awf.namespace-file/get", p.OfFile)(
    _get(lambda of: of.files, "A file with its `content`, or `contentBase64` if it is no text.")
)
method("awf.namespace-file/list", p.ListOfNamespace)(_list(lambda of: of.files, "Files without their contents."))
method("awf.namespace-file/delete", p.OfFile, in_turn=True)(_delete(lambda of: of.files, "Removes a file."))


@method("awf.template/put", p.PutTemplate, in_turn=True)
async def put_template(services: Services, context: Context, params: p.PutTemplate) -> Resource:
    """Adds a revision of a template; putting the same again adds none."""
    return {"resource": await services.namespaces.templates.put(params.namespace, params.name, params.spec)}


@method("awf.template/get", p.GetTemplate)
async def get_template(services: Services, context: Context, params: p.GetTemplate) -> Resource:
    """A template as it is now, or one `revision` of it."""
    return {"resource": await services.namespaces.templates.get(params.namespace, params.name, params.revision)}


method("awf.template/list", p.ListOfNamespace)(
    _list(lambda of: of.templates, "Templates as they are now, without their tasks.")
)
method("awf.template/delete", p.OfTemplate, in_turn=True)(
    _delete(lambda of: of.templates, "Deletes a template; executions that have a revision of it keep that.")
)
