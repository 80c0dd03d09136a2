"""Which role may call which method, and how the definitions are found that a call has to do with: one table.

A call of an execution carries an execId, which only whoever polled the task knows: it needs no further look. Where a
definition is not to be had from the params, the task is looked at first – for keys that are bound to definitions only.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from taskrpc.core.access import Access, Role
from taskrpc.engine.flows import flow_name
from taskrpc.errors import TaskRpcError
from taskrpc.rpc.services import Services

Scope = Callable[[Services, Access, Any], Awaitable[Any]]


async def _nothing(services: Services, access: Access, params: Any) -> Any:
    """The handler answers only what the key is for, or the call is of an execution."""
    return params


async def _polled(services: Services, access: Access, params: Any) -> Any:
    access.check(sorted(name for _, name in params.queues))
    return params


async def _end(services: Services, access: Access, params: Any) -> Any:
    """An end of an execution, which may poll for the next tasks."""
    if params.poll is not None:
        await _polled(services, access, params.poll)
    return params


async def _created(services: Services, access: Access, params: Any) -> Any:
    access.check([params.definition])
    return params


async def _definition(services: Services, access: Access, params: Any) -> Any:
    access.check([params.id])
    return params


async def _flow(services: Services, access: Access, params: Any) -> Any:
    access.check([flow_name(params.namespace, params.id)])
    return params


async def _task(services: Services, access: Access, params: Any) -> Any:
    access.check([(await services.tasks.row(params.id))["name"]])
    return params


async def _workflow(services: Services, access: Access, params: Any) -> Any:
    access.check([(await services.workflows.row(params.id))["name"]])
    return params


async def _listed(services: Services, access: Access, params: Any) -> Any:
    """A list is narrowed to what the key is for."""
    wanted = params.filter.include
    access.check(wanted or ())
    narrow = sorted(access.definitions or ()) if wanted is None else wanted
    return params.model_copy(update={"filter": params.filter.model_copy(update={"include": narrow})})


async def _everything(services: Services, access: Access, params: Any) -> Any:
    check_unbound(access)


def check_unbound(access: Access) -> None:
    """Raises `forbidden` for a key that is bound to definitions: what it asks for may concern any."""
    if access.definitions is not None:
        raise TaskRpcError("forbidden", f"Key {access.name} is bound to definitions; this call may concern any")


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may call a method (besides admins), and what a key that is bound to definitions has to fit."""

    roles: frozenset[Role]
    scope: Scope


_EXECUTORS: Final = frozenset[Role]({"executor"})
_USERS: Final = frozenset[Role]({"user"})
_BOTH: Final = frozenset[Role]({"executor", "user"})
_ADMINS: Final = frozenset[Role]()

# Lists and single resources by GET, everything over REST, and files without a token.
READING: Final = _USERS
SUBMITTING: Final = _USERS
FILES: Final = _USERS

RULES: Final[Mapping[str, Rule]] = {
    "awf.task/poll": Rule(_EXECUTORS, _polled),
    "awf.task/long-poll": Rule(_EXECUTORS, _polled),
    "awf.task/start": Rule(_EXECUTORS, _nothing),
    "awf.task/notify": Rule(_EXECUTORS, _nothing),
    "awf.task/success": Rule(_EXECUTORS, _end),
    "awf.task/fail": Rule(_EXECUTORS, _end),
    "awf.task/release": Rule(_EXECUTORS, _nothing),
    "awf.task/feedback": Rule(_EXECUTORS, _nothing),
    "awf.task/create-and-execute": Rule(_USERS, _created),
    "awf.task/status": Rule(_BOTH, _task),
    "awf.task/cancel": Rule(_USERS, _task),
    "awf.task/stop": Rule(_USERS, _task),
    "awf.task/retry": Rule(_USERS, _task),
    "awf.task/result": Rule(_USERS, _task),
    "awf.task/list": Rule(_USERS, _listed),
    "awf.workflow/create-and-execute": Rule(_USERS, _created),
    "awf.workflow/status": Rule(_BOTH, _workflow),
    "awf.workflow/cancel": Rule(_USERS, _workflow),
    "awf.workflow/kill": Rule(_USERS, _workflow),
    "awf.workflow/resume": Rule(_USERS, _workflow),
    "awf.workflow/restart": Rule(_USERS, _workflow),
    "awf.workflow/replay": Rule(_USERS, _workflow),
    "awf.workflow/result": Rule(_USERS, _workflow),
    "awf.workflow/list": Rule(_USERS, _listed),
    "awf.definition/put": Rule(_ADMINS, _definition),
    "awf.definition/get": Rule(_BOTH, _definition),
    "awf.definition/list": Rule(_BOTH, _nothing),
    "awf.definition/delete": Rule(_ADMINS, _definition),
    # What a flow starts may be of any definition, so a bound key puts none.
    "awf.flow/put": Rule(_ADMINS, _everything),
    "awf.flow/validate": Rule(_BOTH, _nothing),
    "awf.flow/get": Rule(_BOTH, _flow),
    "awf.flow/list": Rule(_BOTH, _nothing),
    "awf.flow/delete": Rule(_ADMINS, _flow),
    "awf.event/publish": Rule(_USERS, _everything),
    "awf.scheduler/put": Rule(_ADMINS, _everything),
    "awf.scheduler/get": Rule(_USERS, _everything),
    "awf.scheduler/list": Rule(_USERS, _everything),
    "awf.scheduler/delete": Rule(_ADMINS, _everything),
    "awf.scheduler/run": Rule(_ADMINS, _everything),
    "awf.subscription/put": Rule(_ADMINS, _everything),
    "awf.subscription/get": Rule(_USERS, _everything),
    "awf.subscription/list": Rule(_USERS, _everything),
    "awf.subscription/delete": Rule(_ADMINS, _everything),
    # Values are data of flows and programs; files and templates say what flows do, as definitions do.
    "awf.kv/put": Rule(_USERS, _everything),
    "awf.kv/get": Rule(_BOTH, _everything),
    "awf.kv/list": Rule(_BOTH, _everything),
    "awf.kv/delete": Rule(_USERS, _everything),
    "awf.secret/put": Rule(_ADMINS, _everything),
    "awf.secret/get": Rule(_ADMINS, _everything),
    "awf.secret/list": Rule(_ADMINS, _everything),
    "awf.secret/delete": Rule(_ADMINS, _everything),
    "awf.namespace-file/put": Rule(_ADMINS, _everything),
    "awf.namespace-file/get": Rule(_BOTH, _everything),
    "awf.namespace-file/list": Rule(_BOTH, _everything),
    "awf.namespace-file/delete": Rule(_ADMINS, _everything),
    "awf.template/put": Rule(_ADMINS, _everything),
    "awf.template/get": Rule(_USERS, _everything),
    "awf.template/list": Rule(_USERS, _everything),
    "awf.template/delete": Rule(_ADMINS, _everything),
}


def told(access: Access, refusal: TaskRpcError) -> TaskRpcError:
    """A refusal as the bearer of a key may see it: what has an id that is taken only if the key is for that."""
    resource = (refusal.data or {}).get("resource")
    if not isinstance(resource, dict) or access.is_for(resource):
        return refusal
    return TaskRpcError(refusal.type, refusal.message)


async def permitted(services: Services, access: Access, method: str, params: Any) -> Any:
    """The params with which a call may be carried out: those that it came with, or a list's narrowed filter.

    Raises `forbidden`, and what a look at the task raises.
    """
    rule = RULES.get(method, Rule(_ADMINS, _everything))
    access.check_role(rule.roles, method)
    return params if access.definitions is None else await rule.scope(services, access, params)
