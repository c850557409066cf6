"""Reports of one send to many: overview, recipients by what became of their mail, timelines, links."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, Field
from starlette.responses import Response

from postrider.engine.insight import Measure, Who, campaigns
from postrider.engine.insight.campaigns import Grain, Listed, Recipient, Seen, Standing
from postrider.kit import clock
from postrider.kit.ids import RowId, to_uuid
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.mailerlogic.ids import path_id
from postrider.surfaces.mailerlogic.query import Page, Search, read_query
from postrider.surfaces.mailerlogic.vocabulary import STATUSES

READ = "campaigns:read"
_WHO = {"all": Who.ALL, "human_only": Who.HUMAN, "scanner_only": Who.SCANNER}
_STANDINGS = {
    "queued": Standing.QUEUED,
    "sent": Standing.SENT,
    "delivered": Standing.DELIVERED,
    "bounced": Standing.BOUNCED,
    "failed": Standing.NOT_SENT,  # as a message's status is told
    "opened": Standing.OPENED,
    "clicked": Standing.CLICKED,
    "complained": Standing.COMPLAINED,
    "unsubscribed": Standing.UNSUBSCRIBED,
}
_GRAINS = {"hour": Grain.HOUR, "day": Grain.DAY}
_OPENS = {
    Who.ALL: (Measure.OPENED, Measure.OPENED_UNIQUE),
    Who.HUMAN: (Measure.OPENED_HUMAN, Measure.OPENED_HUMAN_UNIQUE),
    Who.SCANNER: (Measure.OPENED_SCANNER, Measure.OPENED_SCANNER_UNIQUE),
}
_CLICKS = {
    Who.ALL: (Measure.CLICKED, Measure.CLICKED_UNIQUE),
    Who.HUMAN: (Measure.CLICKED_HUMAN, Measure.CLICKED_HUMAN_UNIQUE),
    Who.SCANNER: (Measure.CLICKED_SCANNER, Measure.CLICKED_SCANNER_UNIQUE),
}


class ReportQuery(BaseModel):
    filter: Literal["all", "human_only", "scanner_only"] = "all"

    @property
    def who(self) -> Who:
        return _WHO[self.filter]


class TimelineQuery(ReportQuery):
    interval: Literal["hour", "day"] = Field("hour", validation_alias=AliasChoices("interval", "precision"))


class ListQuery(ReportQuery, Page):
    search: Search | None = None


class RecipientQuery(ListQuery):
    status: (
        Literal[
            "queued",
            "sent",
            "delivered",
            "bounced",
            "failed",
            "opened",
            "clicked",
            "complained",
            "unsubscribed",
        ]
        | None
    ) = None


async def overview(call: Call) -> Response:
    """The filter is of openings and clicks; rates are percent of what was delivered."""
    query, campaign_id = read_query(call.request, ReportQuery), _campaign_id(call)
    report = await call.services.db.read(campaigns.report, call.caller.principal, campaign_id, query.who)
    counts = report.counts
    delivered, opens, clicks = counts[Measure.DELIVERED], counts.unique_opens or 0, counts.unique_clicks or 0
    return answer(
        {
            "campaign_id": to_uuid(campaign_id),
            "campaign_type": report.kind,
            "filter": query.filter,
            "sent": report.sent,
            "delivered": delivered,
            "bounced": counts.bounced,
            "hard_bounces": counts[Measure.BOUNCED_HARD],
            "soft_bounces": counts[Measure.BOUNCED_SOFT],
            "block_bounces": counts[Measure.BOUNCED_BLOCK],
            "failed": counts[Measure.FAILED],
            "unique_opens": opens,
            "total_opens": counts.opens,
            "open_rate": _percent(opens, delivered),
            "unique_clicks": clicks,
            "total_clicks": counts.clicks,
            "click_rate": _percent(clicks, delivered),
            "click_to_open_rate": _percent(clicks, opens),
            "complaints": counts[Measure.COMPLAINED],
            "unsubscribes": counts[Measure.UNSUBSCRIBED],
            "first_sent_at": _at(report.first_sent_at),
            "last_sent_at": _at(report.last_sent_at),
        }
    )


async def recipients(call: Call) -> Response:
    query = read_query(call.request, RecipientQuery)
    standing = None if query.status is None else _STANDINGS[query.status]
    listed = await _listed(call, query, standing)
    rows = [_recipient(row) for row in listed.rows]
    return answer({"recipients": rows, "pagination": query.told(listed.total)})


async def links(call: Call) -> Response:
    """Those that were followed, the most popular first; the times are of anybody's clicks."""
    query, campaign_id = read_query(call.request, ReportQuery), _campaign_id(call)
    found = await call.services.db.read(campaigns.links, call.caller.principal, campaign_id, query.who)
    return answer(
        {
            "campaign_id": to_uuid(campaign_id),
            "links": [
                {
                    "url": link.url,
                    "total_clicks": link.clicks,
                    "unique_clicks": link.unique_clicks,
                    "first_clicked_at": _at(link.first_clicked_at),
                    "last_clicked_at": _at(link.last_clicked_at),
                }
                for link in found
            ],
        }
    )


