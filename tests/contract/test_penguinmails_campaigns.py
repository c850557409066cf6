"""Campaigns against their contract: written, scheduled, sent, listed with figures, cancelled; bulk."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
import yaml
from tests.contract.past import followed
from tests.contract.test_penguinmails import OWNER, SQLITE, client_of, login, refused
from tests.contract.test_penguinmails_emails import captured, html_of
from tests.contract.walk import FOLDER, load, missing_keys
from tests.factories import Running

from postrider.engine.content import templates
from postrider.engine.content.templates import Variable
from postrider.kit.ids import new_id
from postrider.surfaces.penguinmails import bulk, campaigns
from postrider.surfaces.penguinmails.ids import CAMPAIGN, MESSAGE, TEMPLATE, to_id

CONTRACT = load("penguinmails")
SERVED = {operation.id: operation for operation in (*campaigns.OPERATIONS, *bulk.OPERATIONS)}
ALL, BULK = "/api/v1/campaigns", "/api/v1/emails/send-bulk"
PLAIN: dict[str, Any] = {"name": "Plain", "subject": "Hi {{name}}", "content": "<p>Hi {{name}}</p>"}
ANN = {"email": "ann@example.com", "personalization": {"name": "Ann"}}
BOB = {"email": "bob@example.com", "personalization": {"name": "Bob"}}
EXAMPLES: dict[str, Any] = {
    each["id"]: (each.get("request") or {}).get("example")
    for each in yaml.safe_load((FOLDER / "penguinmails.yaml").read_text())["operations"]
}


@dataclass
class World:
    """A sent campaign, two drafts with somebody to go to; the paths name a draft."""

    client: httpx2.AsyncClient
    node: Running
    ids: dict[str, str] = field(default_factory=dict)

    def body(self, operation_id: str) -> Any:
        if operation_id == "sendBulkEmails":
            return {**EXAMPLES[operation_id], "campaign_id": self.ids["campaign_id"]}
        return EXAMPLES[operation_id] if operation_id in SERVED and EXAMPLES[operation_id] else None

    async def call(self, operation_id: str, body: Any = None, **options: Any) -> httpx2.Response:
        operation = SERVED[operation_id]
        path = operation.paths[0].format(**self.ids)
        return await self.client.request(operation.method, path, json=body, **options)

    async def done(self, operation_id: str, body: Any = None, **options: Any) -> Any:
        answer = await self.call(operation_id, body, **options)
        assert answer.is_success, answer.text
        return answer.json()["data"]

    async def make(self, **fields: Any) -> str:
        """A campaign that the paths name from now on."""
        made = await self.done("createCampaign", {**PLAIN, **fields})
        self.ids["campaign_id"] = made["id"]
        return str(made["id"])

    async def get(self) -> dict[str, Any]:
        shown: dict[str, Any] = await self.done("getCampaign")
        return shown

    async def until(self, status: str) -> dict[str, Any]:
        async with asyncio.timeout(15):
            while (shown := await self.get())["status"] != status:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return shown

    async def listed(self, **query: Any) -> list[str]:
        answer = await self.client.get(ALL, params=query)
        assert answer.is_success, answer.text
        return [each["name"] for each in answer.json()["data"]]


@pytest.fixture
async def world(node: Running) -> AsyncIterator[World]:
    async with client_of(node, node.account.keys["penguinmails"]) as client:
        yield World(client, node)


async def walked(world: World) -> None:
    await world.make(name="Sent", recipients=[ANN])
    await world.done("sendCampaign")
    await world.until("sent")
    for name in ("First", "Second"):
        await world.make(name=name, recipients=[ANN, BOB])


def test_every_operation_is_one_of_the_contract() -> None:
    asked = {id_ for id_, each in CONTRACT.items() if each.paths[0].startswith("/api/v1/campaigns")}
    assert asked - set(SERVED) <= {"triggerSequence", "listSequences", "createSequence"}
    for operation in SERVED.values():
        contracted = CONTRACT[operation.id]
        assert (operation.method, operation.paths) == (contracted.method, contracted.paths)
        assert operation.status == contracted.status


async def test_every_operation_answers_with_the_status_and_keys_of_its_contract(world: World) -> None:
    await walked(world)
    for operation_id in SERVED:
        if operation_id in ("sendCampaign", "cancelCampaign", "deleteCampaign", "sendBulkEmails"):
            await world.make(recipients=[ANN])
        contracted = CONTRACT[operation_id]
        answer = await world.call(operation_id, world.body(operation_id))
        assert answer.status_code == contracted.status, (operation_id, answer.text)
        assert not missing_keys(answer.json(), contracted.keys), (operation_id, answer.text)
        assert answer.json()["success"] is True


@SQLITE
async def test_every_operation_answers_its_documented_errors(world: World) -> None:
    name, address, kind = "MISSING_REQUIRED_FIELD", "INVALID_EMAIL_FORMAT", "VALIDATION_ERROR"
    of_changes: tuple[tuple[Any, str], ...] = (
        ({"name": ""}, kind), ({"settings": {"batch_size": 0}}, kind), ([], kind),
        ({"schedule": {"send_at": "soon"}}, kind),
        ({"recipients": [{"email": "x"}]}, address), ({"content": "{% if %}"}, kind),
        ({"type": 7}, kind), ({"schedule": {}}, name),
    )  # fmt: skip
    wrong: dict[str, tuple[tuple[Any, str], ...]] = {
        "createCampaign": (
            ({}, name), ({**PLAIN, "name": " "}, kind), ({**PLAIN, "subject": ""}, kind),
            ({**PLAIN, "content": {}}, name), ({**PLAIN, "content": ""}, kind),
            ({**PLAIN, "recipients": [ANN, {"email": "x"}]}, address),
            ({**PLAIN, "recipients": [{"personalization": {}}]}, name),
            ({**PLAIN, "name": "", "recipients": [{"email": "x"}]}, kind),
            ({**PLAIN, "schedule": {"send_at": "2030-01-01T00:00:00Z", "timezone": "Mars"}}, kind),
            ({**PLAIN, "schedule": {"timezone": "UTC"}}, name),
            ({**PLAIN, "settings": {"track_opens": "yes"}}, kind), ({**PLAIN, "subject": "{{ x"}, kind),
        ),
        "updateCampaign": of_changes,
        "putCampaign": of_changes,
        "sendCampaign": (({"action": "resume"}, kind), ({}, kind)),  # the draft names nobody
        "sendBulkEmails": (
            ({"recipients": [ANN]}, name), ({"recipients": []}, kind), ({"batch_size": 0}, kind),
            ({"delay_between_batches": -1}, kind), ({"batch_size": True}, kind),
            ({"recipients": [{"email": "x"}, {"email": "y"}]}, address),
            ({"recipients": [{"email": "x"}, 7]}, kind),
        ),
    }  # fmt: skip
    elsewhere = {
        "createCampaign": {404, 413, 429}, "listCampaigns": {400, 429}, "updateCampaign": {409, 429},
        "putCampaign": {409, 429}, "deleteCampaign": {409, 429}, "sendCampaign": {409, 429},
        "cancelCampaign": {409, 429}, "sendBulkEmails": {404, 409, 413, 429},
    }  # fmt: skip
    await world.make()
    for operation_id, operation in SERVED.items():
        body, answered = world.body(operation_id), {401} | elsewhere.get(operation_id, {429})
        strange = {"Authorization": "Bearer pk_live_" + "0" * 40}
        answer = await world.call(operation_id, body, headers=strange)
        assert refused(answer) == (401, "AUTHENTICATION_REQUIRED")
        if "{" in operation.paths[0]:
            for nowhere in (
                to_id(CAMPAIGN, new_id()),
                to_id(MESSAGE, new_id()),
                "campaign_abc123",
                "%00",
                "7",
            ):
                lost = World(world.client, world.node, {"campaign_id": nowhere})
                assert refused(await lost.call(operation_id, body)) == (404, "RESOURCE_NOT_FOUND"), nowhere
            answered.add(404)
        for malformed, code in wrong.get(operation_id, ()):
            if operation_id == "sendBulkEmails" and code != name:
                malformed = {"campaign_id": world.ids["campaign_id"], "recipients": [ANN], **malformed}
            assert refused(await world.call(operation_id, malformed)) == (400, code), (
                operation_id,
                malformed,
            )
            answered.add(400)
        assert CONTRACT[operation_id].errors <= answered, operation_id


@SQLITE
async def test_all_that_is_wrong_is_told_at_once_by_its_place(world: World) -> None:
    wrong = {
        "name": "",
        "recipients": [ANN, {"email": "x"}, {"email": 7, "tags": "vip"}],
        "schedule": {"send_at": "tomorrow", "timezone": "Mars"},
        "settings": {"batch_size": "many", "delay_between_batches": -1},
    }
    answer = await world.call("createCampaign", wrong)
    told = {each["field"] for each in answer.json()["error"]["details"]}
    assert told == {
        "name", "subject", "content", "recipients[1].email", "recipients[2].email", "recipients[2].tags",
        "schedule.send_at", "schedule.timezone", "settings.batch_size", "settings.delay_between_batches",
    }  # fmt: skip
    broken = {**PLAIN, "subject": "{{ x", "content": {"html": "<p>\n{% if %}", "text": "{{ y"}}
    details = (await world.call("createCampaign", broken)).json()["error"]["details"]
    assert [each["field"] for each in details] == ["subject", "content.html", "content.text"]
    assert details[1]["message"].startswith("line 2, column")


async def test_a_campaign_comes_back_as_it_was_written(world: World) -> None:
    given = {
        "name": "Welcome",
        "subject": "Welcome {{name}}",
        "type": "onboarding",
        "content": {
            "html": "<h1>Hi {{name}}</h1>",
            "text": "Hi",
            "variables": [{"name": "name", "default_value": "you"}],
        },
        "recipients": [{**ANN, "tags": ["vip", "old"]}, BOB, {"email": "ANN@example.com"}],
        "settings": {"ai_optimization": True, "batch_size": 5, "delay_between_batches": 1.5},
    }
    made = await world.done("createCampaign", given)
    world.ids["campaign_id"] = made["id"]
    assert await world.get() == made
    assert {name: made[name] for name in ("name", "subject", "type", "status")} == {
        "name": "Welcome", "subject": "Welcome {{name}}", "type": "onboarding", "status": "draft",
    }  # fmt: skip
    assert made["content"] == {**given["content"], "template_id": None}  # type: ignore[dict-item]
    assert made["recipients"] == [{**ANN, "tags": ["vip", "old"]}, {**BOB, "tags": []}]
    flags = dict.fromkeys(
        ("analytics_enabled", "ai_optimization", "track_opens", "track_clicks", "unsubscribe_enabled"), True
    )
    assert made["settings"] == {**flags, "batch_size": 5, "delay_between_batches": 1.5}
    assert (made["scheduled_at"], made["sent_at"]) == (None, None)
    assert (made["metrics"]["estimated_recipients"], made["metrics"]["estimated_cost"]) == (2, "$0.154")
    assert made["cost"] == {"total": "$0.00", "per_recipient": "$0.077", "currency": "USD"}


async def test_the_documents_own_tests_pass(world: World) -> None:
    """Sdks, acceptance_tests: what pytest and Jest there send, and what they read of the answer."""
    made = await world.done(
        "createCampaign",
        {
            "name": "Test Campaign",
            "subject": "Test Subject",
            "content": {"html": "<h1>Test</h1>", "text": "Test"},
            "recipients": [{"email": "test@example.com"}],
            "settings": {"analytics_enabled": True, "track_opens": True, "track_clicks": True},
        },
    )
    assert (made["name"], made["status"], made["settings"]["analytics_enabled"]) == (
        "Test Campaign",
        "draft",
        True,
    )
    assert made["ai_optimization"] == {"enabled": False}
    answer = await world.call(
        "createCampaign",
        {"name": "", "subject": "Test", "content": {"html": "x", "text": "x"}, "recipients": []},
    )
    assert refused(answer) == (400, "VALIDATION_ERROR")
    assert [each["field"] for each in answer.json()["error"]["details"]] == ["name"]


@SQLITE
async def test_nothing_is_invented_where_ai_was_asked_for(world: World) -> None:
    await world.make(settings={"ai_optimization": True})
    told = (await world.get())["ai_optimization"]
    assert told.pop("enabled") is True
    assert told == {
        "improvement_score": None, "optimization_score": None, "suggestions": [], "recommendations": [],
        "improvement_predictions": {"open_rate_increase": None, "click_rate_increase": None},
    }  # fmt: skip


async def test_a_time_that_has_passed_means_at_once(world: World) -> None:
    example = EXAMPLES["createCampaign"]
    made = await world.done("createCampaign", example)
    assert (made["status"], made["scheduled_at"]) == ("scheduled", example["schedule"]["send_at"])
    world.ids["campaign_id"] = made["id"]
    shown = await world.until("sent")
    (mail,) = await captured(world.node, 1)
    assert (mail["To"], mail["Subject"]) == ("user1@example.com", example["subject"])
    assert shown["sent_at"] is not None
    await followed(world.node)
    shown = await world.get()
    assert (shown["metrics"]["sent"], shown["metrics"]["delivered"], shown["cost"]["total"]) == (
        1,
        1,
        "$0.077",
    )


@SQLITE
async def test_a_time_without_an_offset_is_read_in_its_zone(world: World) -> None:
    summer, winter = "2041-07-01T10:00:00", "2041-01-15T10:00:00"
    for text, instant in ((summer, "2041-07-01T08:00:00Z"), (winter, "2041-01-15T09:00:00Z")):
        await world.make(schedule={"send_at": text, "timezone": "Europe/Paris"})
        assert (await world.get())["scheduled_at"] == instant
    await world.make(schedule={"send_at": f"{summer}+02:00", "timezone": "Asia/Tokyo"})
    assert (await world.get())["scheduled_at"] == "2041-07-01T08:00:00Z"
    await world.make(schedule={"send_at": summer})
    assert (await world.get())["scheduled_at"] == "2041-07-01T10:00:00Z"


@pytest.mark.parametrize("operation_id", ["updateCampaign", "putCampaign"])
async def test_a_change_leaves_what_it_does_not_name(world: World, operation_id: str) -> None:
    await world.make(recipients=[ANN], type="news", settings={"track_opens": False, "batch_size": 7})
    before = await world.get()
    after = await world.done(operation_id, {"subject": "New", "settings": {"track_clicks": False}})
    settings = {**before["settings"], "track_clicks": False}
    assert after == {**before, "subject": "New", "settings": settings, "updated_at": after["updated_at"]}
    after = await world.done(
        operation_id, {"recipients": [BOB], "content": "<i>New</i>", "type": "", "name": "N"}
    )
    assert (after["recipients"], after["type"], after["name"]) == ([{**BOB, "tags": []}], None, "N")
    assert (after["content"]["html"], after["content"]["text"].strip()) == ("<i>New</i>", "New")
    assert after["metrics"]["estimated_recipients"] == 1


async def test_a_schedule_is_set_moved_and_taken_back(world: World) -> None:
    await world.make(recipients=[ANN])
    for at in ("2041-01-01T00:00:00Z", "2042-01-01T00:00:00Z"):
        shown = await world.done("updateCampaign", {"schedule": {"send_at": at}})
        assert (shown["status"], shown["scheduled_at"]) == ("scheduled", at)
    shown = await world.done("updateCampaign", {"name": "Renamed"})
    assert (shown["status"], shown["name"]) == ("scheduled", "Renamed")
    for _ in range(2):
        shown = await world.done("updateCampaign", {"schedule": None})
        assert (shown["status"], shown["scheduled_at"]) == ("draft", None)


async def test_personalization_goes_before_the_contact_and_defaults_come_last(world: World) -> None:
    for email in ("ann@example.com", "bob@example.com"):
        contact = {"email": email, "first_name": "Known", "company": "Contact Ltd"}
        assert (await world.client.post("/api/v1/contacts", json=contact)).is_success
    variables = [{"name": name, "default_value": "default"} for name in ("first_name", "company", "city")]
    slots = "|".join(f"{{{{{name}}}}}" for name in ("first_name", "company", "city", "other"))
    await world.make(
        subject="{{first_name}}",
        content={
            "html": f"<p>{slots}|{{% if tags contains 'vip' %}}VIP{{% endif %}}</p>",
            "variables": variables,
        },
        recipients=[
            {"email": "ann@example.com", "personalization": {"first_name": "Given"}, "tags": ["vip"]},
            {"email": "bob@example.com"},
            {"email": "eve@example.com"},
        ],
    )
    await world.done("sendCampaign")
    mails = {str(mail["To"]): html_of(mail) for mail in await captured(world.node, 3)}
    assert "<p>Given|Contact Ltd|default||VIP</p>" in mails["ann@example.com"]
    assert "<p>Known|Contact Ltd|default||</p>" in mails["bob@example.com"]
    assert "<p>default|default|default||</p>" in mails["eve@example.com"]


@SQLITE
@pytest.mark.parametrize(
    ("settings", "pixel", "links"),
    [
        ({}, True, True),
        ({"track_opens": False}, False, True),
        ({"track_clicks": False}, True, False),
        ({"analytics_enabled": False}, False, False),
    ],
)
async def test_what_is_not_to_be_tracked_is_not(
    world: World, settings: dict[str, bool], pixel: bool, links: bool
) -> None:
    content = '<p>Hi</p><a href="https://shop.test/offer">Offer</a>'
    await world.make(content=content, recipients=[ANN], settings=settings)
    await world.done("sendCampaign")
    (mail,) = await captured(world.node, 1)
    assert ("/track/o/" in html_of(mail), "/track/c/" in html_of(mail)) == (pixel, links)


@SQLITE
async def test_a_footer_with_the_way_out_can_be_left_off_but_not_the_header(world: World) -> None:
    for shown in (True, False):
        await world.make(recipients=[ANN], settings={"unsubscribe_enabled": shown})
        await world.done("sendCampaign")
        await world.until("sent")
    first, second = await captured(world.node, 2)
    assert ("/track/u/" in html_of(first), "/track/u/" in html_of(second)) == (True, False)
    assert all("/track/u/" in str(mail["List-Unsubscribe"]) for mail in (first, second))


async def test_content_is_taken_from_a_template(world: World) -> None:
    new: Any = {
        "name": "welcome_template",
        "html": "<b>{{ greeting }} {{ name }}</b>",
        "variables": [Variable("greeting", default="Welcome")],
    }
    db = world.node.database
    template = await db.write(templates.create, world.node.principal, templates.check(new))
    for named in ("welcome_template", to_id(TEMPLATE, template.id)):
        await world.make(content={"template_id": named}, recipients=[ANN])
        assert (await world.get())["content"]["template_id"] == to_id(TEMPLATE, template.id)
    await world.done("sendCampaign")
    (mail,) = await captured(world.node, 1)
    assert "<b>Welcome Ann</b>" in html_of(mail)
    await world.make(content={"template_id": "welcome_template", "html": "<i>Own</i>"})
    shown = (await world.get())["content"]
    assert (shown["html"], shown["template_id"]) == ("<i>Own</i>", to_id(TEMPLATE, template.id))
    assert (await db.read(templates.seen, world.node.principal, template.id)).usage_count == 2
    answer = await world.call("createCampaign", {**PLAIN, "content": {"template_id": "nowhere"}})
    assert refused(answer) == (404, "RESOURCE_NOT_FOUND")


async def test_what_has_begun_is_neither_changed_nor_dropped_nor_begun_again(world: World) -> None:
    await world.make(recipients=[ANN])
    begun = await world.done("sendCampaign", {"action": "start"})
    assert begun["metrics"] == {"estimated_recipients": 1, "estimated_cost": "$0.077"}
    await world.until("sent")
    for operation_id in ("updateCampaign", "putCampaign", "deleteCampaign", "sendCampaign", "cancelCampaign"):
        answer = await world.call(operation_id, {} if SERVED[operation_id].body else None)
        assert refused(answer) == (409, "RESOURCE_CONFLICT"), operation_id


@SQLITE
async def test_a_cancelled_campaign_is_over_and_a_draft_can_be_deleted(world: World) -> None:
    await world.make(recipients=[ANN], schedule={"send_at": "2041-01-01T00:00:00Z"})
    assert (await world.done("cancelCampaign"))["status"] == "cancelled"
    assert (await world.get())["status"] == "cancelled"
    for operation_id, body in (
        ("sendCampaign", None),
        ("cancelCampaign", None),
        ("updateCampaign", {"name": "x"}),
    ):
        assert refused(await world.call(operation_id, body)) == (409, "RESOURCE_CONFLICT")
    answer = await world.call(
        "sendBulkEmails", {"campaign_id": world.ids["campaign_id"], "recipients": [ANN]}
    )
    assert refused(answer) == (409, "RESOURCE_CONFLICT")
    assert (await world.done("deleteCampaign"))["deleted"] is True
    assert refused(await world.call("getCampaign")) == (404, "RESOURCE_NOT_FOUND")


@SQLITE
async def test_a_key_without_the_permission_reads_and_writes_nothing(world: World) -> None:
    await world.make(recipients=[ANN])
    tokens = await login(world.node, OWNER)
    async with client_of(world.node, tokens["access_token"]) as user:
        for permission, readable in (("send_email", False), ("read_analytics", True)):
            new = {"name": permission, "permissions": [permission]}
            key = (await user.post("/api/v1/platform/api-keys", json=new)).json()["data"]["api_key"]
            async with client_of(world.node, key) as client:
                other = World(client, world.node, world.ids)
                for operation_id, operation in SERVED.items():
                    answer = await other.call(operation_id, world.body(operation_id))
                    if readable and operation.method == "GET":
                        assert answer.is_success
                    else:
                        assert refused(answer) == (403, "INSUFFICIENT_PERMISSIONS"), operation_id


@SQLITE
async def test_who_may_manage_campaigns_alone_can_do_all_of_it(world: World) -> None:
    tokens = await login(world.node, OWNER)
    async with client_of(world.node, tokens["access_token"]) as user:
        new = {"name": "campaigns", "permissions": ["manage_campaigns"]}
        key = (await user.post("/api/v1/platform/api-keys", json=new)).json()["data"]["api_key"]
    async with client_of(world.node, key) as client:
        await test_every_operation_answers_with_the_status_and_keys_of_its_contract(World(client, world.node))
