"""Statistics and usage against their contract, and against what happened."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.contract.past import day_of, days_ago, followed, past_of
from tests.contract.walk import load, missing_keys
from tests.factories import DOMAIN, Running, make_account

from postrider.engine.insight import PLATFORMS
from postrider.engine.journal import EventKind
from postrider.kit import clock
from postrider.kit.ids import new_id, to_uuid
from postrider.surfaces.mailerlogic import statistics, vocabulary

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

CONTRACT = load("mailerlogic")
OPERATIONS = {operation.id: operation for operation in statistics.OPERATIONS}
GMAIL = "Mozilla/5.0 (Windows NT 5.1) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
OUTLOOK = "Mozilla/4.0 (compatible; MSIE 7.0; Microsoft Outlook 16.0)"
STATS = "/api/v1/stats/outbound"
NOON = days_ago(5)
Json = dict[str, Any]


def client_of(node: Running, key: str = "") -> httpx2.AsyncClient:
    headers = {"X-API-Key": key or node.account.keys["mailerlogic"]}
    return httpx2.AsyncClient(base_url=f"{node.base_url}/mailerlogic", headers=headers)


@pytest.fixture
async def client(node: Running) -> AsyncIterator[httpx2.AsyncClient]:
    """Two mails of the node's domain and one of no domain, five days ago; one was opened the day after."""
    past = past_of(node)
    first, second = (past.mail(NOON, domain_id=node.domain.id) for _ in range(2))
    other = past.mail(NOON)
    past.record(
        *(past.event(EventKind.ACCEPTED, NOON, each) for each in (first, second, other)),
        *(past.event(EventKind.DELIVERED, NOON, each) for each in (first, other)),
        past.event(EventKind.BOUNCED, NOON + clock.HOUR, second, **{"class": "hard"}),
        past.event(EventKind.OPENED, NOON, first, user_agent=GMAIL, human=True),
        past.event(EventKind.OPENED, NOON + clock.DAY, first, user_agent=GMAIL, human=False),
        past.event(EventKind.OPENED, NOON + clock.DAY, first, user_agent=OUTLOOK),
        past.event(EventKind.CLICKED, NOON + clock.DAY, first, link=0),
        past.event(EventKind.COMPLAINED, NOON + clock.DAY, first),
        past.event(EventKind.FAILED, NOON + clock.DAY, other, reason="too long"),
    )
    await followed(node)
    async with client_of(node) as client:
        yield client


async def asked(client: httpx2.AsyncClient, path: str, **query: str) -> Json:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


def test_the_paths_are_the_contracts_and_every_mail_program_has_a_name() -> None:
    for operation in OPERATIONS.values():
        contracted = CONTRACT[operation.id]
        assert (operation.method, operation.paths) == (contracted.method, contracted.paths)
    assert set(vocabulary.PLATFORM_NAMES) == set(PLATFORMS)


async def test_every_statistic_has_the_keys_of_its_contract(client: httpx2.AsyncClient) -> None:
    for operation_id, operation in OPERATIONS.items():
        for path in operation.paths:
            body = await asked(client, path)
            assert not missing_keys(body, CONTRACT[operation_id].keys), (operation_id, body)


async def test_the_overview_counts_what_happened(client: httpx2.AsyncClient) -> None:
    assert await asked(client, STATS) == {
        "sent": 3, "delivered": 2, "bounced": 1, "failed": 1, "complaints": 1,
        "opens": 3, "unique_opens": 1, "human_opens": 1, "scanner_opens": 1,
        "suspicious_opens": 0, "suspicious_clicks": 0,
        "clicks": 1, "unique_clicks": 1, "human_clicks": 0, "scanner_clicks": 0,
    }  # fmt: skip
    humans = await asked(client, STATS, filter="human_only")
    assert (humans["opens"], humans["unique_opens"], humans["clicks"]) == (1, 1, 0)
    scanners = await asked(client, STATS, filter="scanner_only")
    assert (scanners["opens"], scanners["unique_opens"], scanners["human_opens"]) == (1, None, 1)
    assert humans["sent"] == scanners["sent"] == 3


