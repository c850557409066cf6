"""Looks after campaigns: begins them in time, chooses winners, ends what is sent, stops what bounces.

A campaign that is due is this worker's for a while; a due-table read is all that a quiet round costs.
"""

from collections.abc import Callable

import structlog

from postrider.db.database import Database, Tx, Unavailable
from postrider.engine import notices
from postrider.engine.errors import Busy, EngineError
from postrider.engine.insight.campaigns import by_variant, counts_of
from postrider.engine.insight.model import Measure, Who
from postrider.engine.notices import Kind, Letterhead, Notice
from postrider.engine.principal import Principal
from postrider.engine.sending import campaigns
from postrider.engine.sending.campaigns import Campaign, CampaignStatus, Look, Yardstick
from postrider.engine.sending.campaigns.rules import bounces_too_much
from postrider.engine.sending.routes import Routes
from postrider.kit import clock
from postrider.kit.ids import to_uuid
from postrider.workers.loop import Loop

IDLE_S = 0.5
_log = structlog.get_logger("campaigns")


class Campaigns:
    """The campaigns worker of one process."""

    def __init__(
        self, db: Database, routes: Routes, letterhead: Letterhead, wake: Callable[[], None]
    ) -> None:
        self._db = db
        self._routes = routes
        self._letterhead = letterhead
        self._wake = wake
        self.loop = Loop("campaigns", self.once, idle_s=IDLE_S)

    async def once(self) -> bool:
        """Look after what is due; answers whether there may be more."""
        due = await self._db.write(campaigns.claim_due)
        for campaign in due:
            match campaign.status:
                case CampaignStatus.SCHEDULED:
                    await self._begin(campaign)
                case CampaignStatus.SENDING:
                    await self._look(campaign)
        return bool(due)

    async def _begin(self, campaign: Campaign) -> None:
        """Its author is not there to be answered: what is wrong stands with the campaign."""
        try:
            await campaigns.start_campaign(
                self._db,
                _author(campaign),
                campaign.id,
                self._routes,
                due_at=campaign.scheduled_at or 0,
            )
        except (Unavailable, Busy):
            raise
        except EngineError as error:
            _log.warning("campaign_failed", campaign=campaign.id.hex(), reason=error.sentence)
            await self._db.write(campaigns.fail_campaign, campaign, error.sentence)
        self._wake()

    async def _look(self, campaign: Campaign) -> None:
        if await self._stop_if_bouncing(campaign):
            return
        look = await self._db.write(campaigns.watch, campaign)
        if look is Look.CHOOSE:
            variant = await self._db.read(_best_variant, campaign)
            await self._db.write(campaigns.choose_winner, _author(campaign), campaign.id, variant)
            self._wake()

    async def _stop_if_bouncing(self, campaign: Campaign) -> bool:
        """A list that bounces harms its sender with every further mail: it is paused, and people told."""
        if campaign.resumed_at is not None:  # somebody has seen it, and wants it to go on
            return False
        counts = (await self._db.read(counts_of, campaign.organization_id, [campaign.id]))[campaign.id]
        reason = bounces_too_much(
            delivered=counts[Measure.DELIVERED], bounced=counts.bounced, hard=counts[Measure.BOUNCED_HARD]
        )
        if reason is None:
            return False
        _log.warning("campaign_paused", campaign=campaign.id.hex(), reason=reason)
        await self._db.write(self._pause, campaign, reason)
        return True

    def _pause(self, tx: Tx, campaign: Campaign, reason: str) -> None:
        campaigns.pause_campaign(tx, _author(campaign), campaign.id, reason=reason)
        now = clock.now_ms()
        notice = Notice(
            campaign.organization_id,
            Kind.CAMPAIGN_PAUSED,
            f"campaign-paused:{campaign.id.hex()}:{now}",
            {"name": campaign.name, "reason": reason, "campaign_id": to_uuid(campaign.id)},
        )
        notices.send(tx, self._letterhead, notice)


def _author(campaign: Campaign) -> Principal:
    """Whoever scheduled it was allowed to; what it does later is in the organization's name."""
    return Principal(campaign.organization_id, user_id=campaign.created_by)


def _best_variant(tx: Tx, campaign: Campaign) -> int:
    """The one that most people opened or clicked, of those it was delivered to; of equals the first."""
    test = campaign.definition.split_test
    assert test is not None
    found = by_variant(tx, campaign.organization_id, campaign.id, Who.HUMAN)

    def rate(variant: int) -> float:
        counts = found.get(variant)
        if counts is None or not counts[Measure.DELIVERED]:
            return 0.0
        good = counts.unique_opens if test.yardstick is Yardstick.OPENS else counts.unique_clicks
        return (good or 0) / counts[Measure.DELIVERED]

    return max(range(1, len(campaigns.arms(campaign.definition)) + 1), key=lambda arm: (rate(arm), -arm))
