"""A send to a segment, killed at random while it is expanded, mails everybody once."""

import random
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.factories import DOMAIN
from tests.processes import MAILERLOGIC, Postrider, wait_until

from postrider.db.database import Database, Tx
from postrider.engine.audience import contacts
from postrider.engine.audience.model import ContactInput, OnKnown
from postrider.engine.principal import Principal

pytestmark = pytest.mark.long

PEOPLE = 20_000
AT_ONCE = 1_000
KILLS = 8
UP_MAX_S = 0.6  # before the next kill
DONE_S = 120.0


@pytest.mark.timeout(600)
def test_a_segment_send_killed_at_random_reaches_everybody_once(store_url: str, tmp_path: Path) -> None:
    moments = random.Random(f"{time.time_ns()}")
    server = Postrider(store_url, tmp_path, delivery="capture")
    database = Database(server.store_url)
    fill(database, server.account.organization_id)
    with server:
        accepted = server.request("POST", f"{MAILERLOGIC}/send-segment", to_everybody())
        assert (accepted.status, accepted.json["total_recipients"]) == (202, PEOPLE)
        campaign_id = bytes.fromhex(accepted.json["job_id"].replace("-", ""))
        was_cut_short = 0
        for _ in range(KILLS):
            time.sleep(moments.uniform(0.02, UP_MAX_S))
            server.kill()
            was_cut_short += not database.read_now(is_done, campaign_id)
            server.start()
        assert was_cut_short >= 2, "the kills came too late to prove anything"
        wait_until(lambda: database.read_now(is_done, campaign_id), "all expanded", timeout_s=DONE_S)
        found = database.read_now(addresses, campaign_id)
    database.close()
    assert len(found) == PEOPLE, "somebody was skipped, or mailed twice"
    assert set(found) == {f"r{number}@example.com" for number in range(PEOPLE)}


def fill(database: Database, organization_id: int) -> None:
    principal = Principal(organization_id)
    for start in range(0, PEOPLE, AT_ONCE):
        given = [ContactInput(email=f"r{number}@example.com") for number in range(start, start + AT_ONCE)]
        database.write_now(contacts.save, principal, given, on_known=OnKnown.REFUSE, source="api")


def to_everybody() -> dict[str, object]:
    subscribed = {"property": "status", "operator": "equals", "value": "subscribed"}
    return {
        "from": f"news@{DOMAIN}",
        "subject": "Hello {{name}}",
        "text": "Hello {{email}}",
        "segment_filters": {"filter_conditions": [subscribed]},
    }


def is_done(tx: Tx, campaign_id: bytes) -> bool:
    return tx.execute(text("SELECT status FROM jobs WHERE id = :id"), {"id": campaign_id}).scalar() == "done"


def addresses(tx: Tx, campaign_id: bytes) -> list[str]:
    asked = text("SELECT address_key FROM messages WHERE campaign_id = :id")
    return list(tx.execute(asked, {"id": campaign_id}).scalars())
