"""One contact, whatever door it came by: what one dialect writes the others read, and may change."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, NamedTuple

import httpx2
import pytest
from tests.factories import Running

from postrider.kit.ids import RowId, from_uuid, to_uuid
from postrider.surfaces.nudgecampaign import ids as nudge
from postrider.surfaces.penguinmails import ids as penguin

SAID: dict[str, Any] = {"first_name": "Jane", "last_name": "Doe", "tags": ["lead", "vip"]}
CUSTOM = {
    "plan": "pro",
    "seats": 3,
    "trial": False,
    "deep": {"frequency": "weekly", "topics": ["tech", "news"]},
}
CHANGED = {**CUSTOM, "plan": "free"}


class Dialect(NamedTuple):
    """How one dialect says what all of them know."""

    path: str
    wrap: str  # what an answer has the contact in
    custom: str
    id_of: Callable[[str], RowId | None]
    to_id: Callable[[RowId], str]
    has_status: bool = True


DIALECTS = {
    "mailerlogic": Dialect("/api/v1/contacts", "contact", "custom_properties", from_uuid, to_uuid),
    "nudgecampaign": Dialect(
        "/v2/contacts", "data", "custom_fields", partial(nudge.path_id, nudge.Noun.CONTACT),
        partial(nudge.show, nudge.Noun.CONTACT),
    ),
    "penguinmails": Dialect(
        "/api/v1/contacts", "data", "custom_fields", partial(penguin.from_id, penguin.CONTACT),
        partial(penguin.to_id, penguin.CONTACT), has_status=False,
    ),
}  # fmt: skip


class Doors:
    """One account behind each dialect."""

    def __init__(self, clients: dict[str, httpx2.AsyncClient]) -> None:
        self.clients = clients

    async def call(self, name: str, method: str, path: str = "", body: Any = None) -> dict[str, Any]:
        dialect = DIALECTS[name]
        answer = await self.clients[name].request(method, dialect.path + path, json=body)
        assert answer.status_code in (200, 201), (name, path, answer.text)
        told: dict[str, Any] = answer.json()[dialect.wrap]
        return told

    async def write(self, name: str, body: dict[str, Any], *, of: RowId | None = None) -> RowId:
        custom = {DIALECTS[name].custom: body.pop("custom")} if "custom" in body else {}
        path = "" if of is None else f"/{self.id_in(name, of)}"
        told = await self.call(name, "POST" if of is None else "PUT", path, {**body, **custom})
        contact_id = DIALECTS[name].id_of(told["id"])
        assert contact_id is not None, told
        return contact_id

    async def read(self, name: str, contact_id: RowId) -> dict[str, Any]:
        told = await self.call(name, "GET", f"/{self.id_in(name, contact_id)}")
        shown = told.get("attributes", told)
        return {
            "email": shown["email"],
            "first_name": shown["first_name"],
            "last_name": shown["last_name"],
            "tags": shown["tags"],
            "custom": shown[DIALECTS[name].custom],
            **({"status": shown["status"]} if DIALECTS[name].has_status else {}),
        }

    async def agree(self, contact_id: RowId, **expected: Any) -> None:
        """Every dialect tells these of the contact."""
        for name in DIALECTS:
            told = await self.read(name, contact_id)
            assert told == {key: value for key, value in expected.items() if key in told}, name

    @staticmethod
    def id_in(name: str, contact_id: RowId) -> str:
        return str(DIALECTS[name].to_id(contact_id))


@pytest.fixture
async def doors(node: Running) -> AsyncIterator[Doors]:
    async with AsyncExitStack() as stack:
        clients = {}
        for name in DIALECTS:
            key = node.account.keys[name]
            headers = {"Authorization": f"Bearer {key}"} if name == "penguinmails" else {"X-API-Key": key}
            client = httpx2.AsyncClient(base_url=f"{node.base_url}/{name}", headers=headers)
            clients[name] = await stack.enter_async_context(client)
        yield Doors(clients)


@pytest.mark.parametrize("maker", DIALECTS)
async def test_a_contact_made_in_one_dialect_is_the_same_in_all(doors: Doors, maker: str) -> None:
    contact_id = await doors.write(maker, {"email": "jane@example.com", **SAID, "custom": CUSTOM})
    told = {"email": "jane@example.com", **SAID, "custom": CUSTOM, "status": "subscribed"}
    await doors.agree(contact_id, **told)
    for name in DIALECTS:
        await doors.write(name, {"custom": {"plan": "free", name: True}, "last_name": name}, of=contact_id)
        told |= {"last_name": name, "custom": {**CHANGED, **told["custom"], "plan": "free", name: True}}
        await doors.agree(contact_id, **told)
    for name in DIALECTS:
        await doors.write(name, {"custom": {name: None}}, of=contact_id)
    await doors.agree(contact_id, **{**told, "custom": CHANGED})


async def test_who_unsubscribes_through_one_is_unsubscribed_in_all(doors: Doors) -> None:
    contact_id = await doors.write("penguinmails", {"email": "jane@example.com"})
    one = f"/{doors.id_in('nudgecampaign', contact_id)}"
    for act, status in (("unsubscribe", "unsubscribed"), ("subscribe", "subscribed")):
        await doors.call("nudgecampaign", "POST", f"{one}/{act}", {})
        for name in ("nudgecampaign", "mailerlogic"):
            assert (await doors.read(name, contact_id))["status"] == status, (name, act)


async def test_an_address_is_one_contact_through_every_door(doors: Doors) -> None:
    await doors.write("nudgecampaign", {"email": "Jane@Example.com"})
    for name, dialect in DIALECTS.items():
        answer = await doors.clients[name].post(dialect.path, json={"email": "JANE@example.COM"})
        assert answer.status_code == 409, (name, answer.text)
