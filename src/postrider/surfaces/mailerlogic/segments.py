"""Segments: listed, made, changed, dropped, counted, refreshed; their members shown, added and removed."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator
from starlette.responses import Response

from postrider.engine.audience import contacts, segments
from postrider.engine.audience.model import Contact
from postrider.engine.audience.segments import Criteria, Match, Segment
from postrider.engine.audience.segments.model import MEMBERS_AT_ONCE
from postrider.kit import clock
from postrider.kit.ids import RowId, from_uuid, to_uuid
from postrider.surfaces.common.errors import Fault, invalid
from postrider.surfaces.common.fields import Wire, fault
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.mailerlogic import contact_wire
from postrider.surfaces.mailerlogic.ids import path_id
from postrider.surfaces.mailerlogic.query import Page, read_query
from postrider.surfaces.mailerlogic.segment_words import FILTERS, GROUPS, read, tell

READ, WRITE = "contacts:read", "contacts:write"
STATIC, DYNAMIC = "static", "dynamic"


def _row_id(value: Any) -> RowId:
    row_id = from_uuid(value) if isinstance(value, str) else None
    if row_id is None:
        raise fault("Input should be a UUID")
    return row_id


def _flag(value: Any) -> bool:
    return str(value).lower() in ("true", "1")


ContactId = Annotated[bytes, PlainValidator(_row_id, json_schema_input_type=str)]


class Filters(Wire):
    """Filters, told by either name, and groups of them; `segment_words` reads what stands in them."""

    filter_conditions: list[Any] | None = None
    filters: list[Any] | None = None
    filter_groups: list[Any] | None = None
    match_type: Literal["all", "any"] | None = None

    @property
    def has_any(self) -> bool:
        return any(each is not None for each in (self.filter_conditions, self.filters, self.filter_groups))

    def criteria(self, *, match: Match = Match.ALL) -> Criteria:
        """Raises Invalid."""
        return read(self.model_dump(include={*FILTERS, GROUPS, "match_type"}), match=match)


class NewSegment(Filters):
    name: str
    description: str | None = None
    type: Literal["static", "dynamic"]


class SegmentChanges(Filters):
    """What is not there stays."""

    name: str | None = None
    description: str | None = None


class Members(Wire):
    contact_ids: list[ContactId] = Field(min_length=1, max_length=MEMBERS_AT_ONCE)


class MembersQuery(Page):
    include_contacts: Annotated[bool, BeforeValidator(_flag)] = False


async def list_segments(call: Call) -> Response:
    found = await call.services.db.read(segments.page, call.caller.principal)
    return answer({"segments": [_told(each) for each in found]})


async def create_segment(call: Call, new: NewSegment) -> Response:
    """A dynamic one is refreshed at once."""
    db, principal = call.services.db, call.caller.principal
    criteria = None
    if new.type == DYNAMIC:
        criteria = new.criteria()
    elif new.has_any:
        raise invalid([Fault(FILTERS[0], "A static segment has no filters")])
    segment = await db.write_first(
        segments.create, principal, new.name, criteria, description=new.description
    )
    if segment.is_dynamic:
        await segments.refresh(db, principal, segment.id)
        segment = await db.read(segments.get, principal, segment.id)
    return answer({"message": "Segment created", "segment": _told(segment)}, 201)


async def get_segment(call: Call) -> Response:
    """With `include_contacts`, a page of its members, too."""
    query = read_query(call.request, MembersQuery)
    db, principal = call.services.db, call.caller.principal
    segment = await db.read(segments.get, principal, _segment_id(call))
    if segments.is_to_note(segment):
        await db.write(segments.note_asked, principal, segment.id)
    if not query.include_contacts:
        return answer({"segment": _told(segment)})

    def members(tx: Any) -> list[Contact]:
        ids = segments.members(tx, principal, segment.id, offset=query.offset, limit=query.limit)
        return list(contacts.many(tx, principal.organization_id, ids).values())

    found = await db.read(members)
    return answer(
        {
            "segment": _told(segment),
            "contacts": [contact_wire.contact(each) for each in found],
            "pagination": query.told(segment.contacts),
        }
    )


async def update_segment(call: Call, changes: SegmentChanges) -> Response:
    """New filters leave the members as they are until the next refresh, some seconds later."""
    items = changes.criteria().items if changes.has_any else None
    segment = await call.services.db.write_first(
        segments.update,
        call.caller.principal,
        _segment_id(call),
        name=changes.name,
        description=changes.description,
        match=Match(changes.match_type) if changes.match_type else None,
        items=items,
    )
    return answer({"message": "Segment updated", "segment": _told(segment)})


async def delete_segment(call: Call) -> Response:
    await segments.delete(call.services.db, call.caller.principal, _segment_id(call))
    return answer({"message": "Segment deleted"})


async def refresh_segment(call: Call) -> Response:
    segment_id = _segment_id(call)
    done = await segments.refresh(call.services.db, call.caller.principal, segment_id)
    return answer(
        {
            "message": "Segment refreshed",
            "segment_id": to_uuid(segment_id),
            "contact_count": done.contacts,
            "added": done.added,
            "removed": done.removed,
        }
    )


async def preview_segment(call: Call, asked: Filters) -> Response:
    """How many match; where that would take long, about how many, which the answer says."""
    found = await call.services.db.read(segments.preview, call.caller.principal, asked.criteria())
    told: dict[str, Any] = {"contact_count": found.count}
    return answer(told if found.is_exact else {**told, "is_estimate": True})


async def add_segment_contacts(call: Call, members: Members) -> Response:
    """Ids that name no contact are passed over, and told."""
    done = await call.services.db.write_first(
        segments.add, call.caller.principal, _segment_id(call), members.contact_ids
    )
    told = {"message": "Contacts added", "added": done.count, "contact_count": done.contacts}
    return answer({**told, "not_found": _uuids(done.unknown)})


async def remove_segment_contacts(call: Call, members: Members) -> Response:
    done = await call.services.db.write_first(
        segments.remove, call.caller.principal, _segment_id(call), members.contact_ids
    )
    return answer({"message": "Contacts removed", "removed": done.count, "contact_count": done.contacts})


_ALL = ("/api/v1/contacts/segments",)
_ONE = ("/api/v1/contacts/segments/{id}",)
_MEMBERS = (f"{_ONE[0]}/contacts",)
OPERATIONS = (
    Operation("listSegments", "GET", _ALL, "Segments", READ, list_segments),
    Operation(
        "createSegment", "POST", _ALL, "Create a segment", WRITE,
        create_segment, body=NewSegment, status=201,
    ),
    Operation(
        "previewSegment", "POST", (f"{_ALL[0]}/preview",), "Count matches without saving", READ,
        preview_segment, body=Filters,
    ),
    Operation("getSegment", "GET", _ONE, "One segment", READ, get_segment),
    Operation(
        "updateSegment", "PUT", _ONE, "Change a segment", WRITE, update_segment, body=SegmentChanges
    ),
    Operation("deleteSegment", "DELETE", _ONE, "Delete a segment", WRITE, delete_segment),
    Operation(
        "refreshSegment", "POST", (f"{_ONE[0]}/refresh",), "Find a dynamic segment's members anew", WRITE,
        refresh_segment,
    ),
    Operation(
        "addSegmentContacts", "POST", _MEMBERS, "Add members", WRITE, add_segment_contacts, body=Members
    ),
    Operation(
        "removeSegmentContacts", "DELETE", _MEMBERS, "Remove members", WRITE,
        remove_segment_contacts, body=Members,
    ),
)  # fmt: skip


def _segment_id(call: Call) -> RowId:
    return path_id(call.request.path_params["id"], "segment")


def _uuids(ids: Sequence[RowId]) -> list[str]:
    return [to_uuid(each) for each in ids]


def _told(segment: Segment) -> dict[str, Any]:
    criteria = segment.criteria
    return {
        "id": to_uuid(segment.id),
        "name": segment.name,
        "description": segment.description,
        "type": DYNAMIC if segment.is_dynamic else STATIC,
        "filter_conditions": None if criteria is None else tell(criteria),
        "match_type": (Match.ALL if criteria is None else criteria.match).value,
        "contact_count": segment.contacts,
        "last_refreshed_at": None if segment.refreshed_at is None else clock.to_iso(segment.refreshed_at),
        "created_at": clock.to_iso(segment.created_at),
        "updated_at": clock.to_iso(segment.updated_at),
    }
