"""A person asks for what is kept of it, or to be forgotten: all of it is told, and nothing of it stays."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select
from tests.contract.walk import load, missing_keys
from tests.factories import Running, running_node
from tests.flow.hooks import Receiver
from tests.flow.persons import find
from tests.flow.world import post, send, status, until

from postrider.db.database import Tx
from postrider.engine import journal, suppression
from postrider.engine.audience import contacts, lists
from postrider.engine.audience.model import Consent, ContactInput
from postrider.engine.audience.tables import exports, import_errors
from postrider.engine.audience.transfer import ExportPlan
from postrider.engine.journal import Event, EventKind
from postrider.engine.messages import Status
from postrider.engine.suppression import Class, Entry, Reason, Scope
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id, to_uuid

CONTRACT = load("console")
ANN = "Ann.Lee@Example.com"
Json = dict[str, Any]


@pytest.fixture
async def hooks(store_url: str, tmp_path: Path) -> AsyncIterator[tuple[Running, Receiver]]:
    """A node that may post to the receiver beside it."""
    async with (
        Receiver() as receiver,
        running_node(store_url, tmp_path / "data", webhook_allow_private=True) as running,
    ):
        yield running, receiver


async def know(node: Running) -> RowId:
    """Ann with all that can be said of a contact."""

    def write(tx: Tx) -> RowId:
        news = lists.create(tx, node.principal, "News")
        said = ContactInput(
            email=ANN,
            first_name="Annabel",
            properties={"shoe": "ann.lee@example.com"},
            tags=["vip"],
            lists=[news.id],
            consent=Consent(email_marketing=True, given_at=1, ip_address="192.0.2.7", user_agent="Agent 7"),
        )
        return contacts.create(tx, node.principal, said, source="api")

    return await node.database.write(write)


async def mailed(node: Running, contact_id: RowId) -> RowId:
    """A mail to Ann that was delivered, opened and answered with words."""
    message_id = await send(
        node, "ann.lee@example.com", subject="For Annabel", metadata={"who": "ann.lee@example.com"}
    )

    async def is_delivered() -> bool:
        return await status(node, message_id) is Status.DELIVERED

    await until(is_delivered, "delivered")
    opened = Event(
        node.account.organization_id, EventKind.OPENED, clock.now_ms(), message_id, contact_id,
        data={"ip": "192.0.2.7", "user_agent": "Agent 7", "human": True},
    )  # fmt: skip
    said = Event(
        node.account.organization_id, EventKind.UNSUBSCRIBED, clock.now_ms(), contact_id=contact_id,
        data={"source": "api", "reason": "Annabel has moved"},
    )  # fmt: skip
    await node.database.write(journal.record, [opened, said])
    return message_id


async def ask(node: Running, name: str, contact_id: RowId) -> httpx2.Response:
    operation = CONTRACT[name]
    headers = {"Authorization": f"Bearer {node.account.keys['console']}"}
    async with httpx2.AsyncClient(base_url=f"{node.base_url}/console", headers=headers) as http:
        return await http.request(operation.method, operation.paths[0].format(id=to_uuid(contact_id)))


async def test_a_contact_is_told_all_that_is_kept_of_it(node: Running) -> None:
    ann = await know(node)
    message_id = await mailed(node, ann)
    entry = Entry(
        node.account.organization_id, "ann.lee@example.com", Scope.ORGANIZATION, "",
        Class.OPTOUT, Reason.UNSUBSCRIBED.value, "api",
    )  # fmt: skip
    await node.database.write(suppression.add, [entry])
    answer = await ask(node, "exportContact", ann)
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    assert not missing_keys(body, CONTRACT["exportContact"].keys), answer.text
    assert body["contact"]["properties"] == {"shoe": "ann.lee@example.com"}
    assert body["contact"]["consent"]["user_agent"] == "Agent 7"
    assert (body["contact"]["tags"], body["contact"]["lists"]) == (["vip"], ["News"])
    (mail,) = body["messages"]
    assert (mail["id"], mail["subject"]) == (to_uuid(message_id), "For Annabel")
    assert {"accepted", "delivered", "opened"} <= {event["kind"] for event in mail["events"]}
    assert {"contact_created", "unsubscribed"} <= {event["kind"] for event in body["events"]}
    assert "attachment" in answer.headers["content-disposition"]


async def hooked(node: Running, receiver: Receiver) -> None:
    """A webhook for what befalls mail."""
    answer = await post(node, "customer/webhooks", {"url": receiver.url(), "events": ["delivered", "opened"]})
    assert answer.status_code == 201, answer.text


async def transferred(node: Running) -> None:
    """An import that complained of two rows, and two exports: Ann is in one of each."""
    rows = f"email,custom_fields.shoe\nnobody,{ANN}\nnobody,41\nben@example.com,42\n"
    headers = {"X-API-Key": node.account.keys["nudgecampaign"]}
    base_url = f"{node.base_url}/nudgecampaign/v2/contacts"
    async with httpx2.AsyncClient(base_url=base_url, headers=headers) as http:
        data = {"mapping": json.dumps({"email": 0, "custom_fields.shoe": 1})}
        taken = await http.post("/import", files={"file": ("contacts.csv", rows)}, data=data)
        assert taken.status_code == 201, taken.text
        await _ended(http, f"/import/{taken.json()['data']['import_id']}")
        for status_ in ("subscribed", "bounced"):
            asked = {"format": "csv", "fields": ["email"], "filters": {"status": status_}}
            made = await http.post("/export", json=asked)
            assert made.status_code in (200, 201, 202), made.text
            await _ended(http, f"/export/{made.json()['data']['export_id']}")


async def _ended(http: httpx2.AsyncClient, path: str) -> None:
    async def has() -> bool:
        said: Json = (await http.get(path)).json()["data"]
        return bool(said["status"] == "completed")

    await until(has, path)


async def test_nothing_of_an_erased_contact_stays_anywhere(hooks: tuple[Running, Receiver]) -> None:
    node, receiver = hooks
    ann = await know(node)
    await hooked(node, receiver)
    message_id = await mailed(node, ann)
    await receiver.until(2)
    await transferred(node)
    words = ("ann.lee@example.com", "Annabel", "192.0.2.7", "Agent 7")
    assert {
        "contacts.email", "messages.recipient", "events.data", "captured.recipient", "captured_bodies.body",
        "webhook_bodies.body", "import_errors.content",
    } <= node.database.read_now(find, *words)  # fmt: skip
    exported = node.node.settings.data_dir / "exports"
    assert len(list(exported.iterdir())) == 2

    async def is_followed() -> bool:
        return not await node.database.read(journal.tail_length, 1)

    await until(is_followed, "followed")
    answer = await ask(node, "eraseContact", ann)
    assert answer.status_code == 200, answer.text
    assert not missing_keys(answer.json(), CONTRACT["eraseContact"].keys)
    assert answer.json()["erased"]["messages"] == 1
    assert node.database.read_now(find, *words) == set()
    (file,) = exported.iterdir()
    assert b"@" not in file.read_bytes(), "the export that Ann is not in stays"
    rest = node.database.read_now(lambda tx: tx.execute(select(import_errors.c.content)).scalars().all())
    assert len(rest) == 1
    assert await status(node, message_id) is Status.DELIVERED
    assert (await ask(node, "eraseContact", ann)).status_code == 404


async def test_an_export_that_is_being_written_is_waited_for(node: Running) -> None:
    ann = await know(node)
    await node.database.write(_begin_export, node.account.organization_id)
    assert (await ask(node, "eraseContact", ann)).status_code == 409
    await node.database.write(lambda tx: tx.execute(exports.delete()))
    assert (await ask(node, "eraseContact", ann)).status_code == 200


def _begin_export(tx: Tx, organization_id: int) -> None:
    row = {"organization_id": organization_id, "id": new_id(), "status": "running", "created_at": 1}
    tx.execute(exports.insert().values(**row, plan=ExportPlan(columns=()).to_json(), path=None))


async def test_an_opt_out_outlives_its_contact_and_a_bounce_does_not(node: Running) -> None:
    ann = await know(node)
    entries = [
        Entry(node.account.organization_id, "ann.lee@example.com", Scope.ORGANIZATION, "", *each, "api")
        for each in ((Class.OPTOUT, Reason.UNSUBSCRIBED.value), (Class.BLOCK, Reason.HARD_BOUNCE.value))
    ]
    await node.database.write(suppression.add, entries)
    assert (await ask(node, "eraseContact", ann)).json()["erased"]["suppressions_kept"] == 1
    address = (node.account.organization_id, "ann.lee@example.com")
    (kept,) = (await node.database.read(suppression.check, [address]))[address]
    assert kept.class_ is Class.OPTOUT


@pytest.mark.parametrize("name", ["exportContact", "eraseContact"])
async def test_who_is_unknown_is_not_found(node: Running, name: str) -> None:
    assert (await ask(node, name, new_id())).status_code == 404
