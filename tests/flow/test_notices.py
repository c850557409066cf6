"""The platform's own mail through a whole node: queued, signed where it can be, captured in the inbox."""

import email
from email.policy import default
from pathlib import Path

import dkim
import pytest
from tests.factories import DOMAIN, Running, running_node
from tests.flow.world import published, until

from postrider.engine import notices
from postrider.engine.delivery import control
from postrider.engine.notices import Kind, Notice
from postrider.settings import load

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
FACTS = {
    "host": "shop.test", "url": "https://shop.test/hook", "failing_since": 1_900_000_000_000, "failures": 12,
    "last_answer": "status 500",
}  # fmt: skip


async def captured(running: Running) -> bytes:
    """The mail of one notice, as it stands in the organization's inbox."""
    organization_id = running.account.organization_id
    letterhead = running.node.installation.letterhead
    notice = Notice(organization_id, Kind.WEBHOOK_DISABLED, "one", FACTS)
    assert await running.database.write(notices.send, letterhead, notice)

    async def is_there() -> bool:
        return bool(
            await running.database.read(lambda tx: control.list_captured(tx, [organization_id], limit=5))
        )

    await until(is_there, "captured")
    (mail,) = running.database.read_now(lambda tx: control.list_captured(tx, [organization_id], limit=5))
    assert mail.recipient == "owner@example.test"
    found = running.database.read_now(control.one_captured, [organization_id], mail.id)
    assert found is not None
    return found[1]


async def test_a_notice_is_in_the_inbox_of_its_organization(node: Running) -> None:
    raw = await captured(node)
    mail = email.message_from_bytes(raw, policy=default)
    assert mail["From"] == "Postrider <postrider@mx.postrider.test>"
    assert mail["Subject"] == "Your webhook to shop.test was disabled"
    assert (mail["Auto-Submitted"], mail["List-Unsubscribe"]) == ("auto-generated", None)
    assert mail["DKIM-Signature"] is None, "it is of nobody's domain"
    html, plain = mail.get_body(("html",)), mail.get_body(("plain",))
    assert html is not None
    assert plain is not None
    assert "https://shop.test/hook" in plain.get_content()
    assert "/track/" not in html.get_content()
    assert node.base_url.split(":")[0] in html.get_content()


@SQLITE
async def test_a_notice_from_a_verified_domain_is_signed_with_it(store_url: str, tmp_path: Path) -> None:
    sender = f"Post Office <office@{DOMAIN}>"
    async with running_node(store_url, tmp_path / "data", notices_from=sender) as running:
        raw = await captured(running)
        records = await published(running)
        assert dkim.verify(raw, dnsfunc=lambda name, timeout=5: records.get(name.decode().rstrip(".")))
        assert email.message_from_bytes(raw, policy=default)["From"] == sender


def test_a_from_that_is_no_mailbox_is_refused_at_the_start() -> None:
    assert str(load(hostname="mx.example.com").notices_mailbox.address) == "postrider@mx.example.com"
    assert load(blocklists=" bl.test. ,, names.test").blocklist_zones == ("bl.test", "names.test")
    assert load(hostname="localhost").notices_mailbox.address == "postrider@localhost"
    with pytest.raises(ValueError, match="address"):
        load(notices_from="nobody at all")
