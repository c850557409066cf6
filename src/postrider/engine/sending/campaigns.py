"""Campaigns while they are written: drafts made, changed, listed and dropped; test copies of them.

Only drafts change: what has begun to be sent is refused. How a campaign is sent stands elsewhere.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from postrider.db.database import Tx
from postrider.engine.errors import Invalid, NotAllowedNow, NotFound
from postrider.engine.messages import Stream
from postrider.engine.principal import Principal
from postrider.engine.sending import store
from postrider.engine.sending.model import SendCommand, Submission
from postrider.engine.sending.prepare import prepare, recipients_of
from postrider.kit import clock
from postrider.kit.address import Mailbox
from postrider.kit.ids import RowId, new_id

READ, WRITE = "campaigns:read", "campaigns:write"
KIND = "campaign"
DRAFT = "draft"
NAME_MAX_CHARS = 255
TEST_RECIPIENTS_MAX = 50
PAGE_MAX = 1_000
SORTS = ("created_at", "updated_at", "name")


@dataclass(frozen=True, slots=True)
class Definition:
    """What its author wrote; all that is None is as the organization has it. Kept as JSON."""

    subject: str
    html: str | None = None
    text: str | None = None
    from_name: str | None = None
    from_email: str | None = None
    reply_to: str | None = None
    list_id: str | None = None  # as a surface named it
    template_id: str | None = None
    switches: dict[str, bool] = field(default_factory=dict)  # track_opens, track_clicks, auto_footer, …


@dataclass(frozen=True, slots=True)
class Campaign:
    organization_id: int
    id: RowId
    name: str
    status: str  # draft, scheduled, sending, paused, sent, cancelled, failed
    definition: Definition
    created_by: RowId | None
    total: int
    created_at: int
    updated_at: int


class Position(NamedTuple):
    """Where a page of a list ended: the value it is sorted by, and the row's id."""

    value: int | str
    id: RowId


def create_campaign(tx: Tx, principal: Principal, name: str, definition: Definition) -> Campaign:
    """A draft. Raises Invalid."""
    principal.require(WRITE)
    now = clock.now_ms()
    campaign = Campaign(
        principal.organization_id, new_id(), _name(name), DRAFT, definition, principal.user_id, 0, now, now
    )
    store.insert_draft(tx, kind=KIND, **_row(campaign))
    return campaign


def get_campaign(tx: Tx, principal: Principal, campaign_id: RowId) -> Campaign:
    """Raises NotFound, also for another organization's."""
    principal.require(READ)
    return _existing(tx, principal, campaign_id)


def update_campaign(
    tx: Tx, principal: Principal, campaign_id: RowId, *, name: str | None = None, **changes: Any
) -> Campaign:
    """Change a draft: its name, and fields of its Definition. Raises NotFound, Invalid, NotAllowedNow."""
    principal.require(WRITE)
    campaign = _draft(tx, principal, campaign_id)
    changed = replace(
        campaign,
        name=campaign.name if name is None else _name(name),
        definition=replace(campaign.definition, **changes),
        updated_at=clock.now_ms(),
    )
    store.update_draft(tx, **_row(changed))
    return changed


def delete_campaign(tx: Tx, principal: Principal, campaign_id: RowId) -> None:
    """Drop a draft. Raises NotFound, NotAllowedNow."""
    principal.require(WRITE)
    _draft(tx, principal, campaign_id)
    store.delete_campaign(tx, principal.organization_id, campaign_id)


def list_campaigns(
    tx: Tx,
    principal: Principal,
    *,
    limit: int,
    sort: str = "created_at",
    is_descending: bool = True,
    after: Position | None = None,
    statuses: Sequence[str] = (),
    name: str | None = None,
    created_after: int | None = None,
) -> list[Campaign]:
    """By a field of SORTS, equal ones by id; those past `after`, PAGE_MAX at most."""
    principal.require(READ)
    assert sort in SORTS
    rows = store.campaigns_page(
        tx, principal.organization_id, KIND, sort=sort, is_descending=is_descending, after=after,
        statuses=statuses, name=name, created_after=created_after, limit=min(limit, PAGE_MAX),
    )  # fmt: skip
    return [_campaign(row) for row in rows]


def count_campaigns(
    tx: Tx,
    principal: Principal,
    *,
    statuses: Sequence[str] = (),
    name: str | None = None,
    created_after: int | None = None,
) -> int:
    """How many a list would hold, counted to store.COUNT_MAX."""
    principal.require(READ)
    return store.count_campaigns(
        tx, principal.organization_id, KIND, statuses=statuses, name=name, created_after=created_after
    )


def make_test_copies(
    principal: Principal, campaign: Campaign, to: Sequence[Mailbox], values: dict[str, Any]
) -> list[Submission]:
    """A test copy for each address, filled with `values`; marked as tests. Raises Invalid, TemplateFault."""
    principal.require(WRITE)
    if not 1 <= len(to) <= TEST_RECIPIENTS_MAX:
        raise Invalid(field="recipients", message=f"1 to {TEST_RECIPIENTS_MAX} recipients are taken")
    prepared, _ = prepare(_command(campaign.definition, to[0]), merge=True)
    return [
        Submission(principal, prepared, recipients_of([mailbox], [], []), values=values, is_test=True)
        for mailbox in to
    ]


def _command(definition: Definition, mailbox: Mailbox) -> SendCommand:
    sender = Mailbox(definition.from_email, definition.from_name or "") if definition.from_email else None
    return SendCommand(
        to=[mailbox],
        subject=definition.subject,
        html=definition.html,
        text=definition.text,
        from_=sender,
        reply_to=[Mailbox(definition.reply_to)] if definition.reply_to else [],
        track_opens=definition.switches.get("track_opens"),
        track_clicks=definition.switches.get("track_clicks"),
        stream=Stream.TRANSACTIONAL,
    )


def _existing(tx: Tx, principal: Principal, campaign_id: RowId) -> Campaign:
    row = store.campaign(tx, principal.organization_id, KIND, campaign_id)
    if row is None:
        raise NotFound(noun="campaign")
    return _campaign(row)


def _draft(tx: Tx, principal: Principal, campaign_id: RowId) -> Campaign:
    campaign = _existing(tx, principal, campaign_id)
    if campaign.status != DRAFT:
        raise NotAllowedNow(message=f"The campaign is {campaign.status}: only a draft can be changed")
    return campaign


def _name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > NAME_MAX_CHARS or not name.isprintable():
        raise Invalid(field="name", message=f"name must have 1 to {NAME_MAX_CHARS} printable characters")
    return name


def _row(campaign: Campaign) -> dict[str, Any]:
    return {**asdict(campaign), "definition": asdict(campaign.definition)}


def _campaign(row: Any) -> Campaign:
    return Campaign(
        row.organization_id, row.id, row.name, row.status, Definition(**row.definition), row.created_by,
        row.total, row.created_at, row.updated_at,
    )  # fmt: skip
