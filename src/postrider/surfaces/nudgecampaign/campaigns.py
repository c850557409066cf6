"""Campaigns while they are written: drafts made, shown, changed and dropped, and test copies of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from starlette.responses import Response

from postrider.engine.accounts import Organization
from postrider.engine.errors import EngineError
from postrider.engine.principal import Principal
from postrider.engine.sending import Receipt, Submission, campaigns
from postrider.engine.sending.campaigns import Campaign, Definition
from postrider.kit.address import Mailbox, address_key
from postrider.kit.ids import RowId
from postrider.surfaces.common.idempotency import fingerprint, read_key
from postrider.surfaces.common.operations import Call, Operation, answer, sized
from postrider.surfaces.nudgecampaign import frame
from postrider.surfaces.nudgecampaign.auth import LABEL
from postrider.surfaces.nudgecampaign.ids import Noun, path_id, show
from postrider.surfaces.nudgecampaign.limits import CAMPAIGN_BODY_MAX_BYTES
from postrider.surfaces.nudgecampaign.query import read_query, read_view
from postrider.surfaces.nudgecampaign.resources import Filter, Resource, Sort, View, one_of, read_at, shown_at
from postrider.surfaces.nudgecampaign.vocabulary import CAMPAIGN_STATUSES
from postrider.surfaces.nudgecampaign.wire import CampaignChanges, CopyTo, NewCampaign

READ, WRITE = "campaigns:read", "campaigns:write"
REPLAYED = "Idempotent-Replayed"
_SWITCHES = ("track_opens", "track_clicks", "google_analytics", "auto_footer")
_COUNTS = ("delivered", "opened", "clicked", "bounced", "complained", "unsubscribed")
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
# Nothing has a time to be sent at yet: all are equal by it, and stand in the order they were made.
ORDERS = {"created_at": "created_at", "name": "name", "scheduled_at": "created_at"}


class Owned(NamedTuple):
    """A campaign and whose it is."""

    campaign: Campaign
    organization: Organization


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
        "recipient_list_id": lambda row: row.campaign.definition.list_id,
        "template_id": lambda row: row.campaign.definition.template_id,
        "status": lambda row: CAMPAIGN_STATUSES[row.campaign.status],
        "scheduled_at": lambda row: None,
        "sent_at": lambda row: None,
        "settings": lambda row: {
            name: row.campaign.definition.switches.get(name, True) for name in _SWITCHES
        },
        "stats": lambda row: {"recipients": row.campaign.total, **dict.fromkeys(_COUNTS, 0)},
        "created_at": lambda row: shown_at(row.campaign.created_at),
        "updated_at": lambda row: shown_at(row.campaign.updated_at),
    },
    relationships={
        "organization": ("organization", lambda row: show(Noun.ORGANIZATION, row.organization.public_id)),
        "user": ("user", lambda row: _author(row.campaign)),
    },
    sorts={
        "created_at": Sort(int, lambda row: row.campaign.created_at),
        "scheduled_at": Sort(int, lambda row: row.campaign.created_at),
        "name": Sort(str, lambda row: row.campaign.name),
    },
    order="-created_at",
    filters={
        "filter[status]": Filter("statuses", _read_statuses),
        "filter[created_after]": Filter("created_after", read_at),
    },
    includes={"stats": None, "template": None, "templates": None, "recipients": None},
    large=frozenset({"html_content", "text_content"}),
)


async def list_campaigns(call: Call) -> Response:
    query = read_query(call.request, CAMPAIGN)
    read, principal = call.services.db.read, call.caller.principal
    rows = await read(
        campaigns.list_campaigns,
        principal,
        limit=query.size + 1,
        sort=ORDERS[query.order.name],
        is_descending=query.order.is_descending,
        after=query.after and campaigns.Position(*query.after),
        **query.filters,
    )
    total = await read(campaigns.count_campaigns, principal, **query.filters)
    owned = [Owned(campaign, call.caller.organization) for campaign in rows]
    return frame.many(call.request, query, query.page(owned, total))


async def get_campaign(call: Call) -> Response:
    view, campaign_id = read_view(call.request, CAMPAIGN), _campaign_id(call)
    campaign = await call.services.db.read(campaigns.get_campaign, call.caller.principal, campaign_id)
    return _answer(call, campaign, view)


async def create_campaign(call: Call, new: NewCampaign) -> Response:
    definition = Definition(**_columns(new), switches=new.settings.model_dump(exclude_unset=True))
    campaign = await call.services.db.write_first(
        campaigns.create_campaign, call.caller.principal, new.name, definition
    )
    return _answer(call, campaign, View(), status=201)


async def update_campaign(call: Call, changes: CampaignChanges) -> Response:
    """Only what is sent changes, setting by setting."""
    principal, campaign_id = call.caller.principal, _campaign_id(call)
    columns, name = _columns(changes), changes.name or None
    switches = changes.settings.model_dump(exclude_unset=True)

    def change(tx: Any) -> Campaign:
        if switches:
            before = campaigns.get_campaign(tx, _reader(call), campaign_id).definition.switches
            columns["switches"] = {**before, **switches}
        return campaigns.update_campaign(tx, principal, campaign_id, name=name, **columns)

    return _answer(call, await call.services.db.write_first(change), View())


async def delete_campaign(call: Call) -> Response:
    await call.services.db.write_first(campaigns.delete_campaign, call.caller.principal, _campaign_id(call))
    return frame.nothing()


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
)  # fmt: skip


def _campaign_id(call: Call) -> RowId:
    return path_id(Noun.CAMPAIGN, call.request.path_params["campaign_id"])


def _reader(call: Call) -> Principal:
    """Who looks a campaign up in order to write: a key that may write need not be one that may read."""
    return replace(call.caller.principal, scopes=frozenset({READ}))


def _answer(call: Call, campaign: Campaign, view: View, *, status: int = 200) -> Response:
    return frame.one(CAMPAIGN, Owned(campaign, call.caller.organization), view, status=status)


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
