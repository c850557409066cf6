"""Every operation with another organization's ids, drawn from the tables of operations: nothing is found.

An operation with a path parameter that is not named here fails: whoever adds one says what it names.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.factories import PASSWORD, Running, make_account, make_domain, running_node

from postrider.app import FORMATS
from postrider.db.database import Tx
from postrider.engine import accounts, messages, suppression, webhooks
from postrider.engine.accounts import NewAccount
from postrider.engine.audience import contacts, lists, properties, segments, transfer
from postrider.engine.audience.model import ContactInput, PropertyType
from postrider.engine.content import templates
from postrider.engine.domains import Domain
from postrider.engine.insight import conversions
from postrider.engine.messages import Stream, queue
from postrider.engine.principal import Principal
from postrider.engine.sending import campaigns
from postrider.engine.sending.campaigns import Definition
from postrider.engine.suppression import Class, New, Reason
from postrider.engine.webhooks import store
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id, to_base32, to_uuid
from postrider.surfaces.common.operations import Operation
from postrider.surfaces.console.app import OPERATIONS as CONSOLE
from postrider.surfaces.mailerlogic.app import OPERATIONS as MAILERLOGIC
from postrider.surfaces.nudgecampaign.app import OPERATIONS as NUDGECAMPAIGN
from postrider.surfaces.penguinmails.app import OPERATIONS as PENGUINMAILS

DIALECTS: dict[str, tuple[Operation, ...]] = {
    "mailerlogic": MAILERLOGIC,
    "penguinmails": PENGUINMAILS,
    "nudgecampaign": NUDGECAMPAIGN,
    "console": CONSOLE,
}
CASES = [
    pytest.param(dialect, operation, id=f"{dialect}-{operation.id}")
    for dialect, operations in DIALECTS.items()
    for operation in operations
    if "{" in operation.paths[0]
]


@dataclass(frozen=True)
class Owned:
    """What the other organization has."""

    domain: Domain
    message_id: RowId
    smtp_id: RowId
    key_ids: dict[str, RowId]
    campaign_id: RowId
    lane_id: int
    suppression_id: RowId
    opted_out: str
    webhook_ids: dict[str, RowId]
    post_id: RowId
    import_id: RowId
    export_id: RowId
    contact_id: RowId
    list_id: RowId
    property_id: RowId
    property_group_id: RowId
    segment_id: RowId
    template_id: RowId
    goal_id: RowId


def uuid(pick: Callable[[Owned], RowId]) -> Callable[[Owned], str]:
    return lambda owned: to_uuid(pick(owned))


def prefixed(prefix: str, pick: Callable[[Owned], RowId]) -> Callable[[Owned], str]:
    return lambda owned: f"{prefix}_{to_base32(pick(owned))}"


# What stands in the path for each parameter: by dialect, and the start of the path it is in.
NAMES: dict[str, dict[tuple[str, str], Callable[[Owned], str]]] = {
    "mailerlogic": {
        ("/api/v1/customer/domains", "id"): uuid(lambda owned: owned.domain.id),
        ("/api/v1/smtp-credentials", "credential_id"): uuid(lambda owned: owned.smtp_id),
        ("/api/v1/emails", "email_id"): uuid(lambda owned: owned.message_id),
        ("/api/v1/customer/suppressions", "suppressionId"): uuid(lambda owned: owned.suppression_id),
        ("/api/v1/customer/unsubscribes", "email"): lambda owned: owned.opted_out,
        ("/api/v1/campaigns", "campaignId"): uuid(lambda owned: owned.campaign_id),
        ("/api/v1/contacts/segments", "id"): uuid(lambda owned: owned.segment_id),
        ("/api/v1/contacts", "id"): uuid(lambda owned: owned.contact_id),
        ("/api/v1/contacts", "tagName"): lambda owned: "theirs",
        ("/api/v1/customer/webhooks", "webhookId"): uuid(lambda owned: owned.webhook_ids["mailerlogic"]),
    },
    "penguinmails": {
        ("/api/v1/emails", "message_id"): prefixed("msg", lambda owned: owned.message_id),
        ("/api/v1/platform", "key_id"): prefixed("key", lambda owned: owned.key_ids["penguinmails"]),
        ("/api/v1/campaigns", "campaign_id"): prefixed("campaign", lambda owned: owned.campaign_id),
        ("/api/v1/contacts", "contact_id"): prefixed("contact", lambda owned: owned.contact_id),
        ("/api/v1/webhooks", "webhook_id"): prefixed(
            "webhook", lambda owned: owned.webhook_ids["penguinmails"]
        ),
        ("/api/v1/analytics", "campaign_id"): prefixed("campaign", lambda owned: owned.campaign_id),
        ("/api/v2/analytics", "campaign_id"): prefixed("campaign", lambda owned: owned.campaign_id),
        ("/api/v1/analytics", "goal_id"): prefixed("goal", lambda owned: owned.goal_id),
    },
    "nudgecampaign": {
        ("/v2/contacts/import", "import_id"): prefixed("imp", lambda owned: owned.import_id),
        ("/v2/contacts/export", "export_id"): prefixed("exp", lambda owned: owned.export_id),
        ("/v2/contacts", "contact_id"): prefixed("con", lambda owned: owned.contact_id),
        ("/v2/lists", "list_id"): prefixed("lst", lambda owned: owned.list_id),
        ("/v2/templates", "template_id"): prefixed("tpl", lambda owned: owned.template_id),
        ("/v2/campaigns", "campaign_id"): prefixed("cmp", lambda owned: owned.campaign_id),
        ("/v2/organization/api-keys", "key_id"): prefixed(
            "key", lambda owned: owned.key_ids["nudgecampaign"]
        ),
        ("/v2/webhooks", "webhook_id"): prefixed("whk", lambda owned: owned.webhook_ids["nudgecampaign"]),
    },
    "console": {
        ("/v1/messages", "id"): uuid(lambda owned: owned.message_id),
        ("/v1/campaigns", "id"): uuid(lambda owned: owned.campaign_id),
        ("/v1/contacts", "id"): uuid(lambda owned: owned.contact_id),
        ("/v1/templates", "id"): uuid(lambda owned: owned.template_id),
        ("/v1/lists", "id"): uuid(lambda owned: owned.list_id),
        ("/v1/properties", "id"): uuid(lambda owned: owned.property_id),
        ("/v1/property-groups", "id"): uuid(lambda owned: owned.property_group_id),
        ("/v1/domains", "id"): uuid(lambda owned: owned.domain.id),
        ("/v1/queues", "id"): lambda owned: str(owned.lane_id),
        ("/v1/streams", "stream"): lambda owned: "theirs",  # a stream's name is everybody's
        ("/v1/suppressions", "id"): uuid(lambda owned: owned.suppression_id),
        ("/v1/webhooks", "id"): uuid(lambda owned: owned.webhook_ids["mailerlogic"]),
        ("/v1/imports", "id"): uuid(lambda owned: owned.import_id),
        ("/v1/webhook-attempts", "id"): uuid(lambda owned: owned.post_id),
    },
}
_NOBODY = to_uuid(new_id())
# Bodies that pass: an operation that reads its body first must come as far as looking the id up.
BODIES: dict[str, Any] = {
    "renameTag": {"new_name": "mine"},
    "addContactTags": {"tag": "mine"},
    "updateSmtpCredential": {"name": "Mine now"},
    "setSmtpCredentialStatus": {"is_active": False},
    "updateCampaign": {"name": "Mine now"},
    "testCampaign": {"recipients": ["ann@example.com"]},
    "scheduleCampaign": {"scheduled_at": "2999-01-01T00:00:00Z"},
    "setSplitTest": {"variants": [{"name": "Mine"}], "percent": 10, "wait_minutes": 60},
    "chooseWinner": {"variant": 1},
    "testWebhook": {"event": "email.opened"},
    "updateContactProperties": {"plan": "free"},
    "updateDomain": {"tracking_enabled": False},
    "addSegmentContacts": {"contact_ids": [_NOBODY]},
    "removeSegmentContacts": {"contact_ids": [_NOBODY]},
    "updateDomainTracking": {"tracking_enabled": False},
    "changeList": {"is_public": True},
    "trackCampaignPerformance": {"metrics": ["open_rate"]},
}
QUERIES = {"replayFailed": {"since": "2026-01-01T00:00:00Z"}}  # and queries


@pytest.fixture
async def running(store_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with running_node(store_url, tmp_path / "data") as running:
        yield running


@pytest.fixture
async def owned(running: Running) -> Owned:
    """The things of an organization that is not the caller's."""
    db, sealer = running.database, running.sealer
    other = make_account(db, sealer, email="other@other.test")
    principal = Principal(other.organization_id)
    domain = make_domain(db, sealer, other.organization_id, "other.test")
    await _send(running, other)
    (message,) = db.read_now(messages.search, other.organization_id, limit=1)
    (smtp,) = db.read_now(accounts.list_smtp, principal)
    keys = {
        name: db.read_now(accounts.list_keys, principal, name)[0].id
        for name in ("penguinmails", "nudgecampaign")
    }
    campaign = db.write_now(
        campaigns.create_campaign, principal, "Theirs", Definition(subject="Hello", html="<p>Hello</p>")
    )
    place = queue.Place(other.organization_id, Stream.TRANSACTIONAL, "capture")
    lane = db.write_now(queue.add_lanes, [place], lambda _: 1)[place]
    blocked, opted_out = (
        db.write_now(
            suppression.put, principal, New(address_key=f"{reason}@other.test", class_=class_, reason=reason)
        )
        for class_, reason in ((Class.BLOCK, Reason.MANUAL), (Class.OPTOUT, Reason.UNSUBSCRIBED))
    )
    hooks = {format_.name: _hook(running, principal, format_) for format_ in FORMATS.values()}
    post_id = db.write_now(_post, other.organization_id, hooks["mailerlogic"])
    theirs = ContactInput(email="ann@other.test", properties={"plan": "pro"}, tags=["theirs"])
    contact_id = db.write_now(lambda tx: contacts.create(tx, principal, theirs, source="api"))
    list_id = db.write_now(lists.create, principal, "Theirs", is_public=True).id
    return Owned(
        domain, message.id, smtp.id, keys, campaign.id, lane.id, blocked.id, opted_out.address_key, hooks,
        post_id, *_transfers(running, principal), contact_id, list_id, *_defined(running, principal),
        db.write_now(segments.create, principal, "Theirs", None).id,
        db.write_now(templates.create, principal, templates.check({"name": "Theirs", "html": "Theirs"})).id,
        db.write_now(conversions.create_goal, principal, "Theirs").id,
    )  # fmt: skip


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("dialect", "operation"), CASES)
async def test_another_organizations_ids_name_nothing(
    running: Running, owned: Owned, dialect: str, operation: Operation
) -> None:
    for template in operation.paths:
        path = _path(dialect, template, owned)
        answer = await _call(running, dialect, operation, path)
        assert answer.status_code == 404, (operation.id, path, answer.text)
        assert "other.test" not in answer.text


