"""content.template_id of a single mail: found by name or id, filled, and what is refused."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.contract.test_penguinmails import MAIL, SQLITE, client_of, refused
from tests.contract.test_penguinmails_emails import SEND, captured, html_of, send
from tests.factories import Running

from postrider.engine.content import templates
from postrider.engine.content.templates import Template, Variable, VariableType
from postrider.kit.ids import new_id
from postrider.surfaces.penguinmails.ids import TEMPLATE, to_id

WELCOME: dict[str, Any] = {
    "name": "welcome_template",
    "html": "<h1>{{ greeting }} {{ name }}!</h1>{{ body }}",
    "text": "{{ greeting }} {{ name }}!",
    "variables": [
        Variable("greeting", default="Welcome"),
        Variable("name", required=True),
        Variable("body", VariableType.HTML),
    ],
}
ANN = {"name": "Ann & <Bob>", "body": "<p>x</p>"}


@pytest.fixture
async def client(node: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(node, node.account.keys["penguinmails"]) as client:
        yield client


async def make(node: Running, **given: Any) -> Template:
    changes: Any = {**WELCOME, **given}
    return await node.database.write(templates.create, node.principal, templates.check(changes))


async def test_mail_is_made_from_a_template_by_its_name_or_id(
    client: httpx2.AsyncClient, node: Running
) -> None:
    made = await make(node)
    for named in ("welcome_template", to_id(TEMPLATE, made.id)):
        await send(client, content={"template_id": named}, personalization=ANN)
    for mail in await captured(node, 2):
        assert html_of(mail).startswith("<h1>Welcome Ann &amp; &lt;Bob&gt;!</h1><p>x</p>")
        text = mail.get_body(("plain",))
        assert text is not None
        assert text.get_content().strip() == "Welcome Ann & <Bob>!"


@SQLITE
async def test_html_of_the_request_goes_before_that_of_the_template(
    client: httpx2.AsyncClient, node: Running
) -> None:
    await make(node)
    own = {"template_id": "welcome_template", "html": "<i>Own</i> {{ name }}"}
    await send(client, content=own, personalization=ANN)
    await send(client, content={"template_id": "welcome_template", "text": "Own text"}, personalization=ANN)
    first, second = await captured(node, 2)
    assert html_of(first).startswith("<i>Own</i> Ann")
    text = second.get_body(("plain",))
    assert text is not None
    assert text.get_content().strip() == "Own text"
    assert html_of(second).startswith("<h1>Welcome")


@SQLITE
async def test_defaults_of_the_request_go_before_those_of_the_template(
    client: httpx2.AsyncClient, node: Running
) -> None:
    await make(node)
    variables = [{"name": "greeting", "default_value": "Hello"}, {"name": "name", "default_value": "you"}]
    content = {"template_id": "welcome_template", "variables": variables}
    await send(client, content=content, personalization={})
    (mail,) = await captured(node, 1)
    assert html_of(mail).startswith("<h1>Hello you!</h1>")


@SQLITE
async def test_the_oldest_of_a_name_is_meant(client: httpx2.AsyncClient, node: Running) -> None:
    await make(node)
    await make(node, html="<p>A new draft {{ name }}</p>", variables=[])
    await send(client, content={"template_id": "welcome_template"}, personalization=ANN)
    (mail,) = await captured(node, 1)
    assert html_of(mail).startswith("<h1>")


@SQLITE
async def test_values_that_do_not_fit_and_unknown_templates_are_refused(
    client: httpx2.AsyncClient, node: Running
) -> None:
    await make(node)
    body = {**MAIL, "content": {"template_id": "welcome_template"}, "personalization": {"body": 5}}
    answer = await client.post(SEND, json=body)
    assert refused(answer)[0] == 400
    details = {each["field"]: each["message"] for each in answer.json()["error"]["details"]}
    assert details == {
        "personalization.name": "name is required",
        "personalization.body": "Input should be a text of HTML",
    }
    for named in ("nothing", to_id(TEMPLATE, new_id()), "tpl_x"):
        answer = await client.post(SEND, json={**MAIL, "content": {"template_id": named}})
        assert refused(answer) == (404, "RESOURCE_NOT_FOUND")
