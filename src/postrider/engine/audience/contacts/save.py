"""Making and changing contacts, many at once: one query a table for a batch, whatever is said in it.

The status of a new contact follows from what is entered on its address. To save never takes back an opt-out,
a bounce or a complaint: that is an act of its own (`subscribe`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter, itemgetter
from typing import Any

from postrider.db.database import Tx
from postrider.engine import journal, suppression
from postrider.engine.audience import lists, properties, tags
from postrider.engine.audience.contacts import rules, store
from postrider.engine.audience.contacts.agreed import keep_marketing
from postrider.engine.audience.contacts.rules import Draft, Read
from postrider.engine.audience.model import (
    Contact,
    ContactInput,
    Fault,
    Kept,
    OnKnown,
    Origin,
    Saved,
    Stage,
    Status,
)
from postrider.engine.errors import Conflict, Invalid, NotFound
from postrider.engine.journal import Event, EventKind
from postrider.engine.principal import Principal
from postrider.engine.suppression import Entry, Scope, Source
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id

WRITE = "contacts:write"
SAVED_MAX = 1_000  # inputs of one call; of 100 to 200 a write stays short on SQLite
CHANGED_MAX = 50  # names that an event tells
_NO_TEXTS: dict[str, Any] = dict.fromkeys(rules.TEXTS)
_PLAIN = ("email", *rules.TEXTS, "source", "status", "stage", "consent")
_plain_now, _plain_before = itemgetter(*_PLAIN), attrgetter(*_PLAIN)
_ROW = tuple(name for name in store.WRITTEN if name != "search_text")
_row_of = attrgetter(*_ROW)


@dataclass(slots=True)
class Card:
    """A contact as it is being written: its columns by name, and as it was before (None: it is new)."""

    row: dict[str, Any]
    was: Contact | None
    tags: set[str]
    lists: set[RowId]
    had_tags: frozenset[str] = frozenset()
    had_lists: frozenset[RowId] = frozenset()
    asked: Status | None = None
    entered: bool = False  # an entry on its address is asked for

    @property
    def id(self) -> RowId:
        row_id: RowId = self.row["id"]
        return row_id


@dataclass(slots=True)
class _Batch:
    """What a save goes by: what is known already, and what it has found so far."""

    organization_id: int
    source: str
    now: int
    definitions: properties.Definitions
    lists: set[RowId]
    cards: dict[str, Card] = field(default_factory=dict)
    entered: set[str] = field(default_factory=set)  # addresses of new ones on which something is entered


def save(
    tx: Tx,
    principal: Principal,
    inputs: Sequence[ContactInput | Read],
    *,
    on_known: OnKnown,
    source: str,
    origin: Origin = Origin.REQUEST,
) -> list[Saved]:
    """What became of each input, in order; a faulty one changes nothing and stops no other.

    `source` is that of new contacts whose input names none. An address that comes twice is known the second
    time. An input may have been read before, by another thread. Raises Forbidden, Invalid past SAVED_MAX.
    """
    principal.require(WRITE)
    if len(inputs) > SAVED_MAX:
        raise Invalid(field="contacts", message=f"At most {SAVED_MAX} contacts are saved at once")
    read = [rules.read(each) if isinstance(each, ContactInput) else each for each in inputs]
    drafts = [each for each in read if isinstance(each, Draft)]
    batch = _prepare(tx, principal.organization_id, drafts, source)
    done = [
        _take(batch, index, each, on_known) if isinstance(each, Draft) else Saved(index, None, None, each)
        for index, each in enumerate(read)
    ]
    lost = _write(tx, batch, origin)
    again = [saved.index for saved in done if saved.contact_id in lost] if lost else []
    if again:  # another node made these contacts at the same time: they are known now
        repeated = save(
            tx, principal, [inputs[index] for index in again],
            on_known=on_known, source=source, origin=origin,
        )  # fmt: skip
        for index, saved in zip(again, repeated, strict=True):
            done[index] = replace(saved, index=index)
    return done


def create(
    tx: Tx, principal: Principal, given: ContactInput, *, source: str, origin: Origin = Origin.REQUEST
) -> RowId:
    """One new contact's id. Raises Conflict where its address is known, Invalid with all faults."""
    (saved,) = save(tx, principal, [given], on_known=OnKnown.REFUSE, source=source, origin=origin)
    _raise_faults(saved.faults)
    assert saved.contact_id is not None
    return saved.contact_id


