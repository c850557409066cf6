"""What happened with one contact, oldest first: flat items, worded as webhooks are."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from postrider.engine.audience import activity
from postrider.engine.audience.activity import Happening, Part
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.nudgecampaign.ids import Noun, path_id, show
from postrider.surfaces.nudgecampaign.query import read_query
from postrider.surfaces.nudgecampaign.resources import Resource, Sort, View, shown_at
from postrider.surfaces.nudgecampaign.vocabulary import EVENTS
from postrider.surfaces.nudgecampaign.webhook_format import METADATA

READ = "contacts:read"
WORDS: Mapping[Any, str] = {kind: (EVENTS[kind] or "").replace(".", "_") for kind in METADATA}


def _campaign_id(row: Happening) -> str | None:
    campaign_id = row.event.campaign_id
    if campaign_id is None and row.message is not None:
        campaign_id = row.message.campaign_id
    return None if campaign_id is None else show(Noun.CAMPAIGN, campaign_id)


def _metadata(row: Happening) -> dict[str, Any] | None:
    """None where there is nothing to tell."""
    return METADATA[row.event.kind](row.event.data or {}, row.message) or None


ACTIVITY: Resource[Happening] = Resource(
    type="activity",
    noun=Noun.EVENT,
    row_id=lambda row: row.event.id,
    attributes={
        "type": lambda row: WORDS[row.event.kind],
        "campaign_id": _campaign_id,
        "timestamp": lambda row: shown_at(row.event.at),
        "metadata": _metadata,
    },
    sorts={"timestamp": Sort(int, lambda row: row.event.at)},
    order="timestamp",
    is_flat=True,
)


async def get_contact_activity(call: Call) -> Response:
    """In the order it was recorded, which is that of time but for a second or two."""
    contact_id = path_id(Noun.CONTACT, call.request.path_params["contact_id"])
    query, principal = read_query(call.request, ACTIVITY), call.caller.principal
    part = Part(
        kinds=WORDS,
        limit=query.size + 1,
        after=None if query.after is None else query.after.id,
        is_newest_first=query.order.is_descending,
    )

    def read(tx: Any) -> tuple[list[Happening], int]:
        found = activity.timeline(tx, principal, contact_id, part)
        return found, activity.count(tx, principal, contact_id, WORDS)

    page = query.page(*await call.services.db.read(read))
    return answer(
        {
            "data": [_shown(row, query) for row in page.rows],
            "meta": {"total": page.total, "page_size": query.size, "has_more": page.has_more},
            "links": query.links(call.request, page),
        }
    )


OPERATIONS = (
    Operation(
        "getContactActivity", "GET", ("/v2/contacts/{contact_id}/activity",), "What happened with a contact",
        READ, get_contact_activity,
    ),
)  # fmt: skip


def _shown(row: Happening, view: View) -> dict[str, Any]:
    """Without an id, and without metadata where there is none, as the documents have it."""
    shown = ACTIVITY.shown(row, view)
    return {name: value for name, value in shown.items() if name != "id" and (value or name != "metadata")}
