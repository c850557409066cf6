"""Campaigns as far as no dialect has it: all kinds, to segments, paused, split; the figures of variants."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, StringConstraints
from starlette.responses import Response

from postrider.engine.errors import Invalid
from postrider.engine.insight.campaigns import by_variant, counts_of
from postrider.engine.insight.model import Counts, Measure, Who
from postrider.engine.sending import campaigns
from postrider.engine.sending.campaigns import (
    Campaign,
    CampaignStatus,
    SplitTest,
    Timing,
    Variant,
    Yardstick,
)
from postrider.kit.ids import RowId, from_uuid, to_uuid
from postrider.surfaces.common.fields import OneLine, Wire, fault
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.console import wire

READ, WRITE = "campaigns:read", "campaigns:write"
CONTENT_MAX_CHARS = 500_000
BODY_MAX_BYTES = 4 * 1024 * 1024
NAME_MAX_CHARS, SUBJECT_MAX_CHARS = 100, 998
_PARAMETERS = frozenset({"limit", "before", "status", "kind"})
_COUNTS = (
    Measure.ACCEPTED, Measure.SENT, Measure.DELIVERED, Measure.DEFERRED, Measure.BOUNCED_HARD,
    Measure.BOUNCED_SOFT, Measure.BOUNCED_BLOCK, Measure.FAILED, Measure.SUPPRESSED, Measure.CANCELLED,
    Measure.COMPLAINED, Measure.UNSUBSCRIBED,
)  # fmt: skip


def _id(given: Any) -> RowId:
    row_id = from_uuid(given) if isinstance(given, str) else None
    if row_id is None:
        raise fault("Input should be a UUID")
    return row_id


Id = Annotated[bytes, PlainValidator(_id, json_schema_input_type=str)]
Content = Annotated[str, StringConstraints(min_length=1, max_length=CONTENT_MAX_CHARS)]


class ChangedCampaign(Wire):
    """What of a campaign that is not sent yet is to change; null takes it away."""

    list_id: Id | None = None
    segment_id: Id | None = None
    timing: Timing = Timing.AT_ONCE
    timezone: Annotated[str, StringConstraints(max_length=NAME_MAX_CHARS)] | None = None
    batch_size: int | None = Field(default=None, ge=1)
    batch_delay_s: float = Field(default=0, ge=0, allow_inf_nan=False)


class NewVariant(Wire):
    """What one arm has instead of the campaign's own."""

    name: Annotated[OneLine, StringConstraints(min_length=1, max_length=NAME_MAX_CHARS)]
    subject: Annotated[OneLine, StringConstraints(min_length=1, max_length=SUBJECT_MAX_CHARS)] | None = None
    html: Content | None = None
    text: Content | None = None
    from_name: Annotated[OneLine, StringConstraints(max_length=NAME_MAX_CHARS)] | None = None


class NewSplitTest(Wire):
    """The variants beside the campaign's own, who gets them, and what decides."""

    variants: list[NewVariant] = Field(min_length=1, max_length=9)
    percent: int = Field(ge=1, le=100)
    decided_by: Literal["opens", "clicks"] = "opens"
    wait_minutes: int = Field(ge=1, le=20_160)


class Choice(Wire):
    """The variant that wins, by its number: 1 is the campaign's own."""

    variant: int = Field(ge=1, le=10)


async def list_campaigns(call: Call) -> Response:
    """Newest first; `next` is the `before` of the following page, null at the end."""
    query = call.request.query_params
    wire.known_only(query, _PARAMETERS)
    limit, before = wire.limit_of(query), wire.row_id_of(query, "before")
    statuses = wire.words_of(query, "status", {each.value: each for each in CampaignStatus})
    kinds = _kinds(query.get("kind", ""))
    after = None if before is None else campaigns.Position(before, before)

    def read(tx: Any) -> list[dict[str, Any]]:
        found = campaigns.list_campaigns(
            tx, call.caller.principal, limit=limit, sort="id", after=after, kinds=kinds, statuses=statuses
        )  # fmt: skip
        counts = counts_of(tx, call.caller.principal.organization_id, [each.id for each in found])
        return [_shown(each, counts[each.id]) for each in found]

    shown = await call.services.db.read(read)
    following = shown[-1]["id"] if len(shown) == limit else None
    return answer({"campaigns": shown, "next": following})


async def get_campaign(call: Call) -> Response:
    return await _answer(call)


async def change_campaign(call: Call, changed: ChangedCampaign) -> Response:
    """To whom it goes, and how; only what is sent changes."""
    given = changed.model_dump(exclude_unset=True)
    await call.services.db.write_first(
        lambda tx: campaigns.update_campaign(tx, call.caller.principal, _campaign_id(call), **given)
    )
    return await _answer(call)


async def set_split_test(call: Call, new: NewSplitTest) -> Response:
    test = SplitTest(
        tuple(Variant(**each.model_dump()) for each in new.variants),
        new.percent,
        Yardstick(new.decided_by),
        new.wait_minutes,
    )
    await call.services.db.write_first(
        lambda tx: campaigns.update_campaign(tx, call.caller.principal, _campaign_id(call), split_test=test)
    )
    return await _answer(call)


async def remove_split_test(call: Call) -> Response:
    await call.services.db.write_first(
        lambda tx: campaigns.update_campaign(tx, call.caller.principal, _campaign_id(call), split_test=None)
    )
    return await _answer(call)