def change(tx: Tx, principal: Principal, contact_id: RowId, given: ContactInput) -> None:
    """Change one contact, its address too where `given.email` differs.

    Raises NotFound, Conflict where another contact has the address, Invalid with all faults.
    """
    principal.require(WRITE)
    draft = rules.read(given)
    if isinstance(draft, list):
        found: list[Contact] = store.by_ids(tx, principal.organization_id, [contact_id])
        if not found:
            raise NotFound(noun="contact")
        _raise_faults(draft)
    assert isinstance(draft, Draft)
    batch = _prepare(tx, principal.organization_id, [draft], "", contact_id=contact_id)
    card = next((each for each in batch.cards.values() if each.id == contact_id), None)
    if card is None:
        raise NotFound(noun="contact")
    if batch.cards.get(draft.address_key, card) is not card:
        raise Conflict(noun="contact")
    _raise_faults(_apply(batch, card, draft, is_new=False))
    batch.cards = {draft.address_key: card}
    _move(tx, principal.organization_id, card, draft)
    _write(tx, batch, Origin.REQUEST)


def _prepare(
    tx: Tx, organization_id: int, drafts: Sequence[Draft], source: str, contact_id: RowId | None = None
) -> _Batch:
    """One query a table for all drafts; the contact of an id too, where one is asked for."""
    definitions = properties.definitions_of(tx, organization_id)
    asked = {list_id for draft in drafts for list_id in draft.lists or ()}
    there = lists.where_there(tx, organization_id, asked) if asked else set()
    batch = _Batch(organization_id, source, clock.now_ms(), definitions, there)
    known = store.by_keys(tx, organization_id, [draft.address_key for draft in drafts], held=True)
    if contact_id is not None and contact_id not in {contact.id for contact in known}:
        known += store.by_ids(tx, organization_id, [contact_id], held=True)
    ids = [contact.id for contact in known]
    its_tags = tags.names_of(tx, organization_id, ids) if ids else {}
    its_lists = lists.ids_of(tx, organization_id, ids) if ids else {}
    for contact in known:
        has_tags, has_lists = its_tags.get(contact.id, ()), its_lists.get(contact.id, ())
        batch.cards[contact.address_key] = Card(
            _row(contact), contact, set(has_tags), set(has_lists), frozenset(has_tags), frozenset(has_lists)
        )
    return batch


def _row(contact: Contact) -> dict[str, Any]:
    return dict(zip(_ROW, _row_of(contact), strict=True))


def _take(batch: _Batch, index: int, draft: Draft, on_known: OnKnown) -> Saved:
    card = batch.cards.get(draft.address_key)
    if card is None:
        card = _new_card(batch, draft)
        if faults := _apply(batch, card, draft, is_new=True):
            return Saved(index, None, None, faults)
        batch.cards[draft.address_key] = card
        return Saved(index, card.id, Kept.CREATED)
    match on_known:
        case OnKnown.REFUSE:
            fault = Fault("email", "A contact with this address exists already", "duplicate")
            return Saved(index, None, None, [fault])
        case OnKnown.SKIP:
            return Saved(index, card.id, Kept.SKIPPED)
        case OnKnown.UPDATE:
            if faults := _apply(batch, card, draft, is_new=False):
                return Saved(index, None, None, faults)
            return Saved(index, card.id, Kept.UPDATED)


