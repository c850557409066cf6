"""Alerts to the operator: what is wrong with the installation now, and what was."""

from enum import StrEnum
from typing import Any

from starlette.responses import Response

from postrider.engine.accounts import operator
from postrider.engine.errors import Invalid
from postrider.engine.notices import alerts
from postrider.engine.notices.alerts import Alert
from postrider.kit import clock
from postrider.kit.ids import to_uuid
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.console import wire

PARAMETERS = frozenset({"state", "before", "limit"})


class State(StrEnum):
    OPEN = "open"
    CLEARED = "cleared"


async def list_alerts(call: Call) -> Response:
    """Those raised last first; `next` is the `before` of the following page, null at the end."""
    query = call.request.query_params
    wire.known_only(query, PARAMETERS)
    limit, state = wire.limit_of(query), query.get("state")
    if state is not None and state not in set(State):
        raise Invalid(field="state", message=f"state must be of {', '.join(State)}")
    found = await call.services.db.read(
        alerts.browse,
        call.caller.principal,
        is_open=None if state is None else state == State.OPEN,
        before=wire.row_id_of(query, "before"),
        limit=limit,
    )
    following = to_uuid(found[-1].id) if len(found) == limit else None
    return answer({"alerts": [_shown(alert) for alert in found], "next": following})


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "listAlerts", "GET", ("/v1/operator/alerts",), "what is wrong, and what was", operator.READ,
        list_alerts,
    ),
)  # fmt: skip


def _shown(alert: Alert) -> dict[str, Any]:
    return {
        "id": to_uuid(alert.id),
        "kind": alert.kind.value,
        "scope": alert.scope or None,
        "subject": alert.subject,
        "state": State.OPEN if alert.cleared_at is None else State.CLEARED,
        "facts": alert.facts,
        "raised_at": clock.to_iso(alert.raised_at),
        "seen_at": clock.to_iso(alert.seen_at),
        "cleared_at": wire.time(alert.cleared_at),
    }
