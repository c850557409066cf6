"""What webhooks know of the contact an event is about: by its id, or by the address of the mail."""

from dataclasses import replace
from typing import Any

from tests.unit.engine.audience.people import make
from tests.unit.engine.webhooks.test_batch import load, prepare, sealer

from postrider.app import FORMATS
from postrider.db.database import Database
from postrider.engine import webhooks
from postrider.engine.audience import contacts
from postrider.engine.journal import Event, EventKind
from postrider.engine.webhooks import Endpoint, deliver
from postrider.engine.webhooks.model import Occasion
from postrider.kit import clock, json
from postrider.kit.seal import Sealer

__all__ = ["sealer"]
FORMAT = FORMATS["penguinmails"]


def occasions(database: Database, seen: list[str]) -> dict[int, Occasion]:
    """The one that waits, of each organization."""
    found: dict[int, Occasion] = {}
    for leased in load(database, seen):
        for _, occasion in leased.due:
            assert occasion is not None
            found[occasion.event.organization_id] = occasion
    return found


async def test_each_recipient_is_the_contact_of_its_own_organization(
    database: Database, sealer: Sealer
) -> None:
    worlds = [prepare(database, sealer, name) for name in ("one.test", "two.test", "three.test")]
    names: dict[int, str] = {}
    for world, first_name in zip(worlds[:2], ("Ann", "Anna"), strict=True):
        for address in ("ann@one.test", "ann@two.test"):
            make(database, address, by=world.principal, first_name=first_name, tags=["vip", first_name])
        names[world.organization_id] = first_name
    seen: list[str] = []
    found = occasions(database, seen)
    assert len(found) == 3
    for organization_id, occasion in found.items():
        told = recipient(occasion)
        name = names.get(organization_id)
        assert told["first_name"] == name
        assert told["tags"] == ([name, "vip"] if name else [])
    looked = [statement for statement in seen if "contacts c" in statement]
    assert len(looked) <= 2


def recipient(occasion: Occasion) -> dict[str, Any]:
    rendered = FORMAT.render(replace(occasion, word="email.delivered"))
    assert rendered is not None
    told: dict[str, Any] = json.loads(rendered.body)["data"]["recipient"]
    return told


async def test_an_event_of_a_contact_that_is_gone_tells_nothing(database: Database, sealer: Sealer) -> None:
    world, format_ = prepare(database, sealer, "one.test"), FORMATS["nudgecampaign"]
    load(database, [])
    told: dict[str, Any] = {"url": "https://one.test/x", "events": ["contact.updated"], "secret": "s3cret"}
    endpoint: Endpoint = database.write_now(
        lambda tx: webhooks.create_endpoint(
            tx, world.principal, format_, sealer=sealer, allow_private=False, **told
        )
    )
    staying, going = (make(database, address, by=world.principal) for address in ("ann@x.test", "bob@x.test"))
    events = [
        Event(world.organization_id, EventKind.CONTACT_UPDATED, clock.now_ms(), contact_id=contact_id,
              data={"changed": ["company", "properties.plan", "properties.age"]})
        for contact_id in (staying, going)
    ]  # fmt: skip
    world.record(*events)
    database.write_now(webhooks.follower(FORMATS).apply, 0, events)
    database.write_now(contacts.delete, world.principal, going)
    (leased,) = [each for each in load(database, []) if each.endpoint.id == endpoint.id]
    (post,), unsayable = deliver.prepare(leased, format_)
    body = json.loads(post.rendered.body)
    assert (post.waiting.event_id, body["data"]["email"]) == (events[0].id, "ann@x.test")
    assert body["data"]["metadata"] == {"changed": ["company", "custom_fields.plan", "custom_fields.age"]}
    assert [each.event_id for each in unsayable] == [events[1].id]
