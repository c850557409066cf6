"""Lists as far as no dialect has it: which of them people may join and leave themselves."""

from typing import Any

from starlette.responses import Response

from postrider.engine.audience import lists
from postrider.engine.audience.model import ContactList
from postrider.kit.ids import to_uuid
from postrider.surfaces.common.fields import Wire
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.console import wire

READ, WRITE = "contacts:read", "contacts:write"


class ChangedList(Wire):
    """A public list has a form, and stands on the preference page."""

    is_public: bool


async def list_lists(call: Call) -> Response:
    """Oldest first; `next` is the `after` of the following page, null at the end."""
    query = call.request.query_params
    wire.known_only(query, frozenset({"limit", "after"}))
    limit, after = wire.limit_of(query), wire.number_of(query, "after")
    found = await call.services.db.read(
        lambda tx: lists.page(tx, call.caller.principal, after=after, limit=limit)
    )
    following = found[-1].number if len(found) == limit else None
    return answer({"lists": [_shown(each) for each in found], "next": following})


async def change_list(call: Call, changed: ChangedList) -> Response:
    list_id = wire.path_id(call.request.path_params["id"], "list")
    kept = await call.services.db.write_first(
        lambda tx: lists.update(tx, call.caller.principal, list_id, is_public=changed.is_public)
    )
    return answer({"list": _shown(kept)})


OPERATIONS: tuple[Operation, ...] = (
    Operation("listLists", "GET", ("/v1/lists",), "lists of contacts", READ, list_lists),
    Operation(
        "changeList", "PATCH", ("/v1/lists/{id}",), "let people join it themselves, or not", WRITE,
        change_list, body=ChangedList,
    ),
)  # fmt: skip


def _shown(each: ContactList) -> dict[str, Any]:
    return {
        "id": to_uuid(each.id),
        "number": each.number,
        "name": each.name,
        "description": each.description,
        "is_public": each.is_public,
        "contacts": each.contacts,
        "created_at": wire.time(each.created_at),
    }
