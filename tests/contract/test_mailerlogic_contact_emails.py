"""The mail of one contact against its contract: keys, pages, bounces, and what is told of whom."""

from typing import Any

import pytest
from tests.contract.test_mailerlogic_segments import Desk, client_of, desk
from tests.contract.walk import load, missing_keys
from tests.factories import make_account
from tests.unit.engine.insight.world import World

from postrider.engine.journal import EventKind
from postrider.kit import clock
from postrider.kit.ids import new_id, to_uuid
from postrider.surfaces.mailerlogic.contact_emails import OPERATIONS

__all__ = ["desk"]
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
(OPERATION,) = OPERATIONS
CONTRACTED = load("mailerlogic")["contactEmails"]
ADDRESS = "ann@example.com"


async def read(desk: Desk, contact_id: str, **query: Any) -> dict[str, Any]:
    answer = await desk.http.get(OPERATION.paths[0].format(id=contact_id), params=query)
    assert answer.status_code == CONTRACTED.status, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def fill(desk: Desk) -> tuple[str, int]:
    """A contact with three mails: one opened and complained about, one bounced, one just waiting."""
    contact_id = await desk.contact(ADDRESS)
    world, now = World(desk.node.database, desk.node.account.organization_id), clock.now_ms() - clock.HOUR
    first, second = world.mail(now, subject="Welcome"), world.mail(now + 1, subject="News")
    world.mail(now + 2, subject="Later")
    world.record(
        world.event(EventKind.SENT, now + 10, first),
        world.event(EventKind.DELIVERED, now + 11, first),
        world.event(EventKind.OPENED, now + 12, first, human=True),
        world.event(EventKind.COMPLAINED, now + 13, first),
        world.event(EventKind.BOUNCED, now + 14, second, **{"class": "hard", "reply": "550 who?"}),
    )
    return contact_id, now


async def test_mail_is_told_as_the_contract_has_it_newest_first(desk: Desk) -> None:
    contact_id, now = await fill(desk)
    told = await read(desk, contact_id)
    assert not missing_keys(told, CONTRACTED.keys)
    assert told["pagination"] == {"page": 1, "limit": 50, "total": 3, "pages": 1}
    later, news, welcome = told["emails"]
    assert (later["status"], later["sent_at"], later["events"]) == ("queued", None, [])
    assert (news["status"], news["bounce_type"], news["bounce_reason"]) == ("bounced", "hard", "550 who?")
    email_id = welcome.pop("email_id")
    listed = await desk.http.get(f"/api/v1/emails/{email_id}/events")
    assert listed.status_code == 200
    assert welcome == {
        "subject": "Welcome", "status": "delivered", "sent_at": clock.to_iso(now + 10),
        "delivered_at": clock.to_iso(now + 11), "open_count": 1, "click_count": 0, "bounce_type": None,
        "bounce_reason": None, "complained_at": clock.to_iso(now + 13),
        "events": [
            {"event_type": word, "timestamp": clock.to_iso(now + 10 + number)}
            for number, word in enumerate(("sent", "delivered", "opened", "complained"))
        ],
    }  # fmt: skip
    second = await read(desk, contact_id, page=2, limit=2)
    assert [each["subject"] for each in second["emails"]] == ["Welcome"]
    assert second["pagination"] == {"page": 2, "limit": 2, "total": 3, "pages": 2}


@SQLITE
async def test_what_is_wrong_is_refused_as_documented(desk: Desk) -> None:
    contact_id, _ = await fill(desk)
    for nowhere in (to_uuid(new_id()), "ann@example.com", "7"):
        answer = await desk.http.get(OPERATION.paths[0].format(id=nowhere))
        assert answer.status_code == 404, nowhere
    for bad in ({"page": 0}, {"limit": 1_001}, {"limit": "many"}):
        assert (await desk.http.get(OPERATION.paths[0].format(id=contact_id), params=bad)).status_code == 400
    answer = await desk.http.get(OPERATION.paths[0].format(id=contact_id), headers={"X-API-Key": "nobody"})
    assert answer.status_code == 401
    assert {401, 404} == CONTRACTED.errors


@SQLITE
async def test_another_account_finds_neither_the_contact_nor_its_mail(desk: Desk) -> None:
    contact_id, _ = await fill(desk)
    other = make_account(desk.node.database, desk.node.sealer, email="other@other.test")
    async with client_of(desk.node, other.keys["mailerlogic"]) as http:
        assert (await http.get(OPERATION.paths[0].format(id=contact_id))).status_code == 404
        theirs = await http.get("/api/v1/contacts")
        assert theirs.json()["contacts"] == []