def _contacts(standing: Standing, shown: Callable[[Recipient], dict[str, Any]]) -> Callable[[Call], Any]:
    """The handler of a list of contacts; `shown`: what it tells beside who they are."""

    async def contacts(call: Call) -> Response:
        query = read_query(call.request, ListQuery)
        listed = await _listed(call, query, standing)
        rows = [{**_contact(row), **shown(row)} for row in listed.rows]
        return answer({"contacts": rows, "pagination": query.told(listed.total)})

    return contacts


def _timeline(noun: str, measures: Mapping[Who, tuple[Measure, ...]]) -> Callable[[Call], Any]:
    """The handler of unique and total openings or clicks, for each hour or day that had any."""

    async def timeline(call: Call) -> Response:
        query, campaign_id = read_query(call.request, TimelineQuery), _campaign_id(call)
        spans = await call.services.db.read(
            campaigns.timeline,
            call.caller.principal,
            campaign_id,
            _GRAINS[query.interval],
            measures[query.who],
            query.who,
        )
        told = [
            {
                "timestamp": clock.to_iso(span.start),
                f"unique_{noun}": getattr(span.counts, f"unique_{noun}") or 0,
                f"total_{noun}": getattr(span.counts, noun),
            }
            for span in spans
        ]
        return answer({"campaign_id": to_uuid(campaign_id), "interval": query.interval, "timeline": told})

    return timeline


def _opened(row: Recipient) -> dict[str, Any]:
    return _hits(row.opened, "opened", "open_count")


def _clicked(row: Recipient) -> dict[str, Any]:
    return _hits(row.clicked, "clicked", "click_count")


def _hits(seen: Seen, verb: str, count: str) -> dict[str, Any]:
    return {f"first_{verb}_at": _at(seen.first_at), f"last_{verb}_at": _at(seen.last_at), count: seen.times}


def _bounced(row: Recipient) -> dict[str, Any]:
    end = row.end
    return {
        "bounce_type": end and end.bounce_class,
        "reason": end and end.reason,
        "diagnostic_code": end and end.code,
        "bounced_at": _at(row.message.first_bounced_at),
    }


def _failed(row: Recipient) -> dict[str, Any]:
    end = row.end
    return {
        "reason": end and end.reason,
        "attempts": row.message.attempts,
        "failed_at": _at(None if end is None else end.at),
    }


_PATH = "/api/v1/campaigns/{campaignId}"
OPERATIONS = (
    Operation("campaignReport", "GET", (f"{_PATH}/report",), "Campaign overview", READ, overview),
    Operation(
        "campaignContactsOpened", "GET", (f"{_PATH}/contacts/opened",), "Contacts who opened", READ,
        _contacts(Standing.OPENED, _opened),
    ),
    Operation(
        "campaignContactsClicked", "GET", (f"{_PATH}/contacts/clicked",), "Contacts who clicked", READ,
        _contacts(Standing.CLICKED, _clicked),
    ),
    Operation(
        "campaignContactsBounced", "GET", (f"{_PATH}/contacts/bounced",), "Contacts whose mail bounced",
        READ, _contacts(Standing.BOUNCED, _bounced),
    ),
    Operation(
        "campaignContactsFailed", "GET", (f"{_PATH}/contacts/failed",), "Contacts whose mail failed", READ,
        _contacts(Standing.FAILED, _failed),
    ),
    Operation("campaignRecipients", "GET", (f"{_PATH}/recipients",), "All recipients", READ, recipients),
    Operation(
        "campaignTimelineOpens", "GET", (f"{_PATH}/timeline/opens",), "Opens over time", READ,
        _timeline("opens", _OPENS),
    ),
    Operation(
        "campaignTimelineClicks", "GET", (f"{_PATH}/timeline/clicks",), "Clicks over time", READ,
        _timeline("clicks", _CLICKS),
    ),
    Operation("campaignLinks", "GET", (f"{_PATH}/links",), "Links that were followed", READ, links),
)  # fmt: skip


def _campaign_id(call: Call) -> RowId:
    return path_id(call.request.path_params["campaignId"], "campaign")


async def _listed(call: Call, query: ListQuery, standing: Standing | None) -> Listed:
    return await call.services.db.read(
        campaigns.recipients,
        call.caller.principal,
        _campaign_id(call),
        standing,
        query.who,
        search=query.search or "",
        limit=query.limit,
        offset=query.offset,
    )


def _contact(row: Recipient) -> dict[str, Any]:
    """Details are null where the address is no contact."""
    contact = row.contact
    return {
        "contact_id": contact and to_uuid(contact.id),
        "email": row.message.recipient,
        "name": contact and contact.name,
        "company": contact and contact.company,
        "phone": contact and contact.phone,
    }


def _recipient(row: Recipient) -> dict[str, Any]:
    message, contact, end = row.message, row.contact, row.end
    return {
        "contact_id": contact and to_uuid(contact.id),
        "email_id": to_uuid(message.group_id),
        "email": message.recipient,
        "name": contact and contact.name,
        "status": STATUSES[message.status],
        "sent_at": _at(message.first_sent_at),
        "delivered_at": _at(message.first_delivered_at),
        "opened": row.opened.times > 0,
        "open_count": row.opened.times,
        "clicked": row.clicked.times > 0,
        "click_count": row.clicked.times,
        "bounce_type": end and end.bounce_class,
        "bounce_reason": end.reason if end is not None and end.bounce_class else None,
    }


def _at(at: int | None) -> str | None:
    return None if at is None else clock.to_iso(at)


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0