def _new_card(batch: _Batch, draft: Draft) -> Card:
    row: dict[str, Any] = _NO_TEXTS | {
        "id": new_id(),
        "email": draft.email,
        "address_key": draft.address_key,
        "source": batch.source,
        "status": Status.SUBSCRIBED,
        "stage": Stage.NONE,
        "properties": {},
        "consent": None,
        "subscribed_at": None,
        "unsubscribed_at": None,
        "created_at": batch.now,
        "updated_at": batch.now,
    }
    return Card(row, None, set(), set())


def _apply(batch: _Batch, card: Card, draft: Draft, *, is_new: bool) -> list[Fault]:
    """Change the card as the draft says, unless that is faulty: then it stays as it was."""
    given, faults = draft.given, []
    replaces = given.properties is not None and given.replaces_properties
    kept, found = properties.check(batch.definitions, given.properties or {}, is_new=is_new, is_all=replaces)
    faults += found
    before: Mapping[str, Any] = {} if replaces else card.row["properties"]
    merged = {key: value for key, value in {**before, **kept}.items() if value is not None}
    if given.properties and len(merged) > properties.KEYS_MAX:
        faults.append(Fault("properties", f"A contact has at most {properties.KEYS_MAX} properties"))
    elif given.properties and not properties.is_within(merged):
        shown = f"A contact's properties have at most {properties.ALL_MAX_BYTES} bytes as JSON"
        faults.append(Fault("properties", shown))
    its_tags = _together(card.tags, draft.tags, given.replaces_tags)
    if len(its_tags) > tags.TAGS_MAX:
        faults.append(Fault("tags", f"A contact has at most {tags.TAGS_MAX} tags"))
    if draft.lists is not None and not batch.lists.issuperset(draft.lists):
        faults.append(Fault("lists", "There is no such list", "unknown"))
    its_lists = _together(card.lists, draft.lists, given.replaces_lists)
    if len(its_lists) > rules.LISTS_MAX:
        faults.append(Fault("lists", f"A contact is on at most {rules.LISTS_MAX} lists"))
    if faults:
        return faults
    card.row |= draft.texts
    if given.properties is not None or is_new:
        card.row["properties"] = merged
    card.tags, card.lists = its_tags, its_lists
    if given.stage is not None:
        card.row["stage"] = given.stage
    if given.consent is not None:
        card.row["consent"] = given.consent
    card.asked = given.status if given.status is not None else card.asked
    return []


def _together(has: set[Any], said: Sequence[Any] | None, replaces: bool) -> set[Any]:
    if said is None:
        return has
    return set(said) if replaces else has | set(said)


def _move(tx: Tx, organization_id: int, card: Card, draft: Draft) -> None:
    """Give a contact another address. Its status is then that of the new one, but what its owner said of
    mail goes with the owner.
    """
    if draft.address_key != card.row["address_key"]:
        found = suppression.check(tx, [(organization_id, draft.address_key)])
        standing = rules.status_of(found.get((organization_id, draft.address_key), ()))
        was = card.row["status"]
        card.row["status"] = standing or (Status.PENDING if was is Status.PENDING else Status.SUBSCRIBED)
        if was in (Status.UNSUBSCRIBED, Status.COMPLAINED):
            card.asked = was
    card.row |= {"email": draft.email, "address_key": draft.address_key}


def _write(tx: Tx, batch: _Batch, origin: Origin) -> set[RowId]:
    """Write all cards; answers the ids of those that another node was quicker with, which are not kept."""
    new = [card for card in batch.cards.values() if card.was is None]
    _settle_new(tx, batch, new)
    for card in batch.cards.values():
        row = card.row
        row["search_text"] = rules.search_text(
            row["email"], row["address_key"], row["first_name"], row["last_name"]
        )
    kept = store.insert(tx, batch.organization_id, [card.row for card in new]) if new else set()
    lost = {card.id for card in new if card.id not in kept}
    known = [card for card in batch.cards.values() if card.was is not None]
    for card in known:
        _settle_known(batch, card)
    changed = {card.id: _changes(card) for card in known}
    written = [card for card in known if changed[card.id]]
    for card in written:
        card.row["updated_at"] = batch.now
    store.update(tx, batch.organization_id, [card.row for card in written])
    _reindex(tx, batch, written)
    made = [card for card in new if card.id in kept] if lost else new
    _link(tx, batch, made, written)
    _outlast_pauses(tx, batch)
    _enter(tx, batch, [card for card in batch.cards.values() if card.id not in lost])
    _keep_marketing(tx, batch, made, written)
    _tell(tx, batch, [*made, *written], changed, origin)
    return lost


