"""One Idempotency-Key is one message, however often and however simultaneously the request comes."""

import asyncio

import httpx2
from tests.factories import DOMAIN, Running
from tests.processes import count_rows

from postrider.engine import sending
from postrider.engine.errors import IdempotencyConflict
from postrider.engine.sending import Receipt, SendCommand, Submission
from postrider.kit.address import Mailbox

MAIL = {"from": f"shop@{DOMAIN}", "to": "ann@example.com", "subject": "Hello", "text": "Hello"}
BULK = {"subject": "Hi", "text": "Hi", "recipients": [{"email": f"r{n}@example.com"} for n in range(20)]}
PARALLEL = 100
TABLES = ("messages", "contents", "jobs")


async def all_at_once(node: Running, operation: str, body: object, key: str) -> list[httpx2.Response]:
    headers = {"X-API-Key": node.account.keys["mailerlogic"], "Idempotency-Key": key}
    url = f"{node.base_url}/mailerlogic/api/v1/{operation}"
    limits = httpx2.Limits(max_connections=PARALLEL)
    async with httpx2.AsyncClient(headers=headers, limits=limits, timeout=30) as client:
        return await asyncio.gather(*(client.post(url, json=body) for _ in range(PARALLEL)))


async def counts(node: Running) -> dict[str, int]:
    return await node.database.read(count_rows, TABLES)


async def test_a_hundred_simultaneous_sends_under_one_key_are_one_message(node: Running) -> None:
    answers = await all_at_once(node, "send", MAIL, "order-17")
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert await counts(node) == {"messages": 1, "contents": 1, "jobs": 0}


async def test_another_body_under_the_same_key_is_a_conflict_and_sends_nothing(node: Running) -> None:
    await all_at_once(node, "send", MAIL, "order-17")
    answers = await all_at_once(node, "send", {**MAIL, "subject": "Other"}, "order-17")
    said = {(answer.status_code, answer.json()["error"]) for answer in answers}
    assert said == {(409, "idempotency_conflict")}
    assert (await counts(node))["messages"] == 1


async def test_two_bodies_racing_for_one_key_make_one_message(node: Running) -> None:
    mine, others = await asyncio.gather(
        all_at_once(node, "send", MAIL, "order-17"),
        all_at_once(node, "send", {**MAIL, "subject": "Other"}, "order-17"),
    )
    said = [{answer.status_code for answer in answers} for answers in (mine, others)]
    assert sorted(said, key=min) == [{200}, {409}]
    assert (await counts(node))["messages"] == 1


async def test_a_batch_that_another_body_leads_still_repeats_the_answer_that_is_kept(node: Running) -> None:
    """What comes at the same moment is submitted together, in any order."""

    def submission(subject: str) -> Submission:
        prepared, recipients = sending.prepare(
            SendCommand(to=[Mailbox(MAIL["to"])], subject=subject, text="Hi")
        )
        fingerprint = subject.encode()
        return Submission(
            node.principal, prepared, recipients, idempotency_key="order-17", fingerprint=fingerprint
        )

    routes = node.node.installation.routes
    (first,) = await node.database.write(sending.submit, [submission("mine")], routes)
    together = [submission("other"), submission("mine"), submission("mine"), submission("other")]
    answers = await node.database.write(sending.submit, together, routes)
    assert isinstance(first, Receipt)
    assert [answer.group_id if isinstance(answer, Receipt) else type(answer) for answer in answers] == [
        *(IdempotencyConflict, first.group_id, first.group_id, IdempotencyConflict)
    ]


async def test_a_key_of_one_operation_is_free_in_another(node: Running) -> None:
    await all_at_once(node, "send", MAIL, "order-17")
    answers = await all_at_once(node, "bulk-send", BULK, "order-17")
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["campaign_id"] for answer in answers}) == 1
    assert (await counts(node))["jobs"] == 1


async def test_a_refused_request_leaves_its_key_free(node: Running) -> None:
    refused = await all_at_once(node, "send", {**MAIL, "from": "shop@elsewhere.test"}, "order-17")
    assert {answer.status_code for answer in refused} == {403}
    assert {answer.status_code for answer in await all_at_once(node, "send", MAIL, "order-17")} == {200}
    assert (await counts(node))["messages"] == 1
