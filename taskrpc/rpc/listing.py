"""Lists of tasks and of workflows: the same filters, the same order, the same answer."""

from taskrpc.core.model import Resource
from taskrpc.engine.reading import Filter, Page
from taskrpc.rpc.params import ListOf
from taskrpc.rpc.services import Services


async def listed(services: Services, params: ListOf, kinds: tuple[str, ...]) -> Resource:
    """`{resources, total}`: one page of what is of these kinds."""
    narrow = Filter(
        kinds=kinds,
        definitions=params.filter.include,
        definitions_left_out=params.filter.exclude,
        statuses=[*params.filter.status] if params.filter.status is not None else None,
        outcomes=[*params.filter.outcome] if params.filter.outcome is not None else None,
        substring=params.filter.ilike,
    )
    sort, order = "createdAt", "desc"
    if params.sort is not None:
        sort = "createdAt" if params.sort.created_at else "lastUpdated"
        order = params.sort.created_at or params.sort.last_updated or "desc"
    page = Page(params.count, params.page, sort, order == "desc")
    resources, total = await services.reading.tasks(narrow, page)
    return {"resources": resources, "total": total}