def _settle_new(tx: Tx, batch: _Batch, new: Sequence[Card]) -> None:
    """The status of new contacts."""
    pairs = [(batch.organization_id, card.row["address_key"]) for card in new]
    entries = suppression.check(tx, pairs) if pairs else {}
    batch.entered = {key for _, key in entries}
    for card, pair in zip(new, pairs, strict=True):
        standing = rules.status_of(entries.get(pair, ()))
        asked = Status.SUBSCRIBED if card.asked is None else card.asked
        status = asked if standing is None else standing
        card.entered = standing is None and status in rules.STANDING
        card.row["status"] = status
        if status is Status.SUBSCRIBED:
            card.row["subscribed_at"] = batch.now
        elif status is Status.UNSUBSCRIBED:
            card.row["unsubscribed_at"] = batch.now


def _settle_known(batch: _Batch, card: Card) -> None:
    now = card.row["status"]
    status = rules.moved(now, card.asked)
    card.entered = card.asked in rules.STANDING and status is not now
    if status is now:
        return
    card.row["status"] = status
    if status is Status.SUBSCRIBED:
        card.row |= {"subscribed_at": batch.now, "unsubscribed_at": None}
    elif status is Status.UNSUBSCRIBED and card.was and card.was.status is not status:
        card.row["unsubscribed_at"] = batch.now


def _outlast_pauses(tx: Tx, batch: _Batch) -> None:
    """Who pauses has the status of an opt-out already; one that is asked for takes the pause's place."""
    out = Status.UNSUBSCRIBED
    cards = [card for card in batch.cards.values() if card.asked is out and card.row["status"] is out]
    pairs = [(batch.organization_id, card.row["address_key"]) for card in cards if not card.entered]
    entries = suppression.check(tx, pairs) if pairs else {}
    for card in cards:
        found = entries.get((batch.organization_id, card.row["address_key"]), ())
        card.entered = card.entered or any(each.expires_at is not None for each in found)


def _keep_marketing(tx: Tx, batch: _Batch, made: Sequence[Card], written: Sequence[Card]) -> None:
    """Of new ones that agree only those matter on whose addresses something is entered already."""
    said = [
        (card.row["address_key"], card.row["consent"])
        for card in made
        if card.row["consent"] is not None
        and (card.row["consent"].email_marketing is False or card.row["address_key"] in batch.entered)
    ]
    said += [(card.row["address_key"], card.row["consent"]) for card in written if _says_anew(card)]
    keep_marketing(tx, batch.organization_id, said)


def _says_anew(card: Card) -> bool:
    """Whether what it says of marketing, or the address it says it of, is another than before."""
    was, row = card.was, card.row
    assert was is not None
    if row["consent"] is None or (row["consent"] is was.consent and row["address_key"] == was.address_key):
        return False
    before = was.consent.email_marketing if was.consent else None
    return row["consent"].email_marketing is not before or row["address_key"] != was.address_key


def _changes(card: Card) -> list[str]:
    """The names of what is not as it was."""
    was, row = card.was, card.row
    assert was is not None
    found = []
    if _plain_now(row) != _plain_before(was):
        found = [name for name in _PLAIN if row[name] != getattr(was, name)]
    before, after = was.properties, row["properties"]
    if before is not after:
        keys = dict.fromkeys([*before, *after])
        found += [
            f"properties.{key}" for key in keys if not properties.is_same(before.get(key), after.get(key))
        ]
    if card.tags != card.had_tags:
        found.append("tags")
    if card.lists != card.had_lists:
        found.append("lists")
    return found