def _hook(running: Running, principal: Principal, format_: webhooks.Format) -> RowId:
    told = webhooks.Changes(url="https://other.test/hook", events=format_.names[:1], secret="theirs")
    sealer = running.sealer
    return running.database.write_now(
        lambda tx: webhooks.create_endpoint(
            tx, principal, format_, sealer=sealer, allow_private=False, **told
        )
    ).id


def _post(tx: Tx, organization_id: int, endpoint_id: RowId) -> RowId:
    post_id, now = new_id(), clock.now_ms()
    attempt = webhooks.Attempt(
        organization_id, endpoint_id, new_id(), "delivered", 1, now, 5, 200, None, "other.test", None, post_id
    )
    store.log(tx, [attempt])
    return post_id


def _defined(running: Running, principal: Principal) -> tuple[RowId, RowId]:
    """A property, and its group."""
    db = running.database
    group = db.write_now(properties.create_group, principal, properties.NewGroup(name="theirs"))
    new = properties.NewDefinition(name="theirs", type=PropertyType.TEXT, group_id=group.id)
    return db.write_now(properties.create_definition, principal, new).id, group.id


def _transfers(running: Running, principal: Principal) -> tuple[RowId, RowId]:
    """An import, and an export."""
    db, folder = running.database, running.node.installation.folder
    plan = transfer.ExportPlan(columns=[transfer.Column("email", "email")])
    export = db.write_now(transfer.start_export, principal, folder, plan)
    with transfer.Incoming(folder, principal.organization_id) as incoming:
        incoming.write(b"ann@other.test\n")
        mapped = transfer.ImportPlan(mapping={"email": 0})
        prepared = transfer.prepare(incoming, mapped)
        taken = db.write_now(transfer.start_import, principal, incoming, mapped, prepared)
        incoming.keep()
    return taken.id, export.id


