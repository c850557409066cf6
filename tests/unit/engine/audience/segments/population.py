"""Random contacts and random criteria over a few values, so that they often meet; and the rows they are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import insert

from postrider.db.database import Tx
from postrider.engine.audience import properties
from postrider.engine.audience.model import Contact, EngagementKind, Stage, Status
from postrider.engine.audience.segments import Engaged, Facts
from postrider.engine.audience.segments.model import CHOICES, KINDS, OPS, VALUELESS, Field, Kind, Op
from postrider.engine.audience.tables import (
    contact_tags,
    contacts,
    engagements,
    list_contacts,
    lists,
    segment_contacts,
    tags,
)
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id

NOW = 1_795_000_000_000
TEXTS = ("Ann", "ann", "ANNA", "Éva", "éva", "a%b", "a_b", "a/b", "a\\b", "Straße", "x" * 300, " ")
PARTS = ("a", "N", "É", "%", "_", "/", "\\", "x" * 190, "an", "SS", " ", "'")
ADDRESSES = ("ann@example.com", "ANN.Lee@Example.com", "bob@büro.example", "o'hara@shop.test")
TAGS = ("vip", "VIP", "vip-2", "bêta", "a_b")
LISTS, SEGMENTS, CAMPAIGNS, MESSAGES = (tuple(new_id() for _ in range(3)) for _ in range(4))
LINKS = ("https://shop.test/a", "https://shop.test/b?x=1")
KEYS = ("plan", "spent", "Ünicode", "a'b")
VALUES = (
    *("pro", "Pro", "", "true", "100", "2026-01-05", "x" * 300, " a"),
    *(0, 100, -3, 2.5, 100.0, 2**60, 2**60 + 1, True, False),
)
DAYS = (1, 30)
TIMES = tuple(NOW - days * clock.DAY - shift for days in (0, 1, 2, 30, 400) for shift in (0, 1))
ISO = (
    *(clock.to_iso(NOW - clock.DAY), clock.to_iso(NOW)[:10], clock.to_iso(NOW - 2 * clock.DAY)[:10]),
    "2026-01-05T10:00:00+02:00",
)
EVERY = [(field, op) for field in Field for op in sorted(OPS[KINDS[field]])]
_COLUMNS = set(contacts.c.keys())


def maybe(values: Sequence[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.sampled_from(values)


def some(values: Sequence[Any]) -> st.SearchStrategy[Any]:
    return st.lists(st.sampled_from(values), max_size=3, unique=True)


engaged = st.builds(
    Engaged,
    kind=st.sampled_from(EngagementKind),
    at=st.sampled_from(TIMES),
    message_id=st.sampled_from(MESSAGES),
    campaign_id=maybe(CAMPAIGNS),
    is_human=st.none() | st.booleans(),
    link=st.sampled_from(LINKS),
)
property_values = st.one_of(
    st.sampled_from(VALUES),
    st.lists(st.sampled_from(VALUES), max_size=3),
    st.just({"nested": 1}),
    st.none(),
)


@st.composite
def people(draw: st.DrawFn) -> Facts:
    rows = [
        row if row.kind is EngagementKind.CLICKED else replace(row, link=None)
        for row in draw(st.lists(engaged, max_size=6))
    ]
    address = draw(st.sampled_from(ADDRESSES))
    contact = Contact(
        organization_id=0,
        id=new_id(),
        email=address,
        address_key="",
        **{name: draw(maybe(TEXTS)) for name in ("first_name", "last_name", "company", "phone", "city")},
        country=draw(maybe(("FR", "fr", ""))),
        source=draw(st.sampled_from(("api", "import", "Shop"))),
        status=draw(st.sampled_from(Status)),
        stage=draw(st.sampled_from(Stage)),
        properties=draw(st.dictionaries(st.sampled_from(KEYS), property_values, max_size=3)),
        score=draw(st.sampled_from((0, 50, 100))),
        bounced=draw(st.integers(0, 2)),
        **{name: draw(maybe(TIMES)) for name in ("last_activity_at", "subscribed_at", "unsubscribed_at")},
        created_at=draw(st.sampled_from(TIMES)),
        updated_at=draw(st.sampled_from(TIMES)),
        tags=draw(some(TAGS)),
        lists=draw(some(LISTS)),
        **counted(rows),
    )
    return Facts(contact, rows, frozenset(draw(some(SEGMENTS))))


def counted(rows: Sequence[Engaged]) -> dict[str, Any]:
    """A contact's counters and last times, as its engagements have them."""
    told: dict[str, Any] = {}
    for kind in EngagementKind:
        own = [row for row in rows if row.kind is kind]
        told[kind.name.lower()] = len({row.message_id for row in own})
        told[f"last_{kind.name.lower()}_at"] = max((row.at for row in own), default=None)
    return told


