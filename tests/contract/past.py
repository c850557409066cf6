"""Mail and events of other days for a node that runs: recorded as if it had been there."""

import asyncio

from tests.factories import Running
from tests.unit.engine.insight.world import World

from postrider.engine import journal
from postrider.kit import clock

FOLLOWED_WITHIN_S = 10.0


def past_of(node: Running, organization_id: int | None = None) -> World:
    """What can be made to have happened in an organization, by default the node's own."""
    return World(node.database, organization_id or node.account.organization_id)


async def followed(node: Running) -> None:
    """Until nothing waits for followers."""
    node.node.follow_soon()
    async with asyncio.timeout(FOLLOWED_WITHIN_S):
        while await node.database.read(journal.tail_length, 1):  # noqa: ASYNC110  # rows are all there is
            await asyncio.sleep(0.02)


def days_ago(days: int) -> int:
    """Noon of a day before today, in UTC."""
    now = clock.now_ms()
    return now - now % clock.DAY - days * clock.DAY + 12 * clock.HOUR


def day_of(at: int) -> str:
    return clock.to_iso(at).partition("T")[0]
