"""Campaigns while they are written: made, changed, copied, dropped. What has begun to be sent is refused."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from typing import Any

from postrider.db.database import Database, Tx
from postrider.engine import journal
from postrider.engine.audience import lists, segments
from postrider.engine.errors import Invalid, NotFound
from postrider.engine.journal import Event, EventKind
from postrider.engine.principal import Principal
from postrider.engine.sending.campaigns import rules, store
from postrider.engine.sending.campaigns.find import columns_of, read
from postrider.engine.sending.campaigns.model import (
    KIND,
    WRITE,
    Campaign,
    CampaignStatus,
    Definition,
    Target,
)
from postrider.engine.sending.campaigns.rules import Step
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id
from postrider.kit.zones import zone

NAME_MAX_CHARS = 255
LABEL_MAX_CHARS = 100
TARGETS_MAX = 50_000  # recipients that a campaign names itself
TARGETS_AT_ONCE = 2_000  # of one write
BATCH_DELAY_MAX_S = 24 * 3600.0
VARIANTS_MAX = 9
WAIT_MAX_MINUTES = 14 * 24 * 60
_COPIED_FROM = "Copy of "


def create_campaign(
    tx: Tx,
    principal: Principal,
    name: str,
    definition: Definition,
    targets: Sequence[Target] = (),
    *,
    list_id: RowId | None = None,
) -> Campaign:
    """A draft, for a list, a segment, `targets`, or whom kept_targets has put down. Raises Invalid."""
    principal.require(WRITE)
    _check(tx, principal, definition, targets)
    now = clock.now_ms()
    campaign = Campaign(
        principal.organization_id, list_id or new_id(), KIND, check_name(name), CampaignStatus.DRAFT,
        definition, principal.user_id, 0, 0, 0, now, now,
    )  # fmt: skip
    store.insert_campaign(tx, **_row(campaign))
    store.insert_recipients(tx, campaign.organization_id, campaign.id, unique(targets), first=0)
    tell(tx, campaign, EventKind.CAMPAIGN_CREATED)
    return campaign


def update_campaign(
    tx: Tx,
    principal: Principal,
    campaign_id: RowId,
    *,
    name: str | None = None,
    targets: Sequence[Target] | None = None,
    **changes: Any,
) -> Campaign:
    """Change what is not sent yet: its name, whom it names, fields of its Definition.

    Raises NotFound, Invalid, NotAllowedNow.
    """
    principal.require(WRITE)
    campaign = held(tx, principal, campaign_id)
    rules.after(campaign.status, Step.EDIT)
    changed = replace(
        campaign,
        name=campaign.name if name is None else check_name(name),
        definition=replace(campaign.definition, **changes),
        updated_at=clock.now_ms(),
    )
    _check(tx, principal, changed.definition, targets or ())
    store.change(
        tx,
        campaign.organization_id,
        campaign.id,
        name=changed.name,
        **columns_of(changed.definition),
        updated_at=changed.updated_at,
    )
    if targets is not None:
        store.delete_recipients(tx, campaign.organization_id, campaign.id)
        store.insert_recipients(tx, campaign.organization_id, campaign.id, unique(targets), first=0)
    return changed


def delete_campaign(tx: Tx, principal: Principal, campaign_id: RowId) -> None:
    """Drop one of which nothing was sent. Raises NotFound, NotAllowedNow."""
    principal.require(WRITE)
    campaign = held(tx, principal, campaign_id)
    rules.after(campaign.status, Step.DELETE)
    if campaign.started_at is not None:
        rules.after(CampaignStatus.SENT, Step.DELETE)  # its mail refers to it
    store.delete_recipients(tx, campaign.organization_id, campaign.id)
    store.delete_campaign(tx, campaign.organization_id, campaign.id)


def duplicate_campaign(
    tx: Tx,
    principal: Principal,
    campaign_id: RowId,
    *,
    name: str | None = None,
    with_recipients: bool = False,
) -> Campaign:
    """A new draft of the same content; its list, segment and named recipients only where asked.

    Raises NotFound, Invalid.
    """
    principal.require(WRITE)
    old = held(tx, principal, campaign_id)
    definition = old.definition
    targets: list[Target] = []
    if with_recipients:
        rows = store.recipients(tx, old.organization_id, old.id, limit=TARGETS_MAX)
        targets = [Target(row.address, row.address_key, row.vars) for row in rows]
    else:
        definition = replace(definition, list_id=None, segment_id=None)
    named = name or f"{_COPIED_FROM}{old.name}"[:NAME_MAX_CHARS]
    return create_campaign(tx, principal, named, definition, targets)


@asynccontextmanager
async def kept_targets(db: Database, principal: Principal, targets: Sequence[Target]) -> AsyncIterator[RowId]:
    """Put down whom a run or a campaign to be names, each address once, in writes of TARGETS_AT_ONCE.

    Gives the list's id, for the write that makes the list somebody's; where that fails it is dropped.
    """
    principal.require(WRITE)
    list_id, kept = new_id(), unique(targets)
    try:
        for first in range(0, len(kept), TARGETS_AT_ONCE):
            await db.write_first(
                store.insert_recipients, principal.organization_id, list_id,
                kept[first : first + TARGETS_AT_ONCE], first,
            )  # fmt: skip
        yield list_id
    except BaseException:
        await db.write(store.delete_recipients, principal.organization_id, list_id)
        raise


def held(tx: Tx, principal: Principal, campaign_id: RowId, kinds: Sequence[str] = (KIND,)) -> Campaign:
    """The campaign, nobody else's to change until this transaction ends. Raises NotFound."""
    row = store.hold(tx, principal.organization_id, campaign_id)
    if row is None or row.kind not in kinds:
        raise NotFound(noun="campaign")
    return read(row)


