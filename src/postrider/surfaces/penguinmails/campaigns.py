"""Campaigns: written, scheduled, listed, sent and cancelled. Whom a request names in bulk: bulk."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from postrider.engine import content
from postrider.engine.content import templates
from postrider.engine.content.model import Parts
from postrider.engine.content.templates import Template
from postrider.engine.errors import NotFound
from postrider.engine.insight import conversions
from postrider.engine.insight.campaigns import counts_of, mean_rates
from postrider.engine.insight.conversions import Kind
from postrider.engine.principal import Principal
from postrider.engine.sending import campaigns
from postrider.engine.sending.campaigns import Campaign, Definition, Target
from postrider.kit.ids import RowId
from postrider.kit.money import units
from postrider.surfaces.common.body import SMALL_BODY_MAX_BYTES, read_body
from postrider.surfaces.common.errors import Fault, faults_of, invalid
from postrider.surfaces.common.operations import Call, Operation, parse, sized
from postrider.surfaces.penguinmails.analytics import PLACES
from postrider.surfaces.penguinmails.analytics import READ as REPORTS
from postrider.surfaces.penguinmails.answers import CURRENCY, done, listed, money
from postrider.surfaces.penguinmails.campaign_wire import (
    CampaignChanges,
    CampaignQuery,
    NewCampaign,
    Start,
    estimate,
    summary,
    whole,
)
from postrider.surfaces.penguinmails.ids import CAMPAIGN, path_id, to_id
from postrider.surfaces.penguinmails.limits import BODY_MAX_BYTES, COST_PER_MESSAGE_USD
from postrider.surfaces.penguinmails.paging import read_query
from postrider.surfaces.penguinmails.templates import template_of
from postrider.surfaces.penguinmails.vocabulary import CAMPAIGN_FILTERS, CAMPAIGN_STATUSES
from postrider.surfaces.penguinmails.wire import Content

READ, WRITE = "campaigns:read", "campaigns:write"


async def list_campaigns(call: Call) -> Response:
    """A page; its figures are of all campaigns that the filter matches."""
    query = read_query(call.request, CampaignQuery)
    principal, price = call.caller.principal, COST_PER_MESSAGE_USD[call.caller.organization.plan]
    narrowed: dict[str, Any] = {"statuses": CAMPAIGN_FILTERS[query.status]} if query.status else {}

    def read(tx: Any) -> Response:
        ids = campaigns.campaign_ids(tx, principal, **narrowed)
        rows = campaigns.list_campaigns(
            tx, principal, sort=query.sort, is_descending=query.order == "desc", offset=query.offset,
            limit=query.per_page, **narrowed,
        )  # fmt: skip
        named = campaigns.count_targets(tx, principal, [each.id for each in rows])
        counts = counts_of(tx, principal.organization_id, [each.id for each in rows])
        items = [summary(each, counts[each.id], price, named.get(each.id)) for each in rows]
        return listed(items, query, len(ids), analytics=_analytics(tx, principal, ids))

    return await call.services.db.read(read)


async def get_campaign(call: Call) -> Response:
    return await _answer(call, _campaign_id(call), call.caller.principal)


async def create_campaign(call: Call, new: NewCampaign) -> Response:
    """A draft, or scheduled at once. What is named is put down first: only the last write makes it seen."""
    db, principal = call.services.db, call.caller.principal
    template = await _template(call, new.content)
    definition = await sized(len(call.raw), _defined, new, template)

    async with campaigns.kept_targets(db, principal, new.targets() or ()) as list_id:

        def write(tx: Any) -> None:
            campaigns.create_campaign(tx, principal, new.name, definition, list_id=list_id)
            _count_use(tx, principal, new.content, template)
            if new.schedule is not None:
                campaigns.schedule_campaign(tx, principal, list_id, at=new.schedule.at)

        await db.write_first(write)
    return await _answer(call, list_id, status=201)


async def update_campaign(call: Call, given: CampaignChanges) -> Response:
    db, principal, campaign_id = call.services.db, call.caller.principal, _campaign_id(call)
    before = await db.read(campaigns.get_campaign, reader(principal), campaign_id)
    template = None if given.content is None else await _template(call, given.content)
    changes = await sized(len(call.raw), _changes, given, template, before.definition)

    def write(tx: Any) -> None:
        known = campaigns.get_campaign(tx, reader(principal), campaign_id)
        switches = {**known.definition.switches, **given.settings.switches()}
        campaign = campaigns.update_campaign(
            tx, principal, campaign_id, name=given.name, targets=given.targets(), switches=switches, **changes
        )
        _count_use(tx, principal, given.content, template)
        if given.schedule is not None:
            campaigns.schedule_campaign(tx, principal, campaign_id, at=given.schedule.at)
        elif given.is_taken_back and campaign.scheduled_at is not None:
            campaigns.unschedule_campaign(tx, principal, campaign_id)

    await db.write_first(write)
    return await _answer(call, campaign_id)


async def delete_campaign(call: Call) -> Response:
    campaign_id = _campaign_id(call)
    await call.services.db.write_first(campaigns.delete_campaign, call.caller.principal, campaign_id)
    return done({"id": to_id(CAMPAIGN, campaign_id), "deleted": True})


async def send_campaign(call: Call) -> Response:
    """The body may be absent."""
    raw = await read_body(call.request, SMALL_BODY_MAX_BYTES)
    if raw:
        parse(Start, raw)
    price = COST_PER_MESSAGE_USD[call.caller.organization.plan]
    campaign = await call.services.sender.start_campaign(call.caller.principal, _campaign_id(call))
    return done({**_state(campaign), "metrics": estimate(campaign.total, price)})


async def cancel_campaign(call: Call) -> Response:
    campaign = await call.services.db.write_first(
        campaigns.cancel_campaign, call.caller.principal, _campaign_id(call)
    )
    return done(_state(campaign))


_ALL, _ONE = "/api/v1/campaigns", "/api/v1/campaigns/{campaign_id}"
OPERATIONS = (
    Operation("listCampaigns", "GET", (_ALL,), "List campaigns with totals", READ, list_campaigns),
    Operation(
        "createCampaign", "POST", (_ALL,), "A draft, or a scheduled campaign", WRITE, create_campaign,
        body=NewCampaign, body_max_bytes=BODY_MAX_BYTES, status=201,
    ),
    Operation("getCampaign", "GET", (_ONE,), "Fetch one campaign", READ, get_campaign),
    Operation(
        "updateCampaign", "PATCH", (_ONE,), "Change a draft or scheduled campaign", WRITE, update_campaign,
        body=CampaignChanges, body_max_bytes=BODY_MAX_BYTES,
    ),
    Operation(
        "putCampaign", "PUT", (_ONE,), "Change a draft or scheduled campaign too", WRITE, update_campaign,
        body=CampaignChanges, body_max_bytes=BODY_MAX_BYTES,
    ),
    Operation("deleteCampaign", "DELETE", (_ONE,), "Delete a campaign", WRITE, delete_campaign),
    Operation("sendCampaign", "POST", (f"{_ONE}/send",), "Start a campaign now", WRITE, send_campaign),
    Operation("cancelCampaign", "POST", (f"{_ONE}/cancel",), "Cancel a campaign", WRITE, cancel_campaign),
)  # fmt: skip


def _campaign_id(call: Call) -> RowId:
    return path_id(CAMPAIGN, call.request.path_params["campaign_id"], "campaign")


def reader(principal: Principal) -> Principal:
    """Who writes a campaign is answered with it: a key that may write need not be one that may read."""
    return replace(principal, scopes=frozenset({READ}))


async def _answer(
    call: Call, campaign_id: RowId, asker: Principal | None = None, *, status: int = 200
) -> Response:
    """The campaign as it stands now."""
    principal = asker or reader(call.caller.principal)
    price = COST_PER_MESSAGE_USD[call.caller.organization.plan]

    def read(tx: Any) -> dict[str, Any]:
        campaign = campaigns.get_campaign(tx, principal, campaign_id)
        counts = counts_of(tx, principal.organization_id, [campaign_id])[campaign_id]
        targets = _targets(tx, principal, campaign_id)
        return whole(summary(campaign, counts, price, len(targets)), campaign, targets)

    return done(await call.services.db.read(read), status)


def _targets(tx: Any, principal: Principal, campaign_id: RowId) -> list[Target]:
    """All whom a campaign names; TARGETS_MAX of the engine bounds them."""
    found: list[Target] = []
    while page := campaigns.targets_of(
        tx, principal, campaign_id, after=len(found) - 1, limit=campaigns.PAGE_MAX
    ):
        found += page
    return found


def _state(campaign: Campaign) -> dict[str, str]:
    return {"id": to_id(CAMPAIGN, campaign.id), "status": CAMPAIGN_STATUSES[campaign.status]}


def _analytics(tx: Any, principal: Principal, ids: Sequence[RowId]) -> dict[str, Any]:
    """What all of them brought, and the means of their rates: of those that were sent to somebody."""
    asker = replace(principal, scopes=frozenset({REPORTS}))
    brought = conversions.totals_of(tx, asker, ids, currency=CURRENCY)
    revenue = sum(each[Kind.ORDER].amount_mils for each in brought.values())
    means = mean_rates(tx, principal.organization_id, ids)
    return {
        "total_revenue_impact": money(units(revenue)),
        "avg_open_rate": round(means.open_rate, PLACES),
        "avg_click_rate": round(means.click_rate, PLACES),
    }


async def _template(call: Call, given: Content) -> Template | None:
    """The template that content names; one beside HTML need not be there. Raises NotFound."""
    try:
        return await template_of(call, given.template_id)
    except NotFound:
        if given.html is None:
            raise
        return None


def _count_use(tx: Any, principal: Principal, given: Content | None, template: Template | None) -> None:
    if given is not None and given.html is None and template is not None:
        templates.count_use(tx, principal, template.id)


def _defined(new: NewCampaign, template: Template | None) -> Definition:
    """Raises Invalid with all that is wrong with its content."""
    definition = Definition(
        subject=new.subject,
        label=new.type or None,
        timezone=None if new.schedule is None else new.schedule.timezone,
        switches=new.settings.switches(),
        **_content(new.content, template),
        **new.settings.pace(),
    )
    _check(definition)
    return definition


def _changes(given: CampaignChanges, template: Template | None, before: Definition) -> dict[str, Any]:
    """The fields of the definition that a change sets. Raises Invalid as _defined does."""
    changes: dict[str, Any] = given.settings.pace()
    if given.subject is not None:
        changes["subject"] = given.subject
    if given.type is not None:
        changes["label"] = given.type or None
    if given.schedule is not None:
        changes["timezone"] = given.schedule.timezone
    if given.content is not None:
        changes |= _content(given.content, template)
    _check(replace(before, **changes))
    return changes


def _content(given: Content, template: Template | None) -> dict[str, Any]:
    kept = {
        "template_id": template and template.id,
        "defaults": {variable.name: variable.default_value for variable in given.variables},
    }
    if given.html is None and template is not None:
        taken = template.content
        return {**kept, "html": taken.html, "text": given.text or taken.text}
    return {**kept, "html": given.html, "text": given.text or None}


def _check(definition: Definition) -> None:
    checked = content.check_campaign(
        definition.subject, Parts(definition.html, definition.text), known=definition.defaults
    )
    faults: list[Fault] = [fault for error in checked.faults for fault in faults_of(error)]
    if faults:
        raise invalid(faults)
