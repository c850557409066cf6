"""A campaign, killed at random while it is made and sent, reaches everybody once and ends."""

import random
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.flow.crowds import address, draw_up, fill_list, people
from tests.processes import Postrider, wait_until

from postrider.db.database import Database, Tx
from postrider.engine.messages import Status
from postrider.engine.principal import Principal
from postrider.surfaces.nudgecampaign.ids import Noun, show

pytestmark = pytest.mark.long

PEOPLE = 12_000
KILLS = 8
UP_MAX_S = 1.0  # before the next kill
DONE_S = 240.0


@pytest.mark.timeout(900)
def test_a_campaign_killed_at_random_reaches_everybody_once(store_url: str, tmp_path: Path) -> None:
    moments = random.Random(f"{time.time_ns()}")
    server = Postrider(store_url, tmp_path, delivery="capture")
    database = Database(server.store_url)
    principal = Principal(server.account.organization_id)
    campaign = draw_up(database, principal, list_id=fill_list(database, principal, people(PEOPLE)))
    path = f"/nudgecampaign/v2/campaigns/{show(Noun.CAMPAIGN, campaign.id)}/send"
    with server:
        headers = {"X-API-Key": server.account.keys["nudgecampaign"]}
        assert server.request("POST", path, {}, headers=headers).status == 200
        was_cut_short = 0
        for _ in range(KILLS):
            time.sleep(moments.uniform(0.05, UP_MAX_S))
            server.kill()
            was_cut_short += database.read_now(status_of, campaign.id) == "sending"
            server.start()
        assert was_cut_short >= 2, "the kills came too late to prove anything"
        wait_until(lambda: database.read_now(status_of, campaign.id) == "sent", "all sent", timeout_s=DONE_S)
        found, figures = database.read_now(made, campaign.id)
        database.close()
    assert {key: count for key, count in found.items() if count > 1} == {}, "somebody has it twice"
    assert set(found) == {address(number) for number in range(PEOPLE)}, "somebody was skipped"
    assert figures == (PEOPLE, PEOPLE, 0)


def status_of(tx: Tx, campaign_id: bytes) -> str:
    return str(
        tx.execute(text("SELECT status FROM campaigns WHERE id = :id"), {"id": campaign_id}).scalar_one()
    )


def made(tx: Tx, campaign_id: bytes) -> tuple[Counter[str], tuple[int, ...]]:
    """Messages delivered by address, and what the campaign says of itself."""
    asked = text("SELECT address_key FROM messages WHERE campaign_id = :id AND status = :status")
    keys = tx.execute(asked, {"id": campaign_id, "status": int(Status.DELIVERED)}).scalars()
    told = text("SELECT total, accepted, skipped FROM campaigns WHERE id = :id")
    return Counter(keys), tuple(tx.execute(told, {"id": campaign_id}).one())
