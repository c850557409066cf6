"""Who looks after an organization is written to when one of its webhooks is disabled."""

from functools import partial

from tests.unit.workers.test_guards import LETTERHEAD
from tests.unit.workers.test_notify import FORMATS, RETRIES, STRICT, World, world

from postrider.engine import messages, webhooks
from postrider.engine.messages import Status
from postrider.engine.notices.webhooks import tell_disabled
from postrider.engine.webhooks import EndpointState
from postrider.workers.notify import Notify

__all__ = ["world"]  # a fixture


def tell(world: World) -> list[str]:
    """Post what is due as long as there is a next try; the subjects of the mail that came of it."""
    rows = world.database.read_now(messages.search, world.principal.organization_id, limit=50)
    assert all(Status(row.status) is Status.QUEUED and row.recipient == "owner@example.test" for row in rows)
    return [row.subject for row in rows]


async def fail(world: World) -> None:
    for wait in (0, *RETRIES):
        world.now += wait
        worker = Notify(
            world.database,
            "w1",
            FORMATS,
            world.outgoing,
            world.sealer,
            disabled=partial(tell_disabled, LETTERHEAD),
        )
        world.workers.append(worker)
        await worker.once()
        await worker.drain()


async def test_a_disabled_webhook_is_told_of_each_time(world: World) -> None:
    endpoint = world.endpoint("/hook?token=secret", format_=STRICT)
    world.receiver.answer = lambda got: (500, {}, b"")
    world.happen()
    await fail(world)
    assert world.state(endpoint).state is EndpointState.DISABLED
    assert tell(world) == ["Your webhook to 127.0.0.1 was disabled"]
    await fail(world)
    assert len(tell(world)) == 1
    world.database.write_now(
        lambda tx: webhooks.update_endpoint(
            tx, world.principal, STRICT, endpoint.id, sealer=world.sealer, allow_private=True, is_active=True
        )
    )
    world.happen()
    await fail(world)
    assert len(tell(world)) == 2


async def test_the_mail_says_where_and_why_and_keeps_secrets(world: World) -> None:
    world.endpoint("/hook?token=secret", format_=STRICT)
    world.receiver.answer = lambda got: (500, {}, b"")
    world.happen()
    await fail(world)
    (row,) = world.database.read_now(messages.search, world.principal.organization_id, limit=5)
    key = (world.principal.organization_id, row.content_id)
    (body,) = world.database.read_now(messages.bodies, [key]).values()
    assert b"status 500" in body
    assert b"/hook" in body
    assert b"secret" not in body


async def test_a_webhook_that_only_fails_now_and_then_is_no_news(world: World) -> None:
    endpoint = world.endpoint(format_=STRICT)
    world.receiver.answer = lambda got: (500 if len(world.receiver.got) % 3 else 200, {}, b"")
    for _ in range(3):
        world.happen()
        await fail(world)
    assert world.state(endpoint).state is EndpointState.ACTIVE
    assert tell(world) == []
