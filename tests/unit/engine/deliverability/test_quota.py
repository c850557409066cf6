"""Checks counted against the plan's month, on both stores."""

import asyncio
from pathlib import Path

import pytest
from tests.factories import make_account

from postrider.db.database import Database
from postrider.engine.accounts import PLANS
from postrider.engine.deliverability import Kind, quota_of, spend
from postrider.engine.errors import Forbidden, QuotaExceeded
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.seal import Sealer

NOVEMBER, DECEMBER = "2026-11-30T23:59:59Z", "2026-12-01T00:00:00Z"
FREE = PLANS["free"].monthly_validations


@pytest.fixture
def principal(database: Database, tmp_path: Path) -> Principal:
    return Principal(make_account(database, Sealer(b"k" * 32), plan="free").organization_id)


def test_checks_are_counted_by_kind_and_month(database: Database, principal: Principal) -> None:
    at = clock.from_iso(NOVEMBER)
    clock.set_source(lambda: at)
    spent = database.write_now(spend, principal, Kind.ADDRESS, 7)
    assert (spent.limit, spent.used, spent.remaining) == (FREE, 7, FREE - 7)
    assert clock.to_iso(spent.reset_at).startswith("2026-12-01T00:00:00")
    assert database.read_now(quota_of, principal, Kind.ADDRESS) == spent
    assert database.read_now(quota_of, principal, Kind.CONTENT).used == 0
    database.write_now(spend, principal, Kind.CONTENT)
    assert database.read_now(quota_of, principal, Kind.CONTENT).used == 1
    at = clock.from_iso(DECEMBER)
    fresh = database.read_now(quota_of, principal, Kind.ADDRESS)
    assert fresh.used == 0
    assert clock.to_iso(fresh.reset_at).startswith("2027-01-01T00:00:00")


def test_what_does_not_fit_is_refused_whole_and_costs_nothing(
    database: Database, principal: Principal
) -> None:
    database.write_now(spend, principal, Kind.ADDRESS, FREE - 1)
    with pytest.raises(
        QuotaExceeded, match=f"The plan's {FREE} address validations of this month are used up"
    ):
        database.write_now(spend, principal, Kind.ADDRESS, 2)
    assert database.write_now(spend, principal, Kind.ADDRESS, 1).remaining == 0
    with pytest.raises(QuotaExceeded):
        database.write_now(spend, principal, Kind.ADDRESS, 1)


async def test_requests_at_one_time_do_not_pass_the_limit(database: Database, principal: Principal) -> None:
    asked = [database.write(spend, principal, Kind.ADDRESS, 100) for _ in range(20)]
    done = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(each, QuotaExceeded) for each in done) == 20 - FREE // 100
    assert database.read_now(quota_of, principal, Kind.ADDRESS).used == FREE


def test_one_accounts_checks_are_not_anothers(database: Database, principal: Principal) -> None:
    other = Principal(make_account(database, Sealer(b"k" * 32), email="b@example.test").organization_id)
    database.write_now(spend, principal, Kind.ADDRESS, 7)
    assert database.read_now(quota_of, other, Kind.ADDRESS).used == 0


def test_who_may_only_read_checks_nothing(database: Database, principal: Principal) -> None:
    reader = Principal(principal.organization_id, scopes=frozenset({"messages:read"}))
    assert database.read_now(quota_of, reader, Kind.ADDRESS).used == 0
    with pytest.raises(Forbidden):
        database.write_now(spend, reader, Kind.ADDRESS, 1)