async def _send(running: Running, other: NewAccount) -> None:
    mail = {"from": "a@other.test", "to": "ann@example.com", "subject": "Theirs", "text": "Theirs"}
    async with httpx2.AsyncClient(base_url=running.base_url) as client:
        answer = await client.post(
            "/mailerlogic/api/v1/send", json=mail, headers={"X-API-Key": other.keys["mailerlogic"]}
        )
    assert answer.status_code == 200, answer.text


def _path(dialect: str, template: str, owned: Owned) -> str:
    canonical = template.replace("/api/customer", "/api/v1/customer").replace("/api/smtp", "/api/v1/smtp")
    for (start, name), show in NAMES[dialect].items():
        if canonical.startswith(start):
            template = template.replace(f"{{{name}}}", show(owned))
    assert "{" not in template, f"say in NAMES what {template} names"
    return template


async def _call(running: Running, dialect: str, operation: Operation, path: str) -> httpx2.Response:
    headers = {"X-API-Key": running.account.keys[dialect]}
    async with httpx2.AsyncClient(base_url=f"{running.base_url}/{dialect}", headers=headers) as client:
        if dialect == "penguinmails":  # some operations there want a person
            who = {"email": "owner@example.test", "password": PASSWORD}
            tokens = (await client.post("/api/v1/auth/login", json=who)).json()["data"]
            client.headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        body = BODIES.get(operation.id, {}) if operation.body is not None else None
        return await client.request(operation.method, path, json=body, params=QUERIES.get(operation.id))