async def test_days_and_hours_stand_one_after_the_other_without_gaps(client: httpx2.AsyncClient) -> None:
    two_days = {"fromdate": day_of(NOON), "todate": day_of(NOON + clock.DAY)}
    assert await asked(client, f"{STATS}/opens", **two_days) == {
        "precision": "day",
        "data": [
            {
                "date": day_of(NOON), "opens": 1, "unique_opens": 1, "human_opens": 1, "scanner_opens": 0,
                "suspicious_opens": 0,
            },
            {
                "date": day_of(NOON + clock.DAY), "opens": 2, "unique_opens": 0, "human_opens": 0,
                "scanner_opens": 1, "suspicious_opens": 0,
            },
        ],
        "total": 3,
    }  # fmt: skip
    hours = await asked(client, f"{STATS}/bounces", **two_days, precision="hour")
    assert (hours["precision"], hours["total"], len(hours["data"])) == ("hour", 1, 48)
    assert [each for each in hours["data"] if each["bounced"]] == [
        {"date": clock.to_iso(NOON + clock.HOUR), "bounced": 1, "hard": 1, "soft": 0, "block": 0}
    ]
    month = await asked(client, f"{STATS}/sends")
    assert (month["total"], sum(each["sent"] for each in month["data"])) == (3, 3)
    assert len(month["data"]) == 31, "thirty days end within a day"


async def test_a_domains_figures_are_its_own_and_another_accounts_are_none(
    client: httpx2.AsyncClient, node: Running
) -> None:
    of_domain = {"domain_id": to_uuid(node.domain.id)}
    assert (await asked(client, STATS, **of_domain))["sent"] == 2
    assert (await asked(client, STATS, domain_id=to_uuid(new_id())))["sent"] == 0
    stranger = make_account(node.database, node.sealer, email="stranger@example.test")
    async with client_of(node, stranger.keys["mailerlogic"]) as strange:
        assert set((await asked(strange, STATS, **of_domain)).values()) == {0}
        assert (await asked(strange, "/api/v1/customer/usage"))["limits"]["used_percentage"] == "0.00"


@SQLITE
async def test_mail_programs_are_told_with_their_share(client: httpx2.AsyncClient) -> None:
    assert await asked(client, f"{STATS}/opens/platforms") == {
        "platforms": [
            {"platform": "Gmail", "opens": 2, "percentage": 66.7},
            {"platform": "Outlook", "opens": 1, "percentage": 33.3},
        ],
        "total": 3,
    }


async def test_usage_is_this_months_and_the_limit_the_accounts(
    client: httpx2.AsyncClient, node: Running
) -> None:
    before = (await asked(client, "/api/v1/customer/usage"))["current_month"]
    mail = {"from": f"a@{DOMAIN}", "to": "new@example.com", "subject": "Hello", "text": "Hello"}
    assert (await client.post("/api/v1/send", json=mail)).status_code == 200
    await followed(node)
    body = await asked(client, "/api/v1/customer/usage", domain_id=to_uuid(node.domain.id))
    assert body["limits"] == {
        "monthly_limit": 1_000_000_000, "remaining": 999_999_999, "used_percentage": "0.00",
    }  # fmt: skip
    after = (await asked(client, "/api/customer/usage"))["current_month"]
    assert after["emails_sent"] == before["emails_sent"] + 1


MALFORMED = (
    {"fromdate": "yesterday"},
    {"todate": "9999-12-31"},
    {"domain_id": "7"},
    {"precision": "week"},
    {"filter": "robots"},
    {"fromdate": "1990-01-01"},
)


@SQLITE
async def test_malformed_queries_are_told_and_odd_ones_answered(client: httpx2.AsyncClient) -> None:
    for query in MALFORMED:
        answer = await client.get(f"{STATS}/clicks", params=query)
        assert (answer.status_code, answer.json()["error"]) == (400, "Validation failed"), query
    both = await client.get(STATS, params={"fromdate": "x", "filter": "y"})
    assert len(both.json()["errors"]) == 2
    for query in (
        {"fromdate": "9999-12-30", "todate": "9999-12-30"},
        {"fromdate": "0001-01-01", "todate": "0001-01-02"},
        {"fromdate": "2026-05-02", "todate": "2026-05-01"},
        {"fromdate": "", "precision": ""},
    ):
        assert (await client.get(f"{STATS}/sends", params=query)).status_code == 200, query
    for path in OPERATIONS["statsSpam"].paths:
        assert (await client.get(path, headers={"X-API-Key": "ml_live_0"})).status_code == 401
