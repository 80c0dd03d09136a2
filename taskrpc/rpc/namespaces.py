"""Methods of `awf.kv/`, `awf.secret/`, `awf.namespace-file/` and `awf.template/`: what flows keep by namespace."""

from taskrpc.core.model import Resource
from taskrpc.rpc import namespace_params as p
from taskrpc.rpc.registry import method
from taskrpc.rpc.services import Context, Services
from taskrpc.store.entries import Page


def _page(params: p.ListOfNamespace) -> Page:
    return Page(params.namespace, params.prefix, params.count, params.page)


def _listed(page: tuple[list[Resource], int]) -> Resource:
    return {"resources": page[0], "total": page[1]}


@method("awf.kv/put", p.PutKey, in_turn=True)
async def put_key(services: Services, context: Context, params: p.PutKey) -> Resource:
    """Sets the value of a key, any JSON but null; with `ttl` it is gone after so many ms."""
    resource = await services.namespaces.keys.put(params.namespace, params.key, params.value, params.ttl)
    return {"resource": resource}


@method("awf.kv/get", p.OfKey)
async def get_key(services: Services, context: Context, params: p.OfKey) -> Resource:
    """A key with its value."""
    return {"resource": await services.namespaces.keys.get(params.namespace, params.key)}


@method("awf.kv/list", p.ListOfNamespace)
async def list_keys(services: Services, context: Context, params: p.ListOfNamespace) -> Resource:
    """Keys without their values."""
    return _listed(await services.namespaces.keys.page(_page(params)))


@method("awf.kv/delete", p.OfKey, in_turn=True)
async def delete_key(services: Services, context: Context, params: p.OfKey) -> Resource:
    """Removes a key."""
    await services.namespaces.keys.delete(params.namespace, params.key)
    return {}


@method("awf.secret/put", p.PutSecret, in_turn=True)
async def put_secret(services: Services, context: Context, params: p.PutSecret) -> Resource:
    """Sets a secret, which is encrypted and shown by no method; answers what may be known of it."""
    value = params.value.get_secret_value()
    resource = await services.namespaces.secrets.put(params.namespace, params.key, value, params.description)
    return {"resource": resource}


@method("awf.secret/get", p.OfKey)
async def get_secret(services: Services, context: Context, params: p.OfKey) -> Resource:
    """What may be known of a secret: that it is there, its description, when it was set."""
    return {"resource": await services.namespaces.secrets.get(params.namespace, params.key)}


@method("awf.secret/list", p.ListOfNamespace)
async def list_secrets(services: Services, context: Context, params: p.ListOfNamespace) -> Resource:
    """What may be known of secrets."""
    return _listed(await services.namespaces.secrets.page(_page(params)))


@method("awf.secret/delete", p.OfKey, in_turn=True)
async def delete_secret(services: Services, context: Context, params: p.OfKey) -> Resource:
    """Removes a secret."""
    await services.namespaces.secrets.delete(params.namespace, params.key)
    return {}


@method("awf.namespace-file/put", p.PutFile, in_turn=True)
async def put_file(services: Services, context: Context, params: p.PutFile) -> Resource:
    """Stores a file, in place of the one with this path: `content` is text, `contentBase64` any bytes."""
    resource = await services.namespaces.files.put(params.namespace, params.path, params.content)
    return {"resource": resource}


@method("awf.namespace-file/get", p.OfFile)
async def get_file(services: Services, context: Context, params: p.OfFile) -> Resource:
    """A file with its `content`, or `contentBase64` if it is no text."""
    return {"resource": await services.namespaces.files.get(params.namespace, params.path)}


@method("awf.namespace-file/list", p.ListOfNamespace)
async def list_files(services: Services, context: Context, params: p.ListOfNamespace) -> Resource:
    """Files without their contents."""
    return _listed(await services.namespaces.files.page(_page(params)))


@method("awf.namespace-file/delete", p.OfFile, in_turn=True)
async def delete_file(services: Services, context: Context, params: p.OfFile) -> Resource:
    """Removes a file."""
    await services.namespaces.files.delete(params.namespace, params.path)
    return {}


@method("awf.template/put", p.PutTemplate, in_turn=True)
async def put_template(services: Services, context: Context, params: p.PutTemplate) -> Resource:
    """Adds a revision of a template; putting the same again adds none."""
    return {"resource": await services.namespaces.templates.put(params.namespace, params.id, params.spec)}


@method("awf.template/get", p.GetTemplate)
async def get_template(services: Services, context: Context, params: p.GetTemplate) -> Resource:
    """A template as it is now, or one `revision` of it."""
    return {"resource": await services.namespaces.templates.get(params.namespace, params.id, params.revision)}


@method("awf.template/list", p.ListOfNamespace)
async def list_templates(services: Services, context: Context, params: p.ListOfNamespace) -> Resource:
    """Templates as they are now, without their tasks."""
    return _listed(await services.namespaces.templates.page(_page(params)))


@method("awf.template/delete", p.OfTemplate, in_turn=True)
async def delete_template(services: Services, context: Context, params: p.OfTemplate) -> Resource:
    """Deletes a template; executions that have a revision of it keep that."""
    await services.namespaces.templates.delete(params.namespace, params.id)
    return {}
