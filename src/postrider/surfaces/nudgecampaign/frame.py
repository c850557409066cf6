"""The envelope of every answer: one resource, a page of them, or nothing. Flat where the contract is."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from postrider.surfaces.common.operations import Operation, Visit, answer
from postrider.surfaces.nudgecampaign.errors import Detail, Faulty
from postrider.surfaces.nudgecampaign.paging import Page
from postrider.surfaces.nudgecampaign.query import Query
from postrider.surfaces.nudgecampaign.resources import Resource, View

T = TypeVar("T")
_JSON = re.compile(r"\s*application/(?:[\w.-]+\+)?json\s*(?:;|$)", re.ASCII | re.IGNORECASE)
Included = Iterable[tuple[Resource[Any], Any]]


def one(resource: Resource[T], row: T, view: View, *, included: Included = (), status: int = 200) -> Response:
    """{data}, and `included` where the caller asked for something to be added."""
    payload = {"data": resource.shown(row, view), **_added(included, view)}
    return answer(payload, status)


def many(request: Request, query: Query[T], page: Page[T], *, included: Included = ()) -> Response:
    """{data: […], meta, links}, and `included`; a resource that several rows share comes once."""
    payload = {
        "data": [query.resource.shown(row, query) for row in page.rows],
        **_added(included, query),
        "meta": {"total": page.total, "page_size": query.size, "has_more": page.has_more},
        "links": query.links(request, page),
    }
    return answer(payload)


def nothing() -> Response:
    """What a DELETE is answered with."""
    return Response(status_code=204)


def reads_json(operation: Operation) -> Operation:
    """The operation, refusing a body that says it is something else than JSON."""
    if operation.body is None:
        return operation

    async def handler(visit: Visit, body: Any) -> Response:
        if not _JSON.match(visit.request.headers.get("content-type", "application/json")):
            raise Faulty(400, [Detail("Content-Type", "Input should be application/json", "invalid_value")])
        return await operation.handler(visit, body)

    return replace(operation, handler=handler)


def _added(included: Included, view: View) -> dict[str, Any]:
    if not view.include:
        return {}
    shown = (resource.shown(row, view) for resource, row in included)
    return {"included": list({(each["type"], each["id"]): each for each in shown}.values())}
