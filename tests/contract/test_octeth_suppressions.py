"""The suppression list by its commands: what is on it, what an import makes of its lines, what is refused."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.contract.octeth_client import Client, client_of, sender_of
from tests.factories import Running, make_account

from postrider.engine import suppression
from postrider.engine.suppression import Class, New, Reason, Scope
from postrider.engine.suppression.put import IMPORT_MAX

# What differs by store is asked of both; the rest of the quicker one.
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

Json = dict[str, Any]


@pytest.fixture
async def client(node: Running) -> AsyncIterator[Client]:
    async with sender_of(node) as client:
        yield client


async def ask(client: Client, name: str, **parameters: Any) -> Json:
    answer = await client.ask(f"Suppression.{name}", **parameters)
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


async def listed(client: Client, **parameters: Any) -> list[str]:
    """The addresses that a Browse answers, without their domain."""
    body = await ask(client, "Browse", **parameters)
    assert (body["Success"], body["ErrorCode"]) == (True, 0), body
    return [address.partition("@")[0] for address in body["SuppressedEmails"]]


async def put(node: Running, address: str, class_: Class, **more: Any) -> None:
    new = New(address_key=address, class_=class_, **{"reason": Reason.MANUAL, **more})
    await node.database.write(suppression.put, node.principal, new)


async def test_an_imported_address_is_refused_until_it_is_deleted(client: Client) -> None:
    done = await ask(client, "Import", EmailAddresses='["Ann@Example.com"]')
    assert done == {
        "Success": True, "ErrorCode": 0, "TotalImported": 1, "TotalFailed": 0, "FailedEmailAddresses": [],
    }  # fmt: skip
    assert await client.codes() == [14]
    assert await ask(client, "Delete", EmailAddress="ANN@example.com") == {"Success": True, "ErrorCode": 0}
    assert (await client.mail()).status_code == 200
    assert await ask(client, "Delete", EmailAddress="ann@example.com") == {"Success": False, "ErrorCode": [2]}


@SQLITE
async def test_an_import_counts_what_it_took_and_names_what_it_could_not(client: Client) -> None:
    done = await ask(
        client,
        "Import",
        EmailAddresses=["ann@example.com", "nobody", " ben@example.com ", "a\0@example.com", ""],
        EmailAddressesBulk="cid@example.com\r\n\r\nANN@example.com\nnobody\nü@bücher.example\n  \n",
    )
    assert (done["TotalImported"], done["TotalFailed"]) == (4, 2)
    assert done["FailedEmailAddresses"] == ["nobody", "a\0@example.com"]
    again = await ask(client, "Import", EmailAddresses='["ann@example.com", "dot@example.com"]')
    assert (again["TotalImported"], again["TotalFailed"]) == (1, 0)
    nothing = await ask(client, "Import", EmailAddressesBulk="\n")
    assert (nothing["TotalImported"], nothing["TotalFailed"]) == (0, 0)
    assert await listed(client) == ["ann", "ben", "cid", "dot", "ü"]


async def test_a_long_import_is_taken_whole(client: Client) -> None:
    lines = "\n".join(f"user{number}@example.com" for number in range(2 * IMPORT_MAX + 1))
    done = await ask(client, "Import", EmailAddressesBulk=lines)
    assert (done["TotalImported"], done["FailedEmailAddresses"]) == (2 * IMPORT_MAX + 1, [])
    assert (await ask(client, "Browse"))["TotalRecords"] == 2 * IMPORT_MAX + 1
    too_large = await client.ask("Suppression.Import", EmailAddressesBulk=lines * 20)
    assert too_large.status_code == 413


@SQLITE
async def test_an_import_as_a_form_is_taken_too(client: Client) -> None:
    form = {"Command": "suppression.import", "apikey": client.key, "emailaddresses": '["ann@example.com"]'}
    assert (await client.http.post("/api.php", data=form)).json()["TotalImported"] == 1


@SQLITE
async def test_what_cannot_be_imported_is_refused_by_its_number(client: Client) -> None:
    missing = await ask(client, "Import", EmailAddresses="", EmailAddressesBulk="")
    assert missing == {"Success": False, "ErrorCode": [1], "ErrorMessage": "Missing email addresses."}
    wrong: list[Any] = ["ann@example.com", "[", "{}", "7", "[1]", '["a@b.test", null]', "[" * 5_000]
    for addresses in (*wrong, 7, {}, [[]], [None]):
        refused = await ask(client, "Import", EmailAddresses=addresses)
        assert refused == {
            "Success": False, "ErrorCode": [2], "ErrorMessage": "Invalid email address format.",
        }, addresses  # fmt: skip
    assert (await ask(client, "Import", EmailAddressesBulk=["ann@example.com"]))["ErrorCode"] == [2]
    for address in ("nobody", "a\0@example.com", 7, ["ann@example.com"], "x" * 5_000):
        assert (await ask(client, "Delete", EmailAddress=address))["ErrorCode"] == [2], address
    assert await listed(client) == []


async def test_the_list_is_searched_and_paged(client: Client, node: Running) -> None:
    names = ["ann", "anna", "ben", "c_d", "cxd"]
    await ask(client, "Import", EmailAddresses=json.dumps([f"{name}@example.com" for name in names]))
    await put(node, "ben@example.com", Class.OPTOUT, reason=Reason.UNSUBSCRIBED)
    await put(node, "allowed@example.com", Class.ALLOW)
    assert await listed(client) == names, "an address stands there once, an allowed one not at all"
    assert await listed(client, SearchPattern="ANN*") == ["ann", "anna"]
    assert await listed(client, SearchPattern="*d@example*") == ["c_d", "cxd"]
    assert await listed(client, SearchPattern="c_d*") == ["c_d"]
    assert await listed(client, SearchPattern="Ben@example.com") == ["ben"]
    assert await listed(client, SearchPattern="ben") == []
    assert await listed(client, SearchPattern="a***n*****@e*") == ["ann", "anna"]
    page = await ask(client, "Browse", StartFrom="1", RetrieveCount="2")
    assert (page["TotalRecords"], page["SuppressedEmails"]) == (5, ["anna@example.com", "ben@example.com"])
    assert await listed(client, StartFrom=2**31 - 1) == []
    assert await listed(client, RetrieveCount=0) == []


@SQLITE
async def test_a_hundred_are_shown_at_most(client: Client) -> None:
    lines = "\n".join(f"user{number}@example.com" for number in range(101))
    await ask(client, "Import", EmailAddressesBulk=lines)
    for parameters in ({}, {"RetrieveCount": "500"}):
        body = await ask(client, "Browse", **parameters)
        assert (body["TotalRecords"], len(body["SuppressedEmails"])) == (101, 100)


@SQLITE
async def test_a_search_that_cannot_be_read_is_refused(client: Client) -> None:
    for parameters in (
        {"SearchPattern": "*a*b*c*d*"},
        {"SearchPattern": "x" * 255},
        {"SearchPattern": "a\0*"},
        {"SearchPattern": 7},
        {"StartFrom": "-1"},
        {"RetrieveCount": "many"},
    ):
        assert await ask(client, "Browse", **parameters) == {"Success": False, "ErrorCode": 422}, parameters


@SQLITE
async def test_deleting_frees_an_address_of_blocks_and_opt_outs_everywhere(
    client: Client, node: Running
) -> None:
    here = {"scope": Scope.DOMAIN, "scope_id": node.domain.id.hex()}
    await put(node, "ann@example.com", Class.BLOCK)
    await put(node, "ann@example.com", Class.OPTOUT, reason=Reason.UNSUBSCRIBED, **here)
    assert await client.codes() == [14]
    await ask(client, "Delete", EmailAddress="ann@example.com")
    assert await listed(client) == []
    assert (await client.mail()).status_code == 200


async def test_another_users_list_is_another(client: Client, node: Running) -> None:
    await ask(client, "Import", EmailAddresses='["ann@example.com"]')
    stranger = make_account(node.database, node.sealer, email="stranger@example.test")
    async with client_of(node, stranger.keys["octeth"]) as strange:
        assert await listed(strange) == []
        assert (await ask(strange, "Delete", EmailAddress="ann@example.com"))["ErrorCode"] == [2]
        assert (await ask(strange, "Import", EmailAddresses='["ann@example.com"]'))["TotalImported"] == 1
    assert await listed(client) == ["ann"]
    assert await client.codes() == [14]


@SQLITE
async def test_what_the_operator_refuses_is_neither_shown_nor_deleted(client: Client, node: Running) -> None:
    await node.database.write(suppression.put_operator, "ann@example.com", "A spam trap")
    assert (await listed(client), await client.codes()) == ([], [14])
    assert (await ask(client, "Delete", EmailAddress="ann@example.com"))["ErrorCode"] == [2]
    assert await client.codes() == [14]