def _reindex(tx: Tx, batch: _Batch, written: Sequence[Card]) -> None:
    texts = {}
    for card in written:
        was = card.was
        assert was is not None
        before = rules.search_text(was.email, was.address_key, was.first_name, was.last_name)
        if before != card.row["search_text"]:
            texts[card.id] = card.row["search_text"]
    store.index(tx, batch.organization_id, texts)


def _link(tx: Tx, batch: _Batch, new: Sequence[Card], written: Sequence[Card]) -> None:
    """Tags, lists and the values of properties."""
    organization_id, now = batch.organization_id, batch.now
    touched = set[str]().union(*[card.tags for card in new], *[card.tags ^ card.had_tags for card in written])
    ids = tags.ensure(tx, organization_id, touched) if touched else {}
    tags.LINKS.put(tx, organization_id, [(card.id, ids[name]) for card in new for name in card.tags], now)
    lists.LINKS.put(tx, organization_id, [(card.id, each) for card in new for each in card.lists], now)
    added = [(card.id, ids[name]) for card in written for name in card.tags - card.had_tags]
    gone = [(card.id, ids[name]) for card in written for name in card.had_tags - card.tags]
    tags.LINKS.add(tx, organization_id, added, now)
    tags.LINKS.remove(tx, organization_id, gone)
    joined = [(card.id, each) for card in written for each in card.lists - card.had_lists]
    left = [(card.id, each) for card in written for each in card.had_lists - card.lists]
    lists.LINKS.add(tx, organization_id, joined, now)
    lists.LINKS.remove(tx, organization_id, left)
    empty: Mapping[str, Any] = {}
    values = [(card.id, empty, card.row["properties"]) for card in new]
    for card in written:
        if card.was is not None and card.was.properties is not card.row["properties"]:
            values.append((card.id, card.was.properties, card.row["properties"]))
    properties.write_values(tx, organization_id, values)


def _enter(tx: Tx, batch: _Batch, cards: Sequence[Card]) -> None:
    """What was asked to stop mail stands where whoever sends looks."""
    entries = []
    for card in cards:
        if card.entered and card.asked is not None:
            class_, reason = rules.ENTRIES[card.asked]
            entries.append(
                Entry(
                    batch.organization_id, card.row["address_key"], Scope.ORGANIZATION, "",
                    class_, reason.value, Source.API.value,
                )
            )  # fmt: skip
    if entries:
        suppression.add(tx, entries)


def _tell(
    tx: Tx, batch: _Batch, cards: Sequence[Card], changed: Mapping[RowId, list[str]], origin: Origin
) -> None:
    events = []
    for card in cards:
        row, was = card.row, card.was
        facts: list[tuple[EventKind, dict[str, Any]]] = []
        if was is None:
            facts.append((EventKind.CONTACT_CREATED, {"source": row["source"]}))
        else:
            facts.append((EventKind.CONTACT_UPDATED, {"changed": changed[card.id][:CHANGED_MAX]}))
        is_moved = was is None or was.status is not row["status"]
        if is_moved and row["status"] is Status.SUBSCRIBED and origin is not Origin.QUIET:
            data = {"source": row["source"], "lists": sorted(each.hex() for each in card.lists)}
            facts.append((EventKind.CONTACT_SUBSCRIBED, data))
        elif was is not None and is_moved and row["status"] is Status.UNSUBSCRIBED:
            facts.append((EventKind.UNSUBSCRIBED, {"source": Source.API.value, "reason": "updated"}))
        events += [
            Event(batch.organization_id, kind, batch.now, contact_id=card.id, data=data)
            for kind, data in facts
        ]
    journal.record(tx, events)


def _raise_faults(faults: Sequence[Fault]) -> None:
    if not faults:
        return
    if any(fault.code == "duplicate" for fault in faults):
        raise Conflict(noun="contact")
    told = [{"field": fault.field, "message": fault.message, "code": fault.code} for fault in faults]
    raise Invalid(**told[0], faults=told)
