"""A credential that may hand in so many mails a minute is refused the next, for now."""

import asyncio
import smtplib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.factories import DOMAIN, Running, running_node

from postrider.engine import accounts

LIMIT = 3


@pytest.fixture
async def node(store_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with running_node(store_url, tmp_path / "data") as running:
        yield running


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_a_limited_credential_is_refused_beyond_its_limit_and_others_are_not(node: Running) -> None:
    limited, password = node.database.write_now(
        lambda tx: accounts.create_smtp(
            tx, node.principal, name="Slow", sender_domain=DOMAIN, sealer=node.sealer,
            rate_limit_per_hour=LIMIT,
        )
    )  # fmt: skip
    assert limited.username is not None
    codes = await asyncio.to_thread(_send, node.smtp_port, limited.username, password, LIMIT + 1)
    assert codes == [250] * LIMIT + [451]
    account = node.account
    assert await asyncio.to_thread(
        _send, node.smtp_port, account.smtp_username, account.smtp_password, LIMIT + 1
    ) == [250] * (LIMIT + 1)


def _send(port: int, username: str, password: str, count: int) -> list[int]:
    with smtplib.SMTP("127.0.0.1", port) as smtp:
        smtp.starttls()
        smtp.login(username, password)
        codes = []
        for _ in range(count):
            smtp.mail(f"a@{DOMAIN}")
            smtp.rcpt("ann@example.com")
            codes.append(smtp.data(f"From: a@{DOMAIN}\r\nTo: ann@example.com\r\nSubject: x\r\n\r\nx\r\n")[0])
            smtp.rset()
        return codes
