"""Campaigns: drafts made, shown, changed and dropped, test copies of them; sent, scheduled, called off."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from starlette.responses import Response

from postrider.engine.accounts import Organization
from postrider.engine.audience import lists
from postrider.engine.content import templates
from postrider.engine.errors import EngineError, Invalid, NotAllowedNow, NotFound
from postrider.engine.insight.campaigns import counts_of
from postrider.engine.insight.model import Counts, Measure
from postrider.engine.principal import Principal
from postrider.engine.sending import Receipt, Submission, campaigns
from postrider.engine.sending.campaigns import Campaign, CampaignStatus, Definition, Timing
from postrider.kit import clock
from postrider.kit.address import Mailbox, address_key
from postrider.kit.ids import RowId
from postrider.surfaces.common.idempotency import fingerprint, read_key
from postrider.surfaces.common.operations import Call, Operation, answer, sized
from postrider.surfaces.nudgecampaign import frame
from postrider.surfaces.nudgecampaign.auth import LABEL
from postrider.surfaces.nudgecampaign.errors import Detail, Faulty
from postrider.surfaces.nudgecampaign.ids import Noun, path_id, show
from postrider.surfaces.nudgecampaign.limits import CAMPAIGN_BODY_MAX_BYTES
from postrider.surfaces.nudgecampaign.lists import LIST
from postrider.surfaces.nudgecampaign.lists import Owned as OwnedList
from postrider.surfaces.nudgecampaign.query import read_query, read_view
from postrider.surfaces.nudgecampaign.resources import Filter, Resource, Sort, View, one_of, read_at, shown_at
from postrider.surfaces.nudgecampaign.templates import TEMPLATE, owned
from postrider.surfaces.nudgecampaign.vocabulary import CAMPAIGN_STATUSES
from postrider.surfaces.nudgecampaign.wire import (
    CampaignChanges,
    CopyTo,
    Departure,
    Leave,
    NewCampaign,
    Schedule,
    Twin,
)

READ, WRITE = "campaigns:read", "campaigns:write"
REPLAYED = "Idempotent-Replayed"
_SWITCHES = ("track_opens", "track_clicks", "google_analytics", "auto_footer")
_COUNTS = {
    "delivered": Measure.DELIVERED,
    "opened": Measure.OPENED_UNIQUE,
    "clicked": Measure.CLICKED_UNIQUE,
    "complained": Measure.COMPLAINED,
    "unsubscribed": Measure.UNSUBSCRIBED,
}
# How the engine calls what a body may set beside name and settings.
_COLUMNS = {
    "subject": "subject",
    "from_name": "from_name",
    "from_email": "from_email",
    "reply_to": "reply_to",
    "html_content": "html",
    "text_content": "text",
    "recipient_list_id": "list_id",
    "template_id": "template_id",
}
_NO_LIST = "There is nobody to send it to: recipient_list_id is missing"


class Owned(NamedTuple):
    """A campaign, whose it is, and what became of it."""

    campaign: Campaign
    organization: Organization
    counts: Counts


def _author(campaign: Campaign) -> str | None:
    """Who was signed in when it was made; nobody where a key made it."""
    return None if campaign.created_by is None else show(Noun.USER, campaign.created_by)


def _read_statuses(text: str) -> tuple[str, ...]:
    word = one_of(tuple(dict.fromkeys(CAMPAIGN_STATUSES.values())))(text)
    return tuple(status for status, said in CAMPAIGN_STATUSES.items() if said == word)


CAMPAIGN: Resource[Owned] = Resource(
    type="campaign",
    noun=Noun.CAMPAIGN,
    row_id=lambda row: row.campaign.id,
    attributes={
        "organization_id": lambda row: show(Noun.ORGANIZATION, row.organization.public_id),
        "user_id": lambda row: _author(row.campaign),
        "name": lambda row: row.campaign.name,
        "subject": lambda row: row.campaign.definition.subject,
        "from_name": lambda row: row.campaign.definition.from_name,
        "from_email": lambda row: row.campaign.definition.from_email,
        "reply_to": lambda row: row.campaign.definition.reply_to,
        "html_content": lambda row: row.campaign.definition.html,
        "text_content": lambda row: row.campaign.definition.text,
        "recipient_list_id": lambda row: _shown(Noun.LIST, row.campaign.definition.list_id),
        "template_id": lambda row: _shown(Noun.TEMPLATE, row.campaign.definition.template_id),
        "status": lambda row: CAMPAIGN_STATUSES[row.campaign.status],
        "scheduled_at": lambda row: shown_at(row.campaign.scheduled_at),
        "timezone": lambda row: row.campaign.definition.timezone,
        "send_time_optimization": lambda row: row.campaign.definition.timing is Timing.OPTIMIZED,
        "sent_at": lambda row: shown_at(row.campaign.sent_at),
        "settings": lambda row: {
            name: row.campaign.definition.switches.get(name, True) for name in _SWITCHES
        },
        "stats": lambda row: {
            "recipients": row.campaign.total,
            "bounced": row.counts.bounced,
            **{word: row.counts[measure] for word, measure in _COUNTS.items()},
        },
        "created_at": lambda row: shown_at(row.campaign.created_at),
        "updated_at": lambda row: shown_at(row.campaign.updated_at),
    },
    relationships={
        "organization": ("organization", lambda row: show(Noun.ORGANIZATION, row.organization.public_id)),
        "user": ("user", lambda row: _author(row.campaign)),
    },
    sorts={
        "created_at": Sort(int, lambda row: row.campaign.created_at),
        "scheduled_at": Sort(int, lambda row: row.campaign.scheduled_at or 0),
        "name": Sort(str, lambda row: row.campaign.name),
    },
    order="-created_at",
    filters={
        "filter[status]": Filter("statuses", _read_statuses),
        "filter[created_after]": Filter("created_after", read_at),
    },
    includes={"stats": None, "template": TEMPLATE, "templates": TEMPLATE, "recipients": LIST},
    large=frozenset({"html_content", "text_content"}),
)


async def list_campaigns(call: Call) -> Response:
    query = read_query(call.request, CAMPAIGN)
    principal = call.caller.principal

    def read(tx: Any) -> tuple[list[Owned], int, frame.Included]:
        rows = campaigns.list_campaigns(
            tx,
            principal,
            limit=query.size + 1,
            sort=query.order.name,
            is_descending=query.order.is_descending,
            after=query.after and campaigns.Position(*query.after),
            **query.filters,
        )
        shown = _owned(tx, call, rows)
        total = campaigns.count_campaigns(tx, principal, **query.filters)
        return shown, total, _included(tx, call, rows[: query.size], query)

    shown, total, included = await call.services.db.read(read)
    return frame.many(call.request, query, query.page(shown, total), included=included)


async def get_campaign(call: Call) -> Response:
    return await _answer(call, _campaign_id(call), read_view(call.request, CAMPAIGN), call.caller.principal)


async def create_campaign(call: Call, new: NewCampaign) -> Response:
    columns, switches = _columns(new), new.settings.model_dump()

    def create(tx: Any) -> RowId:
        principal = call.caller.principal
        definition = Definition(**_with_template(tx, principal, columns), switches=switches)
        return campaigns.create_campaign(tx, principal, new.name, definition).id

    return await _answer(call, await call.services.db.write_first(create), status=201)


async def update_campaign(call: Call, changes: CampaignChanges) -> Response:
    """Only what is sent changes, setting by setting."""
    principal, campaign_id = call.caller.principal, _campaign_id(call)
    columns, name = _columns(changes), changes.name or None
    switches = changes.settings.model_dump(exclude_unset=True)

    def change(tx: Any) -> None:
        if switches:
            before = campaigns.get_campaign(tx, _reader(call), campaign_id).definition.switches
            columns["switches"] = {**before, **switches}
        campaigns.update_campaign(
            tx, principal, campaign_id, name=name, **_with_template(tx, principal, columns)
        )

    await call.services.db.write_first(change)
    return await _answer(call, campaign_id)


async def delete_campaign(call: Call) -> Response:
    await call.services.db.write_first(campaigns.delete_campaign, call.caller.principal, _campaign_id(call))
    return frame.nothing()


async def schedule_campaign(call: Call, asked: Schedule) -> Response:
    """At an instant in the future; each recipient at its own hour within a day of it, where asked."""
    campaign_id = _campaign_id(call)
    at = asked.at(call.caller.organization.settings.timezone)
    assert at is not None
    await _schedule(call, campaign_id, at, asked)
    return await _answer(call, campaign_id)


async def send_campaign(call: Call, asked: Leave) -> Response:
    """Now, or as schedule_campaign. Nothing is sent where a fault is found: a draft stays one."""
    campaign_id = _campaign_id(call)
    at = asked.at(call.caller.organization.settings.timezone)
    if at is not None:
        await _schedule(call, campaign_id, at, asked)
    else:
        await _check_list(call, campaign_id)
        await call.services.sender.start_campaign(call.caller.principal, campaign_id)
    return await _answer(call, campaign_id)


async def cancel_campaign(call: Call) -> Response:
    """A draft is no campaign that could be called off here: it is deleted."""
    principal, campaign_id = call.caller.principal, _campaign_id(call)

    def cancel(tx: Any) -> None:
        if campaigns.get_campaign(tx, _reader(call), campaign_id).status is CampaignStatus.DRAFT:
            raise NotAllowedNow(message="The campaign is a draft: there is nothing to cancel")
        campaigns.cancel_campaign(tx, principal, campaign_id)

    await call.services.db.write_first(cancel)
    call.services.wake()
    return await _answer(call, campaign_id)


async def duplicate_campaign(call: Call, wanted: Twin) -> Response:
    copy = await call.services.db.write_first(
        lambda tx: campaigns.duplicate_campaign(
            tx,
            call.caller.principal,
            _campaign_id(call),
            name=wanted.name,
            with_recipients=wanted.include_recipients,
        )
    )
    return await _answer(call, copy.id, status=201)


async def send_copies(call: Call, wanted: CopyTo) -> Response:
    """A test copy to each address, once; some may be refused, and are not counted as sent."""
    campaign_id = _campaign_id(call)
    campaign = await call.services.db.read(campaigns.get_campaign, _reader(call), campaign_id)
    to = {address_key(address): Mailbox(address) for address in wanted.recipients}
    copies = await sized(
        len(campaign.definition.html or ""),
        campaigns.make_test_copies,
        call.caller.principal,
        campaign,
        list(to.values()),
        wanted.personalization,
    )
    answers = await call.services.sender.send_many(_once(call, campaign_id, copies))
    taken = [each for each in answers if isinstance(each, Receipt)]
    if not taken:
        raise next(each for each in answers if isinstance(each, EngineError))
    response = answer(
        {
            "data": {
                "campaign_id": show(Noun.CAMPAIGN, campaign_id),
                "recipients": [mailbox.address for mailbox in to.values()],
                "sent": len(taken),
                "status": "sent",
            }
        }
    )
    if all(receipt.is_replay for receipt in taken):
        response.headers[REPLAYED] = "true"
    return response


_ALL, _ONE = ("/v2/campaigns",), ("/v2/campaigns/{campaign_id}",)
OPERATIONS = (
    Operation("listCampaigns", "GET", _ALL, "Campaigns", READ, list_campaigns),
    Operation(
        "createCampaign", "POST", _ALL, "A new draft", WRITE, create_campaign,
        body=NewCampaign, body_max_bytes=CAMPAIGN_BODY_MAX_BYTES, status=201,
    ),
    Operation("getCampaign", "GET", _ONE, "One campaign", READ, get_campaign),
    Operation(
        "updateCampaign", "PUT", _ONE, "Change a draft", WRITE, update_campaign,
        body=CampaignChanges, body_max_bytes=CAMPAIGN_BODY_MAX_BYTES,
    ),
    Operation("deleteCampaign", "DELETE", _ONE, "Drop a draft", WRITE, delete_campaign, status=204),
    Operation(
        "testCampaign", "POST", (f"{_ONE[0]}/test",), "Send test copies", WRITE, send_copies, body=CopyTo
    ),
    Operation(
        "scheduleCampaign", "POST", (f"{_ONE[0]}/schedule",), "Send it at a time", WRITE,
        schedule_campaign, body=Schedule,
    ),
    Operation(
        "sendCampaign", "POST", (f"{_ONE[0]}/send",), "Send it now, or at a time", WRITE,
        send_campaign, body=Leave,
    ),
    Operation("cancelCampaign", "POST", (f"{_ONE[0]}/cancel",), "Call it off", WRITE, cancel_campaign),
    Operation(
        "duplicateCampaign", "POST", (f"{_ONE[0]}/duplicate",), "A new draft like it", WRITE,
        duplicate_campaign, body=Twin, status=201,
    ),
)  # fmt: skip


def _campaign_id(call: Call) -> RowId:
    return path_id(Noun.CAMPAIGN, call.request.path_params["campaign_id"])


def _reader(call: Call) -> Principal:
    """Who looks a campaign up in order to write: a key that may write need not be one that may read."""
    return replace(call.caller.principal, scopes=frozenset({READ}))


async def _answer(
    call: Call,
    campaign_id: RowId,
    view: View | None = None,
    reader: Principal | None = None,
    *,
    status: int = 200,
) -> Response:
    """The campaign as it stands now."""
    shown = view or View()

    def read(tx: Any) -> tuple[Owned, frame.Included]:
        campaign = campaigns.get_campaign(tx, reader or _reader(call), campaign_id)
        return _owned(tx, call, [campaign])[0], _included(tx, call, [campaign], shown)

    campaign, included = await call.services.db.read(read)
    return frame.one(CAMPAIGN, campaign, shown, included=included, status=status)


def _owned(tx: Any, call: Call, rows: Sequence[Campaign]) -> list[Owned]:
    counts = counts_of(tx, call.caller.principal.organization_id, [each.id for each in rows])
    return [Owned(each, call.caller.organization, counts[each.id]) for each in rows]


def _included(tx: Any, call: Call, rows: Sequence[Campaign], view: View) -> frame.Included:
    """The lists and templates of campaigns, where they are to be added."""
    principal = call.caller.principal
    added: list[tuple[Resource[Any], Any]] = []
    if "recipients" in view.include:
        ids = {each.definition.list_id for each in rows if each.definition.list_id is not None}
        for found in lists.many(tx, principal.organization_id, ids):
            added.append((LIST, OwnedList(found, call.caller.organization)))
    if view.include & {"template", "templates"}:
        ids = {each.definition.template_id for each in rows if each.definition.template_id is not None}
        added += [(TEMPLATE, each) for each in owned(tx, templates.many(tx, principal, ids))]
    return added


def _with_template(tx: Any, principal: Principal, columns: dict[str, Any]) -> dict[str, Any]:
    """Content that the body leaves out is copied from the template it names (contract: createCampaign)."""
    template_id = columns.get("template_id")
    if template_id is None:
        return columns
    try:
        content = templates.content_of(tx, principal, template_id)
    except NotFound:
        message = "There is no such template"
        raise Invalid(field="template_id", message=message, kind="not_found") from None
    return {"html": content.html, "text": content.text, **{k: v for k, v in columns.items() if v is not None}}


async def _schedule(call: Call, campaign_id: RowId, at: int, asked: Departure) -> None:
    if at <= clock.now_ms():
        raise Faulty(422, [Detail("scheduled_at", "Input should be in the future", "invalid_value")])
    principal = call.caller.principal
    await _check_list(call, campaign_id)
    await call.services.sender.check_campaign(principal, campaign_id)
    timing = Timing.OPTIMIZED if asked.send_time_optimization else Timing.AT_ONCE
    await call.services.db.write_first(
        lambda tx: campaigns.schedule_campaign(
            tx, principal, campaign_id, at=at, timezone=asked.timezone, timing=timing
        )
    )


async def _check_list(call: Call, campaign_id: RowId) -> None:
    """A campaign without a list goes to nobody, and is not mailed to everybody (contract: recipients)."""
    campaign = await call.services.db.read(campaigns.get_campaign, _reader(call), campaign_id)
    is_open = campaign.status in (CampaignStatus.DRAFT, CampaignStatus.SCHEDULED)
    if is_open and campaign.definition.list_id is None:
        raise Faulty(422, [Detail("recipient_list_id", _NO_LIST, "required")])


def _shown(noun: Noun, row_id: RowId | None) -> str | None:
    return None if row_id is None else show(noun, row_id)


def _columns(body: CampaignChanges) -> dict[str, Any]:
    """What the body sets, in the engine's words."""
    given = body.model_dump(exclude_unset=True)
    return {column: given[field] for field, column in _COLUMNS.items() if field in given}


def _once(call: Call, campaign_id: RowId, copies: Sequence[Submission]) -> list[Submission]:
    """The copies, each under a key of its own where the caller gave one for all."""
    key = read_key(call.request, f"{LABEL}:{call.operation.id}:{campaign_id.hex()}")
    if key is None:
        return list(copies)
    mark = fingerprint(call.operation.method, call.operation.paths[0], call.raw)
    return [
        replace(copy, idempotency_key=f"{key}:{number}", fingerprint=mark)
        for number, copy in enumerate(copies)
    ]
