"""What a batch of events adds to an account's counts. It reads messages and contacts, and writes nothing.

Openings and clicks are counted by whomever they were made, as in every other report that nobody narrows: so a
later change of mind about one changes nothing here.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from postrider.db.database import Tx
from postrider.engine import engagement, journal
from postrider.engine.audience import persons
from postrider.engine.insight.account.model import Change, Trait
from postrider.engine.insight.model import Measure
from postrider.engine.insight.tally import Firsts, Told, bucket_of
from postrider.engine.journal import Event, EventKind
from postrider.engine.messages import traces

VALUE_MAX_CHARS = 100
TraitPlace = tuple[int, int, int, str, bool]  # organization, trait, bucket, value, whether a click
MailPlace = tuple[int, int, str]  # organization, bucket, a column of mail_rollups
ChangePlace = tuple[int, int, int]  # organization, bucket, change

_SENT = {EventKind.ACCEPTED: 1, EventKind.CANCELLED: -1}
_CHANGES = {
    EventKind.CONTACT_CREATED: Change.CREATED,
    EventKind.CONTACT_DELETED: Change.DELETED,
    EventKind.UNSUBSCRIBED: Change.UNSUBSCRIBED,
    EventKind.COMPLAINED: Change.UNSUBSCRIBED,
    EventKind.BOUNCED: Change.BOUNCED,
}


class Tally(NamedTuple):
    """How much to add where."""

    traits: Counter[TraitPlace]
    mail: Counter[MailPlace]
    changes: Counter[ChangePlace]


def tally(tx: Tx, events: Sequence[Event], told: Sequence[Told], firsts: Firsts) -> Tally:
    """Count events of any organizations; `told`: those of messages; `firsts`: what of them was the first."""
    found = Tally(Counter(), Counter(), Counter())
    _count_traits(events, found.traits)
    _count_mail(events, told, firsts, found.mail)
    _count_changes(tx, [event for event in events if _change_of(event) is not None], found.changes)
    return found


def values_of(data: Mapping[str, Any]) -> Iterator[tuple[Trait, str]]:
    """What an opening's or click's data tells of each trait; "" where it tells nothing."""
    device, place = engagement.device_of(data), data.get("place") or {}
    country, city = place.get("country") or "", place.get("city") or ""
    yield Trait.DEVICE, (device["type"] or "")[:VALUE_MAX_CHARS]
    yield Trait.CLIENT, (device["client"] or "")[:VALUE_MAX_CHARS]
    yield Trait.COUNTRY, country[:VALUE_MAX_CHARS]
    yield Trait.CITY, f"{country}/{city}"[:VALUE_MAX_CHARS] if city else ""


def _count_traits(events: Sequence[Event], found: Counter[TraitPlace]) -> None:
    for event in events:
        if event.kind in journal.HITS:
            is_click, bucket = event.kind is EventKind.CLICKED, bucket_of(event.at)
            for trait, value in values_of(event.data or {}):
                found[event.organization_id, int(trait), bucket, value, is_click] += 1


def _count_mail(
    events: Sequence[Event], told: Sequence[Told], firsts: Firsts, found: Counter[MailPlace]
) -> None:
    """Deliveries each time, a message's openings and clicks once, as the other rollups have them."""
    for event in events:
        if event.kind in _SENT:
            found[event.organization_id, bucket_of(event.at), "sent"] += _SENT[event.kind]
    for event, its in told:
        if event.kind is EventKind.DELIVERED:
            found[event.organization_id, bucket_of(event.at), "delivered"] += 1
        delivered_at = its.first_delivered_at
        for at, measure, amount in firsts.get(event.id, ()):
            found[event.organization_id, bucket_of(at), _COLUMNS[measure]] += amount
            if measure is Measure.OPENED_UNIQUE and delivered_at is not None and delivered_at <= at:
                found[event.organization_id, bucket_of(delivered_at), "read"] += amount


_COLUMNS = {Measure.OPENED_UNIQUE: "opened", Measure.CLICKED_UNIQUE: "clicked"}


def _count_changes(tx: Tx, events: Sequence[Event], found: Counter[ChangePlace]) -> None:
    """What happens to a mail changes the audience where its address is a contact."""
    mails = [
        (event.organization_id, event.message_id)
        for event in events
        if event.contact_id is None and event.message_id is not None
    ]
    traced = traces.of(tx, mails) if mails else {}
    keys = {
        event.id: (event.organization_id, traced[event.message_id].address_key)
        for event in events
        if event.contact_id is None and event.message_id is not None and event.message_id in traced
    }
    known = persons.by_addresses(tx, set(keys.values())) if keys else {}
    for event in events:
        change = _change_of(event)
        if change is not None and (event.contact_id is not None or keys.get(event.id) in known):
            found[event.organization_id, bucket_of(event.at), int(change)] += 1


def _change_of(event: Event) -> Change | None:
    if event.kind is EventKind.BOUNCED and (event.data or {}).get("class") != "hard":
        return None
    return _CHANGES.get(event.kind)