@st.composite
def conditions(draw: st.DrawFn, asked: tuple[Field, Op] | None = None) -> dict[str, Any]:
    """A condition on the field and with the operator that are asked for, or on any."""
    field, op = asked or draw(st.sampled_from(EVERY))
    kind = KINDS[field]
    told: dict[str, Any] = {"field": field.value, "op": op.value}
    if field is Field.PROPERTY:
        told["key"] = draw(st.sampled_from((*KEYS, "nobody's")))
    if op not in VALUELESS:
        told["value"] = draw(_values(field, kind, op))
    if kind is Kind.ENGAGEMENT:
        if draw(st.booleans()):
            told["campaigns"] = [each.hex() for each in draw(some(CAMPAIGNS))]
        if draw(st.booleans()):
            told["days"] = draw(st.sampled_from(DAYS))
        if field is Field.CLICKED and draw(st.booleans()):
            told["link"] = draw(st.sampled_from((*LINKS, "https://")))
        if field is not Field.SENT:
            told["humans_only"] = draw(st.booleans())
    return told


def criteria() -> st.SearchStrategy[dict[str, Any]]:
    """Trees of at most three levels."""
    groups: st.SearchStrategy[dict[str, Any]] = _group(conditions())
    groups = _group(st.one_of(conditions(), groups))
    return _group(st.one_of(conditions(), groups))


def _group(items: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"match": st.sampled_from(("all", "any")), "items": st.lists(items, min_size=1, max_size=3)}
    )


def _values(field: Field, kind: Kind, op: Op) -> st.SearchStrategy[Any]:
    is_part = op not in OPS[Kind.NUMBER]
    match kind:
        case Kind.CHOICE:
            return st.sampled_from(sorted(CHOICES[field]))
        case Kind.TEXT if field is Field.EMAIL:
            return st.sampled_from((*ADDRESSES, "ann", "@example.com", "Büro.example", "e"))
        case Kind.TEXT:
            return st.sampled_from(PARTS if is_part else (*TEXTS, "", "fr", "API"))
        case Kind.NUMBER:
            return st.sampled_from((0, 1, 50, 99.5, -1))
        case Kind.TIME:
            return st.sampled_from(DAYS if op in (Op.WITHIN_DAYS, Op.NOT_WITHIN_DAYS) else ISO)
        case Kind.TAGS:
            return st.lists(st.sampled_from((*TAGS, "VI", "p-", "_", "none")), min_size=1, max_size=3)
        case Kind.MEMBERSHIP:
            ids = LISTS if field is Field.LISTS else SEGMENTS
            return st.lists(st.sampled_from([each.hex() for each in ids]), min_size=1, max_size=2)
        case Kind.ENGAGEMENT:
            return st.integers(0, 3)
        case Kind.PROPERTY:
            ordered = [value for value in VALUES if not isinstance(value, bool)]
            return st.sampled_from((*PARTS, "pro", "00", "TRUE") if is_part else ordered)


def keep(tx: Tx, organization_id: int, population: Sequence[Facts]) -> None:
    """The rows of a population, as the audience's own writers would have made them."""
    named = {name: new_id() for name in TAGS}
    tx.execute(insert(tags), [_group_row(organization_id, id_, name) for name, id_ in named.items()])
    tx.execute(
        insert(lists),
        [
            {**_group_row(organization_id, id_, f"list {number}"), "number": number, "updated_at": NOW}
            for number, id_ in enumerate(LISTS)
        ],
    )
    for facts in population:
        tx.execute(insert(contacts).values(**_row(organization_id, facts.contact)))
    properties.write_values(
        tx, organization_id, [(facts.contact.id, {}, facts.contact.properties) for facts in population]
    )
    _link(
        tx,
        organization_id,
        population,
        contact_tags,
        "tag_id",
        lambda facts: map(named.get, facts.contact.tags),
    )
    _link(tx, organization_id, population, list_contacts, "list_id", lambda facts: facts.contact.lists)
    _link(tx, organization_id, population, segment_contacts, "segment_id", lambda facts: facts.segments)
    rows = [
        {
            "organization_id": organization_id, "kind": row.kind.value, "contact_id": facts.contact.id,
            "event_id": new_id(), "at": row.at, "message_id": row.message_id, "campaign_id": row.campaign_id,
            "is_human": None if row.is_human is None else int(row.is_human), "link": row.link,
        }
        for facts in population
        for row in facts.engaged
    ]  # fmt: skip
    if rows:
        tx.execute(insert(engagements), rows)


def _group_row(organization_id: int, id_: RowId, name: str) -> dict[str, Any]:
    return {"organization_id": organization_id, "id": id_, "name": name, "created_at": NOW}


def _row(organization_id: int, contact: Contact) -> Mapping[str, Any]:
    told = {name: getattr(contact, name) for name in _COLUMNS & {field.name for field in fields(Contact)}}
    return {
        **told,
        "organization_id": organization_id,
        "status": contact.status.value,
        "stage": contact.stage.value,
        "search_text": "",
    }


def _link(
    tx: Tx,
    organization_id: int,
    population: Sequence[Facts],
    table: Any,
    column: str,
    groups: Callable[[Facts], Any],
) -> None:
    rows = [
        {"organization_id": organization_id, "contact_id": facts.contact.id, column: each}
        | ({} if table is segment_contacts else {"created_at": NOW})
        for facts in population
        for each in groups(facts)
    ]
    if rows:
        tx.execute(insert(table), rows)