async def choose_winner(call: Call, choice: Choice) -> Response:
    """Now, without waiting for the test's end."""
    return await _act(call, campaigns.choose_winner, choice.variant)


async def pause_campaign(call: Call) -> Response:
    """What a worker holds already still goes out: about a second's worth."""
    return await _act(call, campaigns.pause_campaign)


async def resume_campaign(call: Call) -> Response:
    return await _act(call, campaigns.resume_campaign)


async def cancel_campaign(call: Call) -> Response:
    """What was not sent is called back, in the background where it is much."""
    return await _act(call, campaigns.cancel_campaign)


async def unschedule_campaign(call: Call) -> Response:
    """A draft again."""
    return await _act(call, campaigns.unschedule_campaign)


_ALL, _ONE = "/v1/campaigns", "/v1/campaigns/{id}"
# fmt: off
OPERATIONS: tuple[Operation, ...] = (
    Operation("listCampaigns", "GET", (_ALL,), "every send to many, newest first", READ, list_campaigns),
    Operation("getCampaign", "GET", (_ONE,), "one, with its variants", READ, get_campaign),
    Operation("changeCampaign", "PATCH", (_ONE,), "to whom it goes, and how", WRITE, change_campaign,
              body=ChangedCampaign),
    Operation("setSplitTest", "PUT", (_ONE + "/split-test",), "try variants on some", WRITE, set_split_test,
              body=NewSplitTest, body_max_bytes=BODY_MAX_BYTES),
    Operation("removeSplitTest", "DELETE", (_ONE + "/split-test",), "no variants", WRITE, remove_split_test),
    Operation("chooseWinner", "POST", (_ONE + "/winner",), "send this variant to the rest", WRITE,
              choose_winner, body=Choice),
    Operation("pauseCampaign", "POST", (_ONE + "/pause",), "let it wait", WRITE, pause_campaign),
    Operation("resumeCampaign", "POST", (_ONE + "/resume",), "let it go on", WRITE, resume_campaign),
    Operation("cancelCampaign", "POST", (_ONE + "/cancel",), "call it off", WRITE, cancel_campaign),
    Operation("unscheduleCampaign", "POST", (_ONE + "/unschedule",), "make it a draft again", WRITE,
              unschedule_campaign),
)
# fmt: on


async def _act(call: Call, act: Any, *given: Any) -> Response:
    await call.services.db.write_first(lambda tx: act(tx, call.caller.principal, _campaign_id(call), *given))
    call.services.wake()
    return await _answer(call)


async def _answer(call: Call) -> Response:
    """The campaign as it stands now; who may change it is shown it."""
    campaign_id = _campaign_id(call)

    def read(tx: Any) -> dict[str, Any]:
        organization_id = call.caller.principal.organization_id
        reader = replace(call.caller.principal, scopes=frozenset({READ}))
        campaign = campaigns.get_campaign(tx, reader, campaign_id, kinds=campaigns.SENT_KINDS)
        shown = _shown(campaign, counts_of(tx, organization_id, [campaign_id])[campaign_id])
        variants = by_variant(tx, organization_id, campaign_id, Who.HUMAN)
        return {**shown, "variants": _variants(campaign, variants)}

    return answer({"campaign": await call.services.db.read(read)})


def _campaign_id(call: Call) -> RowId:
    return wire.path_id(call.request.path_params["id"], "campaign")


def _kinds(text: str) -> Sequence[str]:
    asked = [each for each in text.split(",") if each]
    if not set(asked) <= set(campaigns.SENT_KINDS):
        raise Invalid(field="kind", message=f"kind is one of {', '.join(campaigns.SENT_KINDS)}")
    return asked or campaigns.SENT_KINDS


def _shown(campaign: Campaign, counts: Counts) -> dict[str, Any]:
    own = campaign.definition
    return {
        "id": to_uuid(campaign.id),
        "kind": campaign.kind,
        "name": campaign.name,
        "subject": own.subject,
        "status": campaign.status.value,
        "reason": campaign.reason,
        "list_id": own.list_id and to_uuid(own.list_id),
        "segment_id": own.segment_id and to_uuid(own.segment_id),
        "timing": own.timing.value,
        "timezone": own.timezone,
        "batch_size": own.batch_size,
        "batch_delay_s": own.batch_delay_s,
        "winner": campaign.winner,
        "recipients": campaign.total,
        "made": campaign.accepted,
        "skipped": campaign.skipped,
        "counts": _figures(counts),
        "created_at": wire.time(campaign.created_at),
        "scheduled_at": wire.time(campaign.scheduled_at),
        "started_at": wire.time(campaign.started_at),
        "ended_at": wire.time(campaign.ended_at),
    }


def _figures(counts: Counts) -> dict[str, int | None]:
    told: dict[str, int | None] = {measure.value: counts[measure] for measure in _COUNTS}
    return {**told, "opened": counts.unique_opens, "clicked": counts.unique_clicks}


def _variants(campaign: Campaign, counts: dict[int, Counts]) -> list[dict[str, Any]]:
    """What is tried, with the figures of people; none where nothing is split."""
    if campaign.definition.split_test is None:
        return []
    return [
        {
            "number": number,
            "name": variant.name,
            "subject": variant.subject if variant.subject is not None else campaign.definition.subject,
            "counts": _figures(counts.get(number, Counts({}, Who.HUMAN))),
        }
        for number, variant in enumerate(campaigns.arms(campaign.definition), 1)
    ]
