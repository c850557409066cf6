"""Every event that can happen, posted in every format: bodies, signatures, schedules as in the contracts."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping, Set
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from tests.contract.octeth_client import sender_of
from tests.contract.walk import FOLDER
from tests.factories import DOMAIN, Running, running_node
from tests.flow.hooks import Got, Receiver
from tests.flow.test_webhooks import MAIL, first_token
from tests.flow.verify import CHECKS, Check

from postrider.app import FORMATS
from postrider.kit import clock

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
CONTRACTS = {
    name: yaml.safe_load((FOLDER / f"{name}.yaml").read_text())["webhooks"]
    for name in ("mailerlogic", "penguinmails", "nudgecampaign", "octeth")
}
SIGNATURES = {
    "mailerlogic": "x-webhook-signature",
    "penguinmails": "x-penguinmails-signature",
    "nudgecampaign": "x-nudgecampaign-signature",
    "octeth": "x-octeth-signature",
}
WORD = {"mailerlogic": "event", "penguinmails": "type", "nudgecampaign": "type", "octeth": "EventType"}
EMAIL = tuple(f"email.{word}" for word in ("sent", "delivered", "opened", "clicked", "bounced", "complained"))
# Of the documented events those that something can make happen so far.
HAPPEN = {
    "mailerlogic": {*EMAIL, "email.unsubscribed", "email.failed"},
    "penguinmails": {*EMAIL, "email.unsubscribed"},
    "nudgecampaign": {*EMAIL, "contact.unsubscribed"},
    "octeth": {"send", "delivery", "bounce", "open", "click", "unsubscribe", "complaint"},
}
LINK = "https://shop.test/offer"


@dataclass
class Told:
    """What each format's receiver got, and the secret its posts are signed with."""

    posts: dict[str, list[Got]]
    secrets: dict[str, str] = field(default_factory=dict)

    def of(self, dialect: str) -> dict[str, Got]:
        """A post of each word: where there are several, the one about ann."""
        posts = sorted(self.posts[dialect], key=lambda got: b"ann@example.com" in got.body)
        return {got.json[WORD[dialect]]: got for got in posts}


@pytest.fixture
async def told(store_url: str, tmp_path: Path) -> AsyncIterator[Told]:
    """Everything happens once: mail taken, opened, followed, objected to, bounced, cancelled."""
    async with (
        Receiver() as receiver,
        running_node(store_url, tmp_path / "data", webhook_allow_private=True) as running,
    ):
        told = Told({})
        await subscribe(running, receiver, told)
        await happen(running)
        for dialect, words in HAPPEN.items():
            told.posts[dialect] = await receiver.when(partial(are_told, dialect, words), f"/{dialect}")
        yield told


def are_told(dialect: str, words: Set[str], posts: list[Got]) -> bool:
    return words <= {got.json[WORD[dialect]] for got in posts}


def client_of(running: Running, dialect: str, header: str, prefix: str = "") -> httpx2.AsyncClient:
    headers = {header: prefix + running.account.keys[dialect]}
    return httpx2.AsyncClient(base_url=f"{running.base_url}/{dialect}", headers=headers)


async def subscribe(running: Running, receiver: Receiver, told: Told) -> None:
    """To all names of each format."""

    def new(dialect: str) -> dict[str, Any]:
        return {"url": receiver.url(f"/{dialect}"), "events": FORMATS[dialect].names}

    async with client_of(running, "mailerlogic", "X-API-Key") as client:
        made = (await client.post("/api/v1/customer/webhooks", json=new("mailerlogic"))).json()["webhook"]
        told.secrets["mailerlogic"] = made["secret"]
    async with client_of(running, "penguinmails", "Authorization", "Bearer ") as client:
        made = (await client.post("/api/v1/webhooks", json=new("penguinmails"))).json()["data"]
        told.secrets["penguinmails"] = made["secret"]
    async with client_of(running, "nudgecampaign", "X-API-Key") as client:
        made = (await client.post("/v2/webhooks", json=new("nudgecampaign"))).json()["data"]
        told.secrets["nudgecampaign"] = made["attributes"]["secret"]
    async with sender_of(running) as octeth:
        for event in FORMATS["octeth"].names:
            await octeth.done("AddWebhook", DomainID=1, Event=event, WebhookURL=receiver.url("/octeth"))
        told.secrets["octeth"] = (await octeth.done("GetWebhooks", DomainID=1))["SigningKey"]


async def happen(running: Running) -> None:
    async with client_of(running, "mailerlogic", "X-API-Key") as client:
        assert (await client.post("/api/v1/send", json=MAIL)).is_success
        token = await first_token(running)
        for name in ("bounce", "complaint"):
            mail = {**MAIL, "to": f"{name}@simulator.postrider.test"}
            assert (await client.post("/api/v1/send", json=mail)).is_success
    async with sender_of(running) as octeth:
        later = clock.to_iso(clock.now_ms() + clock.DAY)
        assert (await octeth.mail(SendAt=later)).is_success
        await octeth.done("ClearDomainQueue", DomainID=1)
    async with httpx2.AsyncClient(base_url=running.base_url, headers={"User-Agent": "Reader"}) as reader:
        assert (await reader.get(f"/track/o/{token}")).status_code == 200
        assert (await reader.get(f"/track/c/{token}.0")).is_redirect
        assert (await reader.post(f"/track/u/{token}", data={"List-Unsubscribe": "One-Click"})).is_success