def tell(tx: Tx, campaign: Campaign, kind: EventKind, **facts: Any) -> None:
    """An event of the campaign, with what its receivers show of it."""
    told = {"name": campaign.name, "status": campaign.status.value, "scheduled_at": campaign.scheduled_at}
    event = Event(
        organization_id=campaign.organization_id,
        kind=kind,
        at=clock.now_ms(),
        campaign_id=campaign.id,
        data=told | facts,
    )
    journal.record(tx, [event])


def unique(targets: Sequence[Target]) -> list[Target]:
    """Each address once, where it stands first."""
    found: dict[str, Target] = {}
    for target in targets:
        found.setdefault(target.address_key, target)
    return list(found.values())


def check_name(name: str) -> str:
    """Raises Invalid."""
    name = name.strip()
    if not name or len(name) > NAME_MAX_CHARS or not name.isprintable():
        raise Invalid(field="name", message=f"name must have 1 to {NAME_MAX_CHARS} printable characters")
    return name


def _check(tx: Tx, principal: Principal, definition: Definition, targets: Sequence[Target]) -> None:
    if len(targets) > TARGETS_MAX:
        raise Invalid(field="recipients", message=f"at most {TARGETS_MAX} recipients are named in a campaign")
    if definition.list_id is not None:
        _check_there(lists.get, tx, principal, definition.list_id, field="list_id")
    if definition.segment_id is not None:
        _check_there(segments.get, tx, principal, definition.segment_id, field="segment_id")
    if definition.timezone is not None and zone(definition.timezone) is None:
        raise Invalid(field="timezone", message="timezone must be an IANA name such as Europe/Paris")
    if definition.batch_size is not None and definition.batch_size < 1:
        raise Invalid(field="batch_size", message="batch_size must be 1 or more")
    if not 0 <= definition.batch_delay_s <= BATCH_DELAY_MAX_S:
        message = f"the delay between batches must be 0 to {BATCH_DELAY_MAX_S:.0f} seconds"
        raise Invalid(field="batch_delay", message=message)
    if definition.label is not None and len(definition.label) > LABEL_MAX_CHARS:
        raise Invalid(field="type", message=f"type must have at most {LABEL_MAX_CHARS} characters")
    _check_split_test(definition)


def _check_there(get: Any, tx: Tx, principal: Principal, row_id: RowId, *, field: str) -> None:
    try:
        get(tx, replace(principal, scopes=frozenset({"*"})), row_id)
    except NotFound:
        raise Invalid(field=field, message=f"{field} names nothing there is", kind="not_found") from None


def _check_split_test(definition: Definition) -> None:
    if (test := definition.split_test) is None:
        return
    if not 1 <= len(test.variants) <= VARIANTS_MAX:
        raise Invalid(field="variants", message=f"1 to {VARIANTS_MAX} variants beside the campaign's own")
    if not 1 <= test.percent <= 100:
        raise Invalid(field="percent", message="percent must be 1 to 100")
    if not 1 <= test.wait_minutes <= WAIT_MAX_MINUTES:
        raise Invalid(field="wait_minutes", message=f"wait_minutes must be 1 to {WAIT_MAX_MINUTES}")


def _row(campaign: Campaign) -> dict[str, Any]:
    row = asdict(campaign)
    return {**row, "status": campaign.status.value, **columns_of(campaign.definition)}
