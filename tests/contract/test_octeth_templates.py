"""POST /api/v1/email by TemplateID and TargetListID: where content comes from, who on a list is mailed."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.contract.octeth_client import Client, sender_of
from tests.contract.test_octeth_sending import ANN, captured, suppress
from tests.factories import Running

from postrider.engine import messages
from postrider.engine.audience import contacts, lists
from postrider.engine.audience.model import ContactInput, ContactList, Status
from postrider.engine.content import templates
from postrider.engine.content.templates import Template, Variable
from postrider.engine.messages import Stream
from postrider.engine.suppression import Class, Reason
from postrider.kit.ids import from_uuid
from postrider.surfaces.octeth import sending

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
WELCOME: dict[str, Any] = {
    "name": "Welcome",
    "subject": "Never used",
    "html": "<p>Dear {{ first_name }}, {{ role }} <a href='{{ unsubscribe_url }}'>out</a></p>",
    "text": "Dear {{ first_name }}",
    "variables": [Variable("first_name", default="reader & friend"), Variable("role")],
}


@pytest.fixture
async def client(node: Running) -> AsyncIterator[Client]:
    async with sender_of(node) as client:
        yield client


async def template(node: Running, **given: Any) -> Template:
    changes: Any = {**WELCOME, **given}
    return await node.database.write(templates.create, node.principal, templates.check(changes))


async def a_list(node: Running, *people: ContactInput) -> ContactList:
    """A list of these contacts."""
    made = await node.database.write(lists.create, node.principal, "Readers")

    def add(tx: Any) -> None:
        for each in people:
            contact_id = contacts.create(tx, node.principal, each, source="api")
            lists.add(tx, node.principal, made.id, [contact_id])

    await node.database.write(add)
    return made


def parts_of(mail: Any) -> tuple[str, str]:
    html, text = mail.get_body(("html",)), mail.get_body(("plain",))
    return (html.get_content() if html else "").strip(), text.get_content().strip()


async def test_content_comes_from_the_template_filled_by_its_defaults(client: Client, node: Running) -> None:
    made = await template(node)
    copy = {"email": "cc@example.com", "name": "Cc"}
    answer = await client.mail(TemplateID=str(made.number), HtmlContent="<p>Passed over</p>", CC=[copy])
    assert answer.status_code == 200, answer.text
    mails = await captured(node, 2)
    assert {(mail["Subject"], mail["Cc"]) for mail in mails} == {("Hello", "Cc <cc@example.com>")}
    for mail in mails:
        html, text = parts_of(mail)
        assert html.startswith("<p>Dear reader &amp; friend,  <a href='http")
        assert "/track/u/" in html
        assert text == "Dear reader & friend"
    assert len({parts_of(mail)[0] for mail in mails}) == 2  # each has an address of its own to leave by


@SQLITE
async def test_plain_mail_takes_the_text_of_the_template(client: Client, node: Running) -> None:
    made = await template(node, text=None)
    answer = await client.mail(TemplateID=made.number, ContentType="plain", HtmlContent=None)
    assert answer.status_code == 200, answer.text
    (mail,) = await captured(node, 1)
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().startswith("Dear reader & friend, ")


@SQLITE
async def test_a_template_that_must_be_filled_is_refused_where_nothing_fills_it(
    client: Client, node: Running
) -> None:
    made = await template(node, variables=[Variable("role", required=True), Variable("first_name")])
    answer = await client.mail(TemplateID=made.number, To=None)
    assert answer.status_code == 422
    assert answer.json()["Errors"][0] == {"Code": 422, "Message": "TemplateID: role is required"}
    assert [error["Code"] for error in answer.json()["Errors"]] == [422, 20]


@SQLITE
async def test_unknown_numbers_are_told_with_the_other_faults(client: Client, node: Running) -> None:
    made = await template(node)
    await a_list(node)
    assert await client.codes(Subject=None, TemplateID=made.number + 1, TargetListID=9) == [8, 15, 16]
    assert await client.codes(TemplateID="one") == [15]
    assert await client.codes(TemplateID={"a": 1}, TargetListID=[1]) == [15, 16]


async def test_a_list_is_mailed_contact_by_contact(client: Client, node: Running) -> None:
    made = await template(node)
    readers = await a_list(
        node,
        ContactInput(email="ann@example.com", first_name="Ann <b>", properties={"role": "Editor"}),
        ContactInput(email="bob@example.com"),
        ContactInput(email="gone@example.com", status=Status.UNSUBSCRIBED),
        ContactInput(email="blocked@example.com"),
    )
    await suppress(node, "blocked@example.com", Class.BLOCK, Reason.HARD_BOUNCE)
    answer = await client.mail(TemplateID=made.number, TargetListID=readers.number, To=None)
    assert answer.status_code == 200, answer.text
    ids = answer.json()["MessageID"]
    mails = {mail["To"]: mail for mail in await captured(node, 2)}
    assert set(mails) == {"ann@example.com", "bob@example.com"}
    assert parts_of(mails["ann@example.com"])[0].startswith("<p>Dear Ann &lt;b&gt;, Editor <a")
    assert parts_of(mails["bob@example.com"])[1] == "Dear reader & friend"
    organization_id = node.account.organization_id
    found = [await node.database.read(messages.one, organization_id, from_uuid(each) or b"") for each in ids]
    rows = [row for row in found if row is not None]
    assert [row.recipient for row in rows] == ["ann@example.com", "bob@example.com"]
    assert {Stream(row.stream) for row in rows} == {Stream.BROADCAST}
    key = {"Authorization": f"Bearer {client.sender}"}
    answer = await client.http.get("/api/v1/events", params={"MessageID": ids[0]}, headers=key)
    events = answer.json()["Events"]
    assert {each["Recipient"] for each in events} <= {"ann@example.com"}


@SQLITE
async def test_a_body_of_ones_own_is_filled_for_a_list_and_others_get_it_too(
    client: Client, node: Running
) -> None:
    readers = await a_list(node, ContactInput(email="bob@example.com", first_name="Bob"))
    mail = {"TargetListID": readers.number, "To": [ANN], "HtmlContent": "<p>Hi {{ first_name }}!</p>"}
    answer = await client.mail(**mail, Subject="For {{ email }}")
    assert len(answer.json()["MessageID"]) == 2
    sent = await captured(node, 2)
    found = {(each["To"], each["Subject"], parts_of(each)[0].partition("<img")[0]) for each in sent}
    assert found == {
        ("ann@example.com", "For ann@example.com", "<p>Hi !</p>"),
        ("bob@example.com", "For bob@example.com", "<p>Hi Bob!</p>"),
    }


@SQLITE
async def test_a_list_has_no_copies_and_its_first_contacts_only(
    client: Client, node: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [ContactInput(email=f"r{number}@example.com") for number in range(3)]
    readers = await a_list(node, *people)
    for field in ("CC", "BCC"):
        answer = await client.mail(TargetListID=readers.number, **{field: [ANN]})
        assert answer.json()["Errors"] == [{"Code": 422, "Message": f"{field}: Mail to a list has no copies"}]
    monkeypatch.setattr(sending, "TARGETS_MAX", 2)
    answer = await client.mail(TargetListID=readers.number, To=None)
    assert len(answer.json()["MessageID"]) == 2


@SQLITE
async def test_a_list_on_which_nobody_can_be_mailed_is_no_recipient(client: Client, node: Running) -> None:
    readers = await a_list(
        node,
        ContactInput(email="gone@example.com", status=Status.UNSUBSCRIBED),
        ContactInput(email="bob@example.com"),
    )
    made = await template(node, variables=[Variable("role", required=True), Variable("first_name")])
    mail = {"TargetListID": readers.number, "To": None}
    assert await client.codes(**mail, TemplateID=made.number) == [20]  # bob has no role
    assert (await client.mail(**mail)).status_code == 200
