"""How many checks a plan has in a calendar month (UTC), and how many are left."""

from datetime import UTC, datetime
from enum import StrEnum

from postrider.db.database import Tx
from postrider.engine import accounts
from postrider.engine.accounts import PLANS, Plan
from postrider.engine.deliverability import store
from postrider.engine.errors import NotFound, QuotaExceeded
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.record import record

CHECK = "messages:send"  # who may send may have looked over what would be sent, and to whom
READ = "messages:read"


class Kind(StrEnum):
    CONTENT = "content"  # one content scored
    ADDRESS = "address"  # one address validated, however often it was before

    def allowed(self, plan: Plan) -> int:
        return plan.monthly_content_scores if self is Kind.CONTENT else plan.monthly_validations


_NOUNS = {Kind.CONTENT: "content checks", Kind.ADDRESS: "address validations"}


@record
class Quota:
    limit: int
    used: int
    reset_at: int  # ms: the first of the next month

    @property
    def remaining(self) -> int:
        """None is left where the plan was changed to a smaller one."""
        return max(0, self.limit - self.used)


def spend(tx: Tx, principal: Principal, kind: Kind, amount: int = 1) -> Quota:
    """Count `amount` checks, all or none; raises QuotaExceeded, Forbidden."""
    principal.require(CHECK)
    allowed, now = _allowed(tx, principal, kind), clock.now_ms()
    month = accounts.month_of(now)
    used = store.use(tx, principal.organization_id, month, kind, amount=amount, allowed=allowed)
    if used is None:
        raise QuotaExceeded(limit=allowed, noun=_NOUNS[kind])
    return Quota(allowed, used, _reset_at(now))


def quota_of(tx: Tx, principal: Principal, kind: Kind) -> Quota:
    """Raises Forbidden."""
    principal.require(READ)
    now = clock.now_ms()
    used = store.used(tx, principal.organization_id, accounts.month_of(now), kind)
    return Quota(_allowed(tx, principal, kind), used, _reset_at(now))


def _allowed(tx: Tx, principal: Principal, kind: Kind) -> int:
    organization = accounts.organization(tx, principal.organization_id)
    if organization is None:
        raise NotFound(noun="organization")
    return kind.allowed(PLANS[organization.plan])


def _reset_at(now: int) -> int:
    at = clock.to_datetime(now)
    following = datetime(at.year + at.month // 12, at.month % 12 + 1, 1, tzinfo=UTC)
    return int(following.timestamp()) * clock.SECOND
