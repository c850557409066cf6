"""Telling of conversions: a goal that was met, an order. One transaction keeps, counts and journals them."""

from typing import Any

from postrider.db.database import Tx
from postrider.engine import accounts, journal
from postrider.engine.accounts import Settings
from postrider.engine.audience import persons
from postrider.engine.audience.text import is_plain
from postrider.engine.errors import Invalid, NotFound
from postrider.engine.insight import coarse
from postrider.engine.insight.conversions import attribute, store
from postrider.engine.insight.conversions.model import (
    Attribution,
    Conversion,
    Goal,
    Kind,
    NewConversion,
    Recorded,
)
from postrider.engine.insight.conversions.rules import Windows, milestone
from postrider.engine.insight.tally import BUCKET_MS
from postrider.engine.journal import Event, EventKind
from postrider.engine.principal import Principal
from postrider.kit import clock, json
from postrider.kit.address import InvalidAddress, address_key, parse_address
from postrider.kit.ids import RowId, new_id

WRITE = "campaigns:write"
ORDER_ID_MAX_CHARS = 255
METADATA_MAX_BYTES = 16 * 1024
AHEAD_MAX_MS = clock.HOUR  # by how much a caller's clock may be ahead of ours
STEPS = (BUCKET_MS, *coarse.STEPS)  # of sums, beside those over all time


def record_order(tx: Tx, principal: Principal, new: NewConversion) -> Recorded:
    """Revenue from a contact or for a campaign. A repeat of an order_id changes nothing.

    Raises NotFound (facts: noun campaign or contact) and Invalid.
    """
    principal.require(WRITE)
    return _record(tx, principal.organization_id, new, None)


def record_conversion(tx: Tx, principal: Principal, goal_id: RowId, new: NewConversion) -> Recorded:
    """A goal that was met; of a goal about one campaign it is that campaign's. Otherwise as record_order."""
    principal.require(WRITE)
    goal = store.goal(tx, principal.organization_id, goal_id)
    if goal is None:
        raise NotFound(noun="goal")
    return _record(tx, principal.organization_id, new, goal)


def _record(tx: Tx, organization_id: int, new: NewConversion, goal: Goal | None) -> Recorded:
    _check(new)
    organization = accounts.organization(tx, organization_id)
    assert organization is not None
    made = _made(tx, organization_id, organization.settings, new, goal)
    if not store.put(tx, made):
        assert made.order_id is not None
        there = store.of_order(tx, organization_id, made.goal_id, made.order_id)
        return Recorded(there, is_new=False, total_mils=_total(tx, there))
    total = store.count(tx, made, STEPS)
    journal.record(tx, [_event(made, goal, total)])
    return Recorded(made, is_new=True, total_mils=total if made.campaign_id is not None else 0)


def _check(new: NewConversion) -> None:
    """Raises Invalid with all that is wrong."""
    now = clock.now_ms()
    order_id = new.order_id
    faults = [
        {"field": field, "message": message}
        for field, is_bad, message in (
            ("order_id", order_id is not None and not 0 < len(order_id) <= ORDER_ID_MAX_CHARS,
             f"An order id has 1 to {ORDER_ID_MAX_CHARS} characters"),
            ("order_id", not is_plain(order_id or ""), "An order id is one line"),
            ("occurred_at", new.occurred_at is not None and not 0 <= new.occurred_at <= now + AHEAD_MAX_MS,
             "A conversion lies in the past"),
            ("metadata", new.metadata is not None and len(json.dump_bytes(new.metadata)) > METADATA_MAX_BYTES,
             f"Metadata has at most {METADATA_MAX_BYTES} bytes as JSON"),
        ) if is_bad
    ]  # fmt: skip
    if faults:
        raise Invalid(**faults[0], faults=faults)


def _made(
    tx: Tx, organization_id: int, settings: Settings, new: NewConversion, goal: Goal | None
) -> Conversion:
    now = clock.now_ms()
    at = now if new.occurred_at is None else min(new.occurred_at, now)
    contact_id, key = _person(tx, organization_id, new)
    campaign_id, attribution = _credit(tx, organization_id, settings, new, goal, contact_id, key, at)
    amount_mils, currency = new.amount_mils, new.currency
    if amount_mils is None:
        assert goal is not None, "an order has an amount"
        amount_mils, currency = goal.value_mils or 0, goal.currency
    return Conversion(
        organization_id, new_id(), None if goal is None else goal.id, contact_id, campaign_id, attribution,
        amount_mils, currency or (settings.currency if goal is None else goal.currency), new.order_id,
        new.metadata, at, now,
    )  # fmt: skip


def _person(tx: Tx, organization_id: int, new: NewConversion) -> tuple[RowId | None, str | None]:
    """A contact, or the key of an address that is none; neither where nobody is named."""
    if new.contact_id is not None:
        if new.contact_id not in persons.by_ids(tx, [(organization_id, new.contact_id)]):
            raise NotFound(noun="contact")
        return new.contact_id, None
    if new.email is None:
        return None, None
    try:
        key = address_key(parse_address(new.email.strip()))
    except InvalidAddress:
        raise Invalid(field="email", message="Invalid email address") from None
    found = persons.by_addresses(tx, [(organization_id, key)]).get((organization_id, key))
    if found is None and new.needs_contact:
        raise NotFound(noun="contact")
    return (None, key) if found is None else (found.id, None)


def _credit(
    tx: Tx,
    organization_id: int,
    settings: Settings,
    new: NewConversion,
    goal: Goal | None,
    contact_id: RowId | None,
    key: str | None,
    at: int,
) -> tuple[RowId | None, Attribution]:
    if new.campaign_id is not None:
        if new.campaign_id not in store.campaigns(tx, organization_id, [new.campaign_id]):
            raise NotFound(noun="campaign")
        return new.campaign_id, Attribution.EXPLICIT
    if goal is not None and goal.campaign_id is not None:
        return goal.campaign_id, Attribution.EXPLICIT
    windows = Windows.of(settings)
    if contact_id is not None:
        return attribute.to_contact(tx, organization_id, contact_id, at=at, windows=windows)
    if key is not None:
        return attribute.to_address(tx, organization_id, key, at=at, windows=windows)
    return None, Attribution.NONE


def _total(tx: Tx, there: Conversion) -> int:
    if there.campaign_id is None:
        return 0
    kind = Kind.ORDER if there.goal_id is None else Kind.GOAL
    found = store.totals(tx, there.organization_id, [there.campaign_id], there.currency)
    return found[there.campaign_id, kind].amount_mils


def _event(made: Conversion, goal: Goal | None, total_mils: int) -> Event:
    """Amounts in mils; a round sum that the campaign's revenue passed is told once, by whoever passed it."""
    data: dict[str, Any] = {
        "conversion": made.id.hex(),
        "amount": made.amount_mils,
        "currency": made.currency,
        "attribution": made.attribution.name.lower(),
    }
    if goal is not None:
        data |= {"goal": goal.id.hex(), "goal_name": goal.name}
    elif made.campaign_id is not None:
        passed = milestone(total_mils - made.amount_mils, total_mils)
        data |= {"total": total_mils, **({} if passed is None else {"milestone": passed})}
    return Event(
        made.organization_id,
        EventKind.REVENUE_RECORDED if goal is None else EventKind.GOAL_CONVERTED,
        made.occurred_at,
        contact_id=made.contact_id,
        campaign_id=made.campaign_id,
        data=data,
        source_id=f"conversion:{made.id.hex()}",
    )
