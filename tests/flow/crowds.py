"""Lists of contacts, and campaigns to them, for tests that send to many."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import text
from tests.factories import DOMAIN, Running

from postrider.db.database import Database, Tx
from postrider.engine.audience import contacts, lists
from postrider.engine.audience.model import ContactInput, OnKnown
from postrider.engine.principal import Principal
from postrider.engine.sending import campaigns
from postrider.engine.sending.campaigns import Campaign, Definition, Target
from postrider.kit.ids import RowId

AT_ONCE = 500
WORDING = {
    "subject": "Hello {{first_name}}",
    "html": "<p>Hello {{email}}</p>",
    "from_email": f"news@{DOMAIN}",
}


def address(number: int, domain: str = "example.com") -> str:
    return f"r{number}@{domain}"


def fill_list(
    database: Database, principal: Principal, people: Sequence[ContactInput], name: str = "News"
) -> RowId:
    """A new list that has all of them on it."""
    made = database.write_now(lists.create, principal, name)
    for start in range(0, len(people), AT_ONCE):
        some = people[start : start + AT_ONCE]
        saved = database.write_now(contacts.save, principal, some, on_known=OnKnown.UPDATE, source="api")
        ids = [each.contact_id for each in saved if each.contact_id is not None]
        database.write_now(lists.add, principal, made.id, ids)
    return made.id


def people(count: int, **said: Any) -> list[ContactInput]:
    return [ContactInput(email=address(number), **said) for number in range(count)]


def draw_up(
    database: Database, principal: Principal, targets: Sequence[Target] = (), **said: Any
) -> Campaign:
    """A draft from the tests' domain."""
    wording = {
        "subject": "Hello {{first_name}}",
        "html": "<p>Hello {{email}}</p>",
        "from_email": f"news@{DOMAIN}",
    }
    definition = Definition(**{**wording, **said})
    return database.write_now(campaigns.create_campaign, principal, "Spring", definition, targets)


def look(database: Database, campaign: Campaign) -> Campaign:
    principal = Principal(campaign.organization_id)
    return database.read_now(campaigns.get_campaign, principal, campaign.id)


def statuses_of(database: Database, campaign_id: RowId) -> dict[int, int]:
    """How many of its messages have which status."""

    def read(tx: Tx) -> dict[int, int]:
        asked = text("SELECT status, count(*) FROM messages WHERE campaign_id = :id GROUP BY status")
        return {row[0]: row[1] for row in tx.execute(asked, {"id": campaign_id})}

    return database.read_now(read)


async def until(is_so: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            while not is_so():  # noqa: ASYNC110 # it happens in the store
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {timeout_s:.0f} s: {what}") from None


async def start(node: Running, campaign: Campaign) -> Campaign:
    return await node.node.sender.start_campaign(node.principal, campaign.id)
