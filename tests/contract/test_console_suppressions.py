"""The organization's own entries and the operator's: entered, found, taken back, and what they do to mail."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.contract.console_client import Client, Json
from tests.factories import Running, make_account, make_domain

from postrider.engine import accounts, sending, suppression
from postrider.engine.errors import EngineError
from postrider.engine.principal import Principal
from postrider.engine.sending import SendCommand, Submission
from postrider.engine.suppression import Class, Entry, Reason, Scope
from postrider.kit import clock
from postrider.kit.address import Mailbox
from postrider.kit.ids import new_id, to_uuid
from postrider.surfaces.console.keys import KEYS
from postrider.surfaces.console.suppressions import OPERATIONS

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
ANN = "ann@example.com"
MALFORMED = (
    ("class", "maybe"),
    ("reason", "boredom"),
    ("source", "fax"),
    ("address", "a\0"),
    ("address", "*a*b*c*d*"),
    ("address", "x" * 255),
    ("since", "yesterday"),
    ("until", "0"),
    ("before", "x"),
    ("limit", "201"),
    ("state", "x"),
)


class Desk(Client):
    """Who enters suppressions and takes them back."""

    async def add(self, address: str, class_: str, **fields: Any) -> Json:
        body = await self.walk("addSuppression", body={"address": address, "class": class_, **fields})
        entry: Json = body["suppression"]
        return entry

    async def found(self, **query: Any) -> list[str]:
        body = await self.call("listSuppressions", **query)
        return [each["address"].partition("@")[0] for each in body["suppressions"]]

    async def refusal(self, to: str = ANN, principal: Principal | None = None) -> str | None:
        """The code of the error that a mail meets with."""
        prepared, recipients = sending.prepare(SendCommand(to=[Mailbox(to)], subject="Hi", text="Hello"))
        try:
            await self.node.node.sender.send(
                Submission(principal or self.node.principal, prepared, recipients)
            )
        except EngineError as error:
            return error.code
        return None

    async def scoped(self, *scopes: str) -> str:
        """A key of the account that has these scopes only."""
        secret = KEYS[0].make()
        await self.node.database.write(
            lambda tx: accounts.create_key(
                tx, self.node.principal, label="console", name="Scoped", secret=secret,
                sealer=self.node.sealer, scopes=scopes,
            )
        )  # fmt: skip
        return secret


@pytest.fixture
async def desk(node: Running) -> AsyncIterator[Desk]:
    async with httpx2.AsyncClient(base_url=node.base_url) as http:
        yield Desk(node, http)


@SQLITE
async def test_every_answer_has_the_keys_of_its_contract(desk: Desk) -> None:
    message_id = new_id()
    entry = Entry(
        desk.node.account.organization_id, "bounced@example.com", Scope.ORGANIZATION, "", Class.BLOCK,
        Reason.HARD_BOUNCE.value, "system", message_id, "550 5.1.1 User unknown",
    )  # fmt: skip
    await desk.node.database.write(suppression.add, [entry])
    made = await desk.add(ANN, "optout", domain_id=to_uuid(desk.node.domain.id), note="By telephone")
    assert (made["scope"], made["domain_id"]) == ("domain", to_uuid(desk.node.domain.id))
    assert (made["reason"], made["source"], made["note"]) == ("unsubscribed", "manual", "By telephone")
    listed = (await desk.walk("listSuppressions"))["suppressions"]
    assert (listed[0], listed[1]["message_id"]) == (made, to_uuid(message_id))
    assert (await desk.walk("getSuppression", id=made["id"]))["suppression"] == made
    await desk.walk("removeSuppression", id=made["id"])
    for address in (ANN, "ben@example.com"):
        await desk.walk("addOperatorSuppression", body={"address": address, "reason": "A trap"})
    assert len((await desk.walk("listOperatorSuppressions"))["suppressions"]) == 2
    await desk.walk("removeOperatorSuppression", address=ANN)


async def test_a_block_stops_mail_until_an_allow_entry_or_its_end(desk: Desk) -> None:
    assert await desk.refusal() is None
    block = await desk.add("Ann@Example.com", "block")
    assert await desk.refusal() == "recipient_suppressed"
    allow = await desk.add(ANN, "allow", note="Their mailbox was full")
    assert await desk.refusal() is None
    assert (await desk.call("getSuppression", id=block["id"]))["suppression"]["is_allowed"]
    await desk.call("removeSuppression", id=allow["id"])
    assert await desk.refusal() == "recipient_suppressed"
    await desk.call("removeSuppression", id=block["id"])
    assert await desk.refusal() is None
    await desk.call("removeSuppression", 404, id=block["id"])


@SQLITE
async def test_an_allow_entry_frees_nobody_who_opted_out(desk: Desk) -> None:
    await desk.add(ANN, "optout")
    await desk.add(ANN, "allow")
    assert await desk.refusal() == "recipient_unsubscribed"


@SQLITE
async def test_an_entry_of_a_stream_stops_that_stream(desk: Desk) -> None:
    made = await desk.add(ANN, "block", stream="broadcast")
    assert (made["scope"], made["stream"], made["domain_id"]) == ("stream", "broadcast", None)
    assert await desk.refusal() is None
    await desk.add(ANN, "block", stream="shared")
    assert await desk.refusal() == "recipient_suppressed"


async def test_the_operators_entry_stops_every_organization_whatever_it_allows(desk: Desk) -> None:
    other = make_account(desk.node.database, desk.node.sealer, email="other@example.test")
    make_domain(desk.node.database, desk.node.sealer, other.organization_id, "mail.other.test")
    await desk.add(ANN, "allow")
    await desk.call("addOperatorSuppression", body={"address": "ANN@example.com", "reason": "A court order"})
    again = await desk.call("addOperatorSuppression", 409, body={"address": ANN, "reason": "Again"})
    assert again["error"]["code"] == "conflict"
    for principal in (desk.node.principal, Principal(other.organization_id)):
        assert await desk.refusal(principal=principal) == "recipient_suppressed"
    assert await desk.found(key=other.keys["console"]) == []
    await desk.call("removeOperatorSuppression", address="Ann@example.com")
    assert await desk.refusal() is None
    await desk.call("removeOperatorSuppression", 404, address=ANN)


async def test_the_operators_list_is_for_the_first_organizations_keys_alone(desk: Desk) -> None:
    other = make_account(desk.node.database, desk.node.sealer, email="other@example.test").keys["console"]
    plain = await desk.scoped("suppression:*")
    reader = await desk.scoped("operator:read")
    await desk.call("addOperatorSuppression", body={"address": ANN, "reason": "A trap"})
    for key in (other, plain):
        assert (await desk.call("listOperatorSuppressions", 403, key=key))["error"]["code"] == "forbidden"
        body = {"address": "ben@example.com", "reason": "A trap"}
        await desk.call("addOperatorSuppression", 403, key=key, body=body)
        await desk.call("removeOperatorSuppression", 403, key=key, address=ANN)
    await desk.call("removeOperatorSuppression", 403, key=reader, address=ANN)
    listed = (await desk.call("listOperatorSuppressions", key=reader))["suppressions"]
    assert [each["address"] for each in listed] == [ANN]


@SQLITE
async def test_the_operators_list_is_paged(desk: Desk) -> None:
    for name in ("cid", "ann", "ben"):
        await desk.call("addOperatorSuppression", body={"address": f"{name}@example.com", "reason": "A trap"})
    page = await desk.call("listOperatorSuppressions", limit="2")
    assert page["next"] == "ben@example.com"
    last = await desk.call("listOperatorSuppressions", limit="2", after=page["next"])
    assert ([each["address"] for each in last["suppressions"]], last["next"]) == (["cid@example.com"], None)


async def test_search_finds_by_each_parameter_and_pages(desk: Desk) -> None:
    for name, class_ in (("ann", "block"), ("ben", "optout"), ("cid", "allow"), ("dot", "block")):
        await desk.add(f"{name}@example.com", class_)
    assert await desk.found() == ["dot", "cid", "ben", "ann"]
    assert await desk.found(**{"class": "block,allow"}) == ["dot", "cid", "ann"]
    assert await desk.found(reason="unsubscribed") == ["ben"]
    assert await desk.found(source="manual", address="D") == ["dot", "cid"]
    assert await desk.found(source="system") == []
    assert await desk.found(address="b*") == ["ben"]
    hour_ago = clock.to_iso(clock.now_ms() - clock.HOUR)
    assert (await desk.found(since=hour_ago), await desk.found(until=hour_ago)) == (
        ["dot", "cid", "ben", "ann"],
        [],
    )
    page = await desk.call("listSuppressions", limit="3")
    assert await desk.found(before=page["next"]) == ["ann"]


@SQLITE
async def test_a_bad_parameter_or_body_is_named(desk: Desk) -> None:
    for field, value in MALFORMED:
        refused = await desk.call("listSuppressions", 400, **{field: value})
        assert refused["error"]["facts"]["field"] == field
    good = {"address": ANN, "class": "block"}
    for body, field in (
        ({**good, "address": "nobody"}, "address"),
        ({**good, "address": "a\0@example.com"}, "address"),
        ({**good, "address": 7}, "address"),
        ({**good, "class": "operator"}, "class"),
        ({**good, "note": "a\r\nb"}, "note"),
        ({**good, "note": "x" * 501}, "note"),
        ({**good, "stream": "other"}, "stream"),
        ({**good, "stream": "shared", "domain_id": to_uuid(desk.node.domain.id)}, "stream"),
        ({"address": ANN}, "class"),
    ):
        refused = await desk.call("addSuppression", 400, body=body)
        assert refused["error"]["facts"]["field"] == field, body
    for domain_id in ("seven", to_uuid(new_id())):
        await desk.call("addSuppression", 404, body={**good, "domain_id": domain_id})
    for body in ({"address": ANN}, {"address": ANN, "reason": ""}, {"address": "x", "reason": "A trap"}):
        await desk.call("addOperatorSuppression", 400, body=body)
    for query in ({"address": "nobody"}, {}, {"address": ANN, "reason": "A trap"}):
        await desk.call("removeOperatorSuppression", 400, **query)
    for query in ({"after": "a\0"}, {"limit": "0"}, {"before": "x"}):
        await desk.call("listOperatorSuppressions", 400, **query)
    assert await desk.found() == []


@SQLITE
async def test_scopes_tell_readers_from_writers(desk: Desk) -> None:
    made = await desk.add(ANN, "block")
    reader, sender = await desk.scoped("suppression:read"), await desk.scoped("messages:*")
    assert await desk.found(key=reader) == ["ann"]
    for name in ("addSuppression", "removeSuppression"):
        body = {"address": ANN, "class": "allow"} if name == "addSuppression" else None
        await desk.call(name, 403, key=reader, body=body, id=made["id"])
    for operation in OPERATIONS:
        await desk.call(operation.id, 403, key=sender, id=made["id"])


async def test_what_another_organization_has_is_not_found(desk: Desk) -> None:
    made = await desk.add(ANN, "block")
    other = make_account(desk.node.database, desk.node.sealer, email="other@example.test").keys["console"]
    for name in ("getSuppression", "removeSuppression"):
        await desk.call(name, 404, key=other, id=made["id"])
        await desk.call(name, 404, id="not-an-id")
    body = {"address": ANN, "class": "block", "domain_id": to_uuid(desk.node.domain.id)}
    await desk.call("addSuppression", 404, key=other, body=body)
    assert (await desk.found(key=other), await desk.found()) == ([], ["ann"])
