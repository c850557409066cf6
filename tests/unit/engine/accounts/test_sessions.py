"""Users who log in: what their tokens open, when they end, and how often a password may be guessed."""

from collections.abc import Iterator

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy import text
from tests.factories import PASSWORD, make_account

from postrider.db.database import Database
from postrider.engine.accounts import Lifetimes, NewAccount, Sessions, Tokens
from postrider.engine.accounts.throttle import FAILURES_PER_USER, WINDOW_MS
from postrider.engine.errors import (
    Forbidden,
    OrganizationSuspended,
    RateLimited,
    TokenExpired,
    Unauthenticated,
)
from postrider.kit import clock
from postrider.kit.seal import Sealer

LABEL = "door"
EMAIL = "owner@example.test"
LIFETIMES = Lifetimes(access_ms=15 * clock.MINUTE, refresh_ms=30 * clock.DAY)
ALG_NONE = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
NOON = 1_795_261_140_000


@pytest.fixture
def time() -> Iterator[list[int]]:
    at = [NOON]
    clock.set_source(lambda: at[0])
    yield at
    clock.set_source(None)


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(bytes(32))


@pytest.fixture
def account(database: Database, sealer: Sealer, time: list[int]) -> NewAccount:
    return make_account(database, sealer, email=EMAIL)


@pytest.fixture
def sessions(database: Database, sealer: Sealer, account: NewAccount) -> Sessions:
    return Sessions(database, sealer)


async def log_in(sessions: Sessions, email: str = EMAIL, password: str = PASSWORD) -> Tokens:
    return await sessions.login(email, password, label=LABEL, lifetimes=LIFETIMES, address="192.0.2.1")


async def test_an_access_token_opens_the_live_organization(sessions: Sessions, account: NewAccount) -> None:
    tokens = await log_in(sessions)
    caller = await sessions.by_access_token(tokens.access, LABEL)
    assert (caller.principal.organization_id, caller.role) == (account.organization_id, "owner")
    assert caller.user is not None
    assert (caller.user.id, caller.credential) == (account.user_id, None)


async def test_the_address_may_be_written_in_any_case(sessions: Sessions) -> None:
    assert (await log_in(sessions, EMAIL.upper())).user.email == EMAIL


@pytest.mark.parametrize(
    ("email", "password"), [(EMAIL, "wrong"), ("nobody@example.test", PASSWORD), ("x", "y")]
)
async def test_a_wrong_login_says_nothing_of_what_was_wrong(
    sessions: Sessions, email: str, password: str
) -> None:
    with pytest.raises(Unauthenticated, match="missing or wrong"):
        await log_in(sessions, email, password)


async def test_an_access_token_ends_after_its_time(sessions: Sessions, time: list[int]) -> None:
    tokens = await log_in(sessions)
    time[0] += LIFETIMES.access_ms
    with pytest.raises(TokenExpired):
        await sessions.by_access_token(tokens.access, LABEL)


async def test_a_token_opens_one_surface_only_and_one_use_only(sessions: Sessions) -> None:
    tokens = await log_in(sessions)
    with pytest.raises(Unauthenticated):
        await sessions.by_access_token(tokens.access, "another")
    with pytest.raises(Unauthenticated):
        await sessions.by_access_token(tokens.refresh, LABEL)
    with pytest.raises(Unauthenticated):
        await sessions.refresh(tokens.access, label=LABEL, lifetimes=LIFETIMES)


@pytest.mark.parametrize("key", [b"x" * 32, b""])
async def test_a_token_signed_by_others_is_refused(
    sessions: Sessions, account: NewAccount, key: bytes
) -> None:
    claims = {"org": account.organization_id, "sid": "00" * 16, "aud": LABEL, "use": "access", "exp": 2**40}
    if key:
        forged = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(key))
    else:
        forged = (
            "eyJhbGciOiJub25lIn0."
            + jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(b"x" * 32)).split(".")[1]
            + "."
        )
    with pytest.raises(Unauthenticated):
        await sessions.by_access_token(forged, LABEL)


async def test_a_refresh_token_is_good_once_and_a_second_use_ends_the_session(sessions: Sessions) -> None:
    first = await log_in(sessions)
    second = await sessions.refresh(first.refresh, label=LABEL, lifetimes=LIFETIMES)
    with pytest.raises(Unauthenticated):
        await sessions.refresh(first.refresh, label=LABEL, lifetimes=LIFETIMES)
    with pytest.raises(Unauthenticated):  # the thief's and the owner's alike
        await sessions.refresh(second.refresh, label=LABEL, lifetimes=LIFETIMES)


async def test_a_refresh_token_runs_out(sessions: Sessions, time: list[int]) -> None:
    tokens = await log_in(sessions)
    time[0] += LIFETIMES.refresh_ms
    with pytest.raises(TokenExpired):
        await sessions.refresh(tokens.refresh, label=LABEL, lifetimes=LIFETIMES)


async def test_logging_out_ends_every_token_of_the_session_and_no_other(sessions: Sessions) -> None:
    tokens, other = await log_in(sessions), await log_in(sessions)
    await sessions.end(await sessions.by_access_token(tokens.access, LABEL))
    for refused in (
        sessions.by_access_token(tokens.access, LABEL),
        sessions.refresh(tokens.refresh, label=LABEL, lifetimes=LIFETIMES),
    ):
        with pytest.raises(Unauthenticated):
            await refused
    assert await sessions.by_access_token(other.access, LABEL)


async def test_an_opaque_session_opens_its_surface_until_it_runs_out(
    sessions: Sessions, time: list[int]
) -> None:
    opened = await sessions.open(EMAIL, PASSWORD, label=LABEL, lifetime_ms=clock.HOUR, address="192.0.2.1")
    assert (await sessions.by_session(opened.secret, LABEL)).role == "owner"
    for secret, label in ((opened.secret, "another"), ("", LABEL), ("x" * 40, LABEL)):
        with pytest.raises(Unauthenticated):
            await sessions.by_session(secret, label)
    time[0] += clock.HOUR
    with pytest.raises(TokenExpired):
        await sessions.by_session(opened.secret, LABEL)


async def test_passwords_can_be_guessed_a_few_times_only(sessions: Sessions, time: list[int]) -> None:
    for _ in range(FAILURES_PER_USER):
        with pytest.raises(Unauthenticated):
            await log_in(sessions, password="wrong")
    with pytest.raises(RateLimited) as refused:
        await log_in(sessions)
    assert 0 < refused.value.facts["retry_after_s"] <= WINDOW_MS // clock.SECOND + 1
    time[0] += WINDOW_MS
    assert await log_in(sessions)


async def test_the_users_of_a_suspended_organization_cannot_log_in(
    sessions: Sessions, database: Database
) -> None:
    database.write_now(lambda tx: tx.execute(text("UPDATE organizations SET status = 'suspended'")))
    with pytest.raises(OrganizationSuspended):
        await log_in(sessions)


async def test_a_viewer_reads_and_writes_nothing(sessions: Sessions, database: Database) -> None:
    database.write_now(lambda tx: tx.execute(text("UPDATE memberships SET role = 'viewer'")))
    caller = await sessions.by_access_token((await log_in(sessions)).access, LABEL)
    caller.principal.require("messages:read")
    with pytest.raises(Forbidden):
        caller.principal.require("messages:send")