def lacking(body: Any, documented: Any, path: str = "") -> list[str]:
    """The names that the documented example has and the body has not, but for what is null altogether."""
    if not isinstance(documented, Mapping) or body is None:
        return []
    missing = [f"{path}{name}" for name in documented if name not in body]
    deeper = [
        lacking(body[name], each, f"{path}{name}.") for name, each in documented.items() if name in body
    ]
    return missing + [name for names in deeper for name in names]


async def test_every_event_that_can_happen_is_told_in_every_format_as_documented(told: Told) -> None:
    for word, got in told.of("mailerlogic").items():
        documented = set(CONTRACTS["mailerlogic"]["payloads"][word]) - {"_note"}
        if word == "email.failed":
            documented -= {"tag", "metadata"}  # which that mail was not given
        assert documented <= set(got.json), word
    payload = CONTRACTS["penguinmails"]["payload"]
    for word, got in told.of("penguinmails").items():
        assert not lacking(got.json, payload["skeleton"])
        more = payload["email_extras_inferred"].get(word, {})
        assert not lacking(got.json["data"], {**payload["email_events"]["data"], **more}), word
    for word, got in told.of("nudgecampaign").items():
        assert set(got.json) == set(CONTRACTS["nudgecampaign"]["payload"])
        assert not lacking(got.json["data"], CONTRACTS["nudgecampaign"]["data_by_event"][word]), word
    for word, got in told.of("octeth").items():
        documented = CONTRACTS["octeth"]["payloads"][word]
        assert set(got.json) == set(documented)
        assert not lacking(got.json, documented), word


@SQLITE
async def test_each_format_says_whom_it_is_about_and_what_became_of_it(told: Told) -> None:
    nudged, gated = told.of("nudgecampaign"), told.of("octeth")
    opened = nudged["email.opened"].json
    assert opened["data"]["email"] == "ann@example.com"
    assert opened["data"]["metadata"]["user_agent"] == "Reader"
    assert opened["created_at"] == opened["data"]["timestamp"]
    assert re.fullmatch(r"evt_[a-z2-7]{26}", opened["id"])
    assert nudged["email.clicked"].json["data"]["metadata"]["url"] == LINK
    bounced = nudged["email.bounced"].json["data"]
    assert (bounced["email"], bounced["metadata"]["bounce_type"]) == (
        "bounce@simulator.postrider.test",
        "hard",
    )
    assert nudged["contact.unsubscribed"].json["data"]["metadata"] == {
        "reason": "one-click", "feedback": None,
    }  # fmt: skip
    assert "campaign_id" not in nudged["contact.unsubscribed"].json["data"]
    for word, got in gated.items():
        assert got.headers["x-octeth-event"] == word
        assert got.headers["x-octeth-delivery"] == got.json["EventId"]
        assert (got.json["DomainID"], got.json["Domain"]) == (1, DOMAIN)
    assert gated["click"].json["Details"]["Url"] == LINK
    assert gated["click"].json["Tags"] == ["welcome"]
    assert gated["unsubscribe"].json["Details"] == {"Method": "one-click", "IpAddress": "127.0.0.1"}
    assert gated["delivery"].json["Details"] == {"SmtpCode": "250", "Response": "2.0.0 captured"}
    assert gated["bounce"].json["Details"]["BounceType"] == "hard"
    assert gated["complaint"].json["Details"] == {"FeedbackType": "abuse"}
    assert told.of("mailerlogic")["email.failed"].json["recipient"] == "ann@example.com"


@SQLITE
async def test_receivers_in_python_node_and_php_accept_our_signatures_and_no_others(told: Told) -> None:
    lacks = {check.lacks for checks in CHECKS.values() for check in checks} - {None}
    if os.environ.get("CI") == "true":
        assert not lacks
    ran = 0
    for dialect, checks in CHECKS.items():
        secret = told.secrets[dialect]
        for check in checks:
            if check.lacks is None:
                for got in list(told.of(dialect).values())[:2]:
                    await asyncio.to_thread(judge, check, got.body, got.headers[SIGNATURES[dialect]], secret)
                ran += 1
    assert ran >= len(CHECKS), "Python is always there"


def judge(check: Check, body: bytes, signature: str, secret: str) -> None:
    assert check.accepts(body, signature, secret), check
    assert not check.accepts(body + b" ", signature, secret), check
    assert not check.accepts(body, signature, f"{secret}x"), check


_UNITS = {"s": clock.SECOND, "m": clock.MINUTE, "h": clock.HOUR}


def times_of(text: str) -> tuple[int, ...]:
    """Milliseconds of `1 minute, 5 min, 2h`."""
    found = re.findall(r"(\d+)\s*(s|m|h)(?:in|inutes?|ours?)?\b", text)
    return tuple(int(number) * _UNITS[unit] for number, unit in found)


def test_schedules_and_time_outs_are_those_of_the_contracts() -> None:
    flat, wrapped, nudge, gate = CONTRACTS.values()
    documented = {
        "mailerlogic": (" ".join(flat["delivery"]["retry_schedule"]), flat["delivery"]["timeout_seconds"]),
        "penguinmails": (wrapped["retries"], wrapped["acknowledgement"]),
        "nudgecampaign": (
            " ".join(nudge["delivery_inferred"]["retries_after"]), nudge["delivery_inferred"]["timeout_s"],
        ),
        "octeth": (gate["delivery"]["retries"], gate["delivery"]["timeout_seconds"]),
    }  # fmt: skip
    for name, (schedule, timeout) in documented.items():
        assert FORMATS[name].retries_ms == times_of(schedule), name
        assert str(int(FORMATS[name].timeout_s)) in re.findall(r"\d+(?= s| \(|$)", str(timeout)), name


def test_every_surface_that_the_documents_give_webhooks_has_a_format() -> None:
    assert set(FORMATS) == set(HAPPEN)
