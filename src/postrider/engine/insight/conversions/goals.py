"""Goals: what people are to do. They are made and listed; nothing changes or removes one."""

from postrider.db.database import Tx
from postrider.engine import accounts
from postrider.engine.audience.text import is_plain
from postrider.engine.errors import Conflict, Invalid, NotFound, PlanLimitReached
from postrider.engine.insight.conversions import store
from postrider.engine.insight.conversions.model import Goal
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id

READ, WRITE = "campaigns:read", "campaigns:write"
NAME_MAX_CHARS = 255
GOALS_MAX = 1_000  # of an organization
PAGE_MAX = 100


def create_goal(
    tx: Tx,
    principal: Principal,
    name: str,
    *,
    value_mils: int | None = None,
    currency: str | None = None,
    campaign_id: RowId | None = None,
) -> Goal:
    """Without a currency it has the organization's.

    Raises Conflict where a goal has this name, NotFound for a campaign nobody knows, Invalid.
    """
    principal.require(WRITE)
    organization_id, name = principal.organization_id, name.strip()
    if not 0 < len(name) <= NAME_MAX_CHARS or not is_plain(name):
        raise Invalid(field="name", message=f"A name is one line of 1 to {NAME_MAX_CHARS} characters")
    if store.goal_by_name(tx, organization_id, name) is not None:
        raise Conflict(noun="goal")
    if campaign_id is not None and campaign_id not in store.campaigns(tx, organization_id, [campaign_id]):
        raise NotFound(noun="campaign")
    if store.count_goals(tx, organization_id) >= GOALS_MAX:
        raise PlanLimitReached(noun="goals", limit=GOALS_MAX)
    organization = accounts.organization(tx, organization_id)
    assert organization is not None
    goal = Goal(
        organization_id, new_id(), name, value_mils, currency or organization.settings.currency,
        campaign_id, 0, clock.now_ms(),
    )  # fmt: skip
    store.put_goal(tx, goal)
    return goal


def list_goals(tx: Tx, principal: Principal, *, limit: int, offset: int = 0) -> tuple[list[Goal], int]:
    """The newest first, PAGE_MAX at most, and how many there are."""
    principal.require(READ)
    organization_id = principal.organization_id
    found = store.goals_page(tx, organization_id, limit=min(limit, PAGE_MAX), offset=offset)
    return found, store.count_goals(tx, organization_id)
