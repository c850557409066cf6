"""Content scores and validated addresses against their contract: keys, refusals, credits, what is unknown."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.contract.walk import load, missing_keys
from tests.factories import Running, make_account, running_node
from tests.sink.dns import DnsServer, Fault

from postrider.surfaces.mailerlogic import content_score, validation

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

CONTRACT = load("mailerlogic")
OPERATIONS = {each.id: each for each in (*content_score.OPERATIONS, *validation.OPERATIONS)}
RECORDS = {
    ("example.com", "MX"): ["10 aspmx.l.google.com."],
    ("mailinator.com", "MX"): ["10 mail.mailinator.com."],
    ("nomail.test", "MX"): ["0 ."],
}
Json = dict[str, Any]
BODIES: dict[str, Json] = {
    "contentScore": {"subject": "FREE offer!!!", "html": "<p>Act now</p>"},
    "validateAddress": {"email": "user@example.com"},
    "validateBatch": {"emails": ["user@example.com", "admin@mailinator.com"]},
}


@pytest.fixture
async def node(store_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with DnsServer(RECORDS, {"broken.test": Fault.SERVFAIL}) as dns:
        servers = f"127.0.0.1:{dns.address[1]}"
        async with running_node(store_url, tmp_path / "data", dns_servers=servers) as running:
            yield running


@pytest.fixture
async def http(node: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(node, node.account.keys["mailerlogic"]) as client:
        yield client


def client_of(node: Running, key: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"{node.base_url}/mailerlogic", headers={"X-API-Key": key})


async def call(http: httpx2.AsyncClient, name: str, body: Any = None) -> httpx2.Response:
    operation = OPERATIONS[name]
    return await http.request(operation.method, operation.paths[0], json=body)


async def done(http: httpx2.AsyncClient, name: str, body: Any = None) -> Json:
    answer = await call(http, name, body)
    assert answer.status_code == CONTRACT[name].status, answer.text
    told: Json = answer.json()
    return told


async def test_every_operation_answers_with_the_keys_of_its_contract(http: httpx2.AsyncClient) -> None:
    for name, operation in OPERATIONS.items():
        contracted = CONTRACT[name]
        assert (operation.method, operation.paths) == (contracted.method, contracted.paths)
        told = await done(http, name, BODIES.get(name))
        assert not missing_keys(told, contracted.keys), told
    aliased = await http.post("/api/content-score", json=BODIES["contentScore"])
    assert aliased.json()["quota"] == {"limit": 1000, "used": 2, "remaining": 998}


@SQLITE
async def test_every_operation_answers_its_documented_errors(node: Running, http: httpx2.AsyncClient) -> None:
    free = make_account(node.database, node.sealer, email="free@free.test", plan="free")
    for name in OPERATIONS:
        async with client_of(node, "ml_live_" + "0" * 64) as stranger:
            unknown = await call(stranger, name, BODIES.get(name))
        assert (unknown.status_code, unknown.json()["error"]) == (401, "Unauthorized"), name
        answered = {401}
        if name in BODIES:
            assert (await call(http, name, {})).status_code == 400, name
            answered |= {400, 429}  # 429: the test below
        assert answered >= CONTRACT[name].errors, name
    async with client_of(node, free.keys["mailerlogic"]) as poor:
        for _ in range(10):
            await done(poor, "validateBatch", {"emails": ["no address"] * 100})
        refused = await call(poor, "validateAddress", BODIES["validateAddress"])
        assert (refused.status_code, refused.json()["error"]) == (429, "quota_exceeded")
        assert (await done(poor, "validationQuota"))["quota"]["remaining"] == 0
        await done(poor, "contentScore", BODIES["contentScore"])


@SQLITE
async def test_a_batch_that_costs_more_than_is_left_is_refused_whole(node: Running) -> None:
    free = make_account(node.database, node.sealer, email="free@free.test", plan="free")
    async with client_of(node, free.keys["mailerlogic"]) as http:
        await done(http, "validateAddress", {"email": "no address"})
        for _ in range(9):
            await done(http, "validateBatch", {"emails": ["no address"] * 100})
        assert (await call(http, "validateBatch", {"emails": ["no address"] * 100})).status_code == 429
        assert (await done(http, "validationQuota"))["quota"]["remaining"] == 99


async def test_an_address_is_told_with_what_is_not_known_as_null(http: httpx2.AsyncClient) -> None:
    told = await done(http, "validateAddress", {"email": "Ann.Smith@example.com"})
    assert told == {
        "email": "Ann.Smith@example.com", "is_valid": True, "syntax_valid": True, "domain_exists": True,
        "mx_found": True, "mx_records": ["aspmx.l.google.com"], "is_disposable": False,
        "is_role_account": False, "is_free_provider": False, "smtp_check": "not_checked",
        "mailbox_exists": None, "is_catch_all": None, "suggestion": None, "risk_score": 5,
        "confidence_score": 85, "confidence_label": "high", "mx_provider": "google",
        "email_pattern": "first.last", "reasons": [],
    }  # fmt: skip
    broken = await done(http, "validateAddress", {"email": "ann@broken.test"})
    unknown = ("is_valid", "domain_exists", "mx_found", "mailbox_exists", "confidence_score", "risk_score")
    assert [broken[key] for key in unknown] == [None] * 6
    assert broken["confidence_label"] == "unknown"
    bad = await done(http, "validateAddress", {"email": "no address"})
    assert (bad["is_valid"], bad["syntax_valid"], bad["domain_exists"]) == (False, False, None)
    assert (bad["mailbox_exists"], bad["confidence_label"]) == (False, "very_low")
    assert [reason["code"] for reason in bad["reasons"]] == ["invalid_syntax"]


@SQLITE
async def test_a_batch_sums_up_what_it_tells(http: httpx2.AsyncClient) -> None:
    emails = ["ann@example.com", "admin@mailinator.com", "ann@nomail.test", "bad", "ann@broken.test"]
    told = await done(http, "validateBatch", {"emails": emails})
    assert [result["email"] for result in told["results"]] == emails
    assert [result["is_valid"] for result in told["results"]] == [True, True, False, False, None]
    assert told["summary"] == {"total": 5, "valid": 2, "invalid": 2, "unknown": 1}
    assert told["credits_used"] == 5
    assert told["results"][1]["is_disposable"]
    assert told["results"][1]["is_role_account"]
    quota = (await done(http, "validationQuota"))["quota"]
    assert (quota["used"], quota["remaining"]) == (5, quota["limit"] - 5)
    assert quota["reset_at"].endswith("-01T00:00:00.000Z")


@SQLITE
async def test_a_score_names_what_it_found_and_where(http: httpx2.AsyncClient) -> None:
    told = await done(http, "contentScore", BODIES["contentScore"])
    assert told["score"] == 100 - sum(issue["points"] for issue in told["issues"])
    found = {(issue["type"], issue["location"]): issue for issue in told["issues"]}
    assert found["spam_word", "body"] == {
        "type": "spam_word", "severity": "medium", "message": 'Contains "Act now"', "location": "body",
        "points": 5,
    }  # fmt: skip
    assert found["spam_word", "subject"]["message"] == 'Contains "FREE offer"'
    assert told["suggestions"]
    assert told["grade"] in ("good", "fair")
    from_own = {
        "subject": "Your box",
        "text": "Your box comes on Monday.",
        "headers": {"List-Unsubscribe": "<x>"},
    }
    assert (await done(http, "contentScore", from_own))["score"] == 100
    free = await done(http, "contentScore", {**from_own, "from": "Ann <ann@gmail.com>"})
    assert [issue["location"] for issue in free["issues"]] == ["from"]


@SQLITE
@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("contentScore", {"subject": "Hello"}),
        ("contentScore", {"subject": "Hello", "html": "", "text": ""}),
        ("contentScore", {"html": "<p>Hello</p>"}),
        ("contentScore", {"subject": "", "text": "Hello"}),
        ("contentScore", {"subject": 7, "text": "Hello"}),
        ("contentScore", {"subject": "Hello", "text": "x" * 500_001}),
        ("contentScore", {"subject": "Hello", "text": "x", "from": "nobody"}),
        ("contentScore", {"subject": "Hello", "text": "x", "headers": {"A\nB": "c"}}),
        ("validateAddress", {"email": ""}),
        ("validateAddress", {"email": None}),
        ("validateAddress", {"email": ["a@example.com"]}),
        ("validateAddress", {"email": "a" * 1_001}),
        ("validateBatch", {"emails": []}),
        ("validateBatch", {"emails": "a@example.com"}),
        ("validateBatch", {"emails": ["a@example.com", 7]}),
        ("validateBatch", {"emails": ["a@example.com"] * 101}),
    ],
)
async def test_a_malformed_request_is_refused_and_costs_nothing(
    http: httpx2.AsyncClient, name: str, body: Json
) -> None:
    refused = await call(http, name, body)
    assert refused.status_code == 400, refused.text
    assert (await done(http, "validationQuota"))["quota"]["used"] == 0
    told = await done(http, "contentScore", {"subject": "Hello", "text": "Hello"})
    assert told["quota"]["used"] == 1


@SQLITE
async def test_all_faults_of_a_body_are_told_at_once(http: httpx2.AsyncClient) -> None:
    refused = await call(http, "contentScore", {"subject": "", "from": "nobody"})
    assert {each["field"] for each in refused.json()["errors"]} == {"subject", "text", "from"}
