"""A campaign sent in bulk to whom a request names: each is told at once, and a repeat sends nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from tests.contract.past import followed
from tests.contract.test_penguinmails import SQLITE, client_of, refused
from tests.contract.test_penguinmails_campaigns import ANN, BOB, World
from tests.contract.test_penguinmails_emails import captured
from tests.factories import Running

from postrider.engine import suppression
from postrider.engine.suppression import Class, Entry, Reason, Scope
from postrider.kit.ids import new_id
from postrider.surfaces.penguinmails.ids import CAMPAIGN, to_id


@pytest.fixture
async def world(node: Running) -> AsyncIterator[World]:
    async with client_of(node, node.account.keys["penguinmails"]) as client:
        yield World(client, node)


async def test_a_bulk_tells_each_recipient_at_once(world: World) -> None:
    await suppress(world.node, "gone@example.com")
    await world.make()
    rows = [
        ANN, {"email": "gone@example.com"}, {"email": "bad"}, BOB, {"email": "ANN@example.com"}, 7, {},
    ]  # fmt: skip
    body = {"campaign_id": world.ids["campaign_id"], "recipients": rows}
    told = await world.done("sendBulkEmails", body)
    counted = ("total_recipients", "accepted", "rejected", "batches", "batch_size", "delay_between_batches")
    assert [told[name] for name in counted] == [7, 2, 5, 1, 100, 0]
    assert told["cost"] == {"total": "$0.154", "per_recipient": "$0.077", "currency": "USD"}
    assert [each["email"] for each in told["messages"]] == ["ann@example.com", "bob@example.com"]
    errors = {each["email"]: each["message"] for each in told["errors"]}
    assert set(errors) == {"gone@example.com", "bad", "ANN@example.com", None}
    assert errors["bad"] == "Invalid email format"
    await world.until("sent")
    for each, name in zip(told["messages"], ("Ann", "Bob"), strict=True):
        mail = (await world.client.get(f"/api/v1/emails/{each['message_id']}")).json()["data"]
        assert (mail["to"], mail["subject"], mail["status"]) == (each["email"], f"Hi {name}", "delivered")
    listed = await world.client.get("/api/v1/emails", params={"campaign_id": world.ids["campaign_id"]})
    assert listed.json()["meta"]["pagination"]["total"] == 2


async def test_a_repeated_bulk_sends_nothing_and_is_answered_alike(world: World) -> None:
    await suppress(world.node, "gone@example.com")
    await world.make()
    body = {"campaign_id": world.ids["campaign_id"], "recipients": [ANN, {"email": "gone@example.com"}, BOB]}
    key = {"Idempotency-Key": "once"}
    first, second = await asyncio.gather(*(world.done("sendBulkEmails", body, headers=key) for _ in range(2)))
    assert first == second
    await world.until("sent")
    assert await world.done("sendBulkEmails", body, headers=key) == first
    answer = await world.call("sendBulkEmails", {**body, "batch_size": 9}, headers=key)
    assert refused(answer) == (409, "RESOURCE_CONFLICT")
    listed = await world.client.get("/api/v1/emails", params={"campaign_id": world.ids["campaign_id"]})
    assert listed.json()["meta"]["pagination"]["total"] == 2


@SQLITE
async def test_a_bulk_of_whom_nobody_may_be_mailed_is_no_refusal(world: World) -> None:
    await suppress(world.node, "gone@example.com")
    await world.make()
    body = {"campaign_id": world.ids["campaign_id"], "recipients": [{"email": "gone@example.com"}]}
    told = await world.done("sendBulkEmails", body)
    assert (told["accepted"], told["rejected"], told["batches"], told["messages"]) == (0, 1, 0, [])
    body["campaign_id"] = to_id(CAMPAIGN, new_id())
    assert refused(await world.call("sendBulkEmails", body)) == (404, "RESOURCE_NOT_FOUND")
    body["campaign_id"] = "campaign_abc123"
    assert refused(await world.call("sendBulkEmails", body)) == (404, "RESOURCE_NOT_FOUND")


@SQLITE
async def test_two_bulks_at_once_are_sent_whole_before_the_campaign_is(world: World) -> None:
    await world.make(settings={"batch_size": 40, "delay_between_batches": 1})
    crowds: list[Callable[[int], str]] = [lambda n: f"a{n}@example.com", lambda n: f"b{n}@example.com"]
    told = await asyncio.gather(
        *(
            world.done(
                "sendBulkEmails",
                {
                    "campaign_id": world.ids["campaign_id"],
                    "recipients": [{"email": name(n)} for n in range(60)],
                },
            )
            for name in crowds
        )
    )
    assert [(each["batches"], each["batch_size"], each["delay_between_batches"]) for each in told] == [
        (2, 40, 1)
    ] * 2
    shown = await world.until("sent")
    await followed(world.node)
    shown = await world.get()
    assert (shown["metrics"]["delivered"], shown["metrics"]["estimated_recipients"]) == (120, 120)


async def test_a_scheduled_campaign_stays_so_when_a_bulk_goes_out(world: World) -> None:
    await world.make(recipients=[ANN], schedule={"send_at": "2041-01-01T00:00:00Z"})
    body = {"campaign_id": world.ids["campaign_id"], "recipients": [BOB]}
    told = await world.done("sendBulkEmails", body)
    (mail,) = await captured(world.node, 1)
    assert mail["To"] == "bob@example.com"
    assert (await world.get())["status"] == "scheduled"
    await world.done("sendCampaign")
    await world.until("sent")
    assert {mail["To"] for mail in await captured(world.node, 2)} == {"ann@example.com", "bob@example.com"}
    assert (await world.client.get(f"/api/v1/emails/{told['messages'][0]['message_id']}")).is_success


async def suppress(node: Running, address: str) -> None:
    organization_id, reason = node.account.organization_id, Reason.HARD_BOUNCE.value
    entry = Entry(organization_id, address, Scope.ORGANIZATION, "", Class.BLOCK, reason, "manual")
    await node.database.write(suppression.add, [entry])
