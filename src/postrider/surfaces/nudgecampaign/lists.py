"""Lists of contacts: made, found, renamed, dropped. Who is on one is said of contacts, or by imports."""

from dataclasses import replace
from typing import Annotated, Any, NamedTuple

from pydantic import Field, StringConstraints
from starlette.responses import Response

from postrider.engine.accounts import Organization
from postrider.engine.audience import lists
from postrider.engine.audience.lists import ListChanges
from postrider.engine.audience.lists.change import DESCRIPTION_MAX_CHARS, NAME_MAX_CHARS
from postrider.engine.audience.model import ContactList, ListSort
from postrider.engine.principal import Principal
from postrider.kit.ids import RowId
from postrider.surfaces.common.fields import OneLine
from postrider.surfaces.common.operations import Call, Operation
from postrider.surfaces.nudgecampaign import frame
from postrider.surfaces.nudgecampaign.ids import Noun, path_id, show
from postrider.surfaces.nudgecampaign.query import read_query, read_view
from postrider.surfaces.nudgecampaign.resources import Filter, Resource, Sort, View, part_of, shown_at
from postrider.surfaces.nudgecampaign.wire import Body

READ, WRITE = "lists:read", "lists:write"
ENGINE_READ, ENGINE_WRITE = "contacts:read", "contacts:write"
SORTS = {"created_at": ListSort.CREATED, "name": ListSort.NAME, "contact_count": ListSort.CONTACTS}


class Owned(NamedTuple):
    """A list and whose it is."""

    list: ContactList
    organization: Organization


LIST: Resource[Owned] = Resource(
    type="list",
    noun=Noun.LIST,
    row_id=lambda row: row.list.id,
    attributes={
        "organization_id": lambda row: show(Noun.ORGANIZATION, row.organization.public_id),
        "name": lambda row: row.list.name,
        "description": lambda row: row.list.description,
        "contact_count": lambda row: row.list.contacts,
        "created_at": lambda row: shown_at(row.list.created_at),
        "updated_at": lambda row: shown_at(row.list.updated_at),
    },
    sorts={
        "created_at": Sort(int, lambda row: row.list.created_at),
        "name": Sort(str, lambda row: row.list.name),
        "contact_count": Sort(int, lambda row: row.list.contacts),
    },
    order="-created_at",
    filters={"search": Filter("search", part_of)},
)


class ListFields(Body):
    """What of a list is to change; a description that is null is taken away."""

    name: Annotated[OneLine, StringConstraints(min_length=1, max_length=NAME_MAX_CHARS)] = Field(
        default_factory=str
    )
    description: Annotated[str, StringConstraints(max_length=DESCRIPTION_MAX_CHARS)] | None = None


class NewList(ListFields):
    name: Annotated[OneLine, StringConstraints(min_length=1, max_length=NAME_MAX_CHARS)]


async def list_lists(call: Call) -> Response:
    query, principal = read_query(call.request, LIST), _reader(call)

    def read(tx: Any) -> tuple[list[ContactList], int]:
        found = lists.browse(
            tx,
            principal,
            sort=SORTS[query.order.name],
            descending=query.order.is_descending,
            limit=query.size + 1,
            after=query.after and lists.Place(*query.after),
            **query.filters,
        )
        return found, lists.count(tx, principal, **query.filters)

    found, total = await call.services.db.read(read)
    owned = [Owned(each, call.caller.organization) for each in found]
    return frame.many(call.request, query, query.page(owned, total))


async def get_list(call: Call) -> Response:
    view, list_id = read_view(call.request, LIST), _list_id(call)
    return _answer(call, await call.services.db.read(lists.get, _reader(call), list_id), view)


async def create_list(call: Call, new: NewList) -> Response:
    writer = _writer(call)
    made = await call.services.db.write_first(
        lambda tx: lists.create(tx, writer, new.name, description=new.description)
    )
    return _answer(call, made, View(), status=201)


async def update_list(call: Call, changes: ListFields) -> Response:
    writer, list_id = _writer(call), _list_id(call)
    given = ListChanges(**changes.model_dump(exclude_unset=True))  # type: ignore[typeddict-item]
    changed = await call.services.db.write_first(lambda tx: lists.update(tx, writer, list_id, **given))
    return _answer(call, changed, View())


async def delete_list(call: Call) -> Response:
    """Its contacts are taken off in short writes first, and stay."""
    db, writer, list_id = call.services.db, _writer(call), _list_id(call)
    while await db.write(lists.empty, writer, list_id):
        pass
    await db.write_first(lists.delete, writer, list_id)
    return frame.nothing()


_ALL, _ONE = ("/v2/lists",), ("/v2/lists/{list_id}",)
OPERATIONS = (
    Operation("listLists", "GET", _ALL, "Contact lists", READ, list_lists),
    Operation("createList", "POST", _ALL, "A new list", WRITE, create_list, body=NewList, status=201),
    Operation("getList", "GET", _ONE, "One list", READ, get_list),
    Operation("updateList", "PUT", _ONE, "Rename or describe a list", WRITE, update_list, body=ListFields),
    Operation(
        "deleteList", "DELETE", _ONE, "Delete a list, not its contacts", WRITE, delete_list, status=204
    ),
)  # fmt: skip


def _list_id(call: Call) -> RowId:
    return path_id(Noun.LIST, call.request.path_params["list_id"])


def _reader(call: Call) -> Principal:
    """To the engine lists are contacts: only here do they have a scope of their own, which was asked for."""
    return replace(call.caller.principal, scopes=frozenset({ENGINE_READ}))


def _writer(call: Call) -> Principal:
    return replace(call.caller.principal, scopes=frozenset({ENGINE_WRITE}))


def _answer(call: Call, found: ContactList, view: View, *, status: int = 200) -> Response:
    return frame.one(LIST, Owned(found, call.caller.organization), view, status=status)
