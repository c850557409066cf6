"""Whose addresses take mail, what a mail to them is counted as, and what of it stands in the log."""

from collections import Counter
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.factories import Running, running_node

from postrider.engine.delivery.feedback.model import Reason
from postrider.kit.ids import new_id
from postrider.kit.seal import Sealer
from postrider.surfaces.common.smtp.backend import Envelope
from postrider.surfaces.inbound.post import TAKEN, UNKNOWN, Post

HOSTNAME = "mx.postrider.test"
PEER = "192.0.2.7"


class Desk:
    """A backend in front of a node's store, and what it has counted."""

    def __init__(self, running: Running) -> None:
        self.counted: Counter[str] = Counter()
        self.post = Post(running.node.services(), self._count)
        self.token = running.sealer.message_token(running.account.organization_id, new_id())

    def takes(self, address: str) -> bool:
        refusal = self.post.check_recipient(PEER, address.replace("TOKEN", self.token))
        assert refusal in (None, UNKNOWN)
        return refusal is None

    def _count(self, kind: str) -> None:
        self.counted[kind] += 1


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_node("sqlite", tmp_path / "data", hostname=HOSTNAME) as running:
        yield running


@pytest.fixture
def desk(running: Running) -> Desk:
    return Desk(running)


def envelope(*recipients: str, sender: str = "", subject: str = "Hello", text: str = "Hello") -> Envelope:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "ann@example.org", recipients[0], subject
    mail.set_content(text)
    return Envelope(
        sender=sender,
        recipients=recipients,
        body=mail.as_bytes().replace(b"\n", b"\r\n"),
        peer_ip=PEER,
        helo="mx.example.org",
        tls=False,
        smtputf8=False,
        body_8bit=False,
    )


@pytest.mark.parametrize(
    "address",
    [
        f"b+TOKEN@{HOSTNAME}",
        "b+TOKEN@bounces.customer.test",  # a return path of a customer's own
        f"B+TOKEN@{HOSTNAME.upper()}",
        f"unsubscribe+TOKEN@{HOSTNAME}",
        f"fbl@{HOSTNAME}",
        f"FBL@{HOSTNAME.upper()}",
        f"postmaster@{HOSTNAME}",
        f"Abuse@{HOSTNAME}",
    ],
)
async def test_an_address_of_ours_takes_mail(desk: Desk, address: str) -> None:
    assert desk.takes(address)


@pytest.mark.parametrize(
    "address",
    [
        f"ann@{HOSTNAME}",
        f"b@{HOSTNAME}",
        f"b+@{HOSTNAME}",
        f"b+TOKENx@{HOSTNAME}",
        f"b+xTOKEN@{HOSTNAME}",
        f"c+TOKEN@{HOSTNAME}",
        f"TOKEN@{HOSTNAME}",
        f"unsubscribe@{HOSTNAME}",
        f"unsubscribe+{'a' * 47}@{HOSTNAME}",
        f'"b+TOKEN"@{HOSTNAME}',
        f"bé+TOKEN@{HOSTNAME}",
        f"fbl+TOKEN@{HOSTNAME}",
        "fbl@bounces.customer.test",
        "postmaster@customer.test",
        f"abuse@sub.{HOSTNAME}",
    ],
)
async def test_any_other_address_is_refused(desk: Desk, address: str) -> None:
    assert not desk.takes(address)


async def test_a_token_of_another_installation_is_refused(desk: Desk) -> None:
    foreign = Sealer(bytes(32)).message_token(1, new_id())
    assert not desk.takes(f"b+{foreign}@{HOSTNAME}")
    assert not desk.takes(f"unsubscribe+{foreign}@{HOSTNAME}")


async def test_everybody_has_a_session_and_nobody_logs_in(desk: Desk, running: Running) -> None:
    account = running.account
    login = (account.smtp_username, account.smtp_password)
    assert await desk.post.trusted(PEER) is not None
    assert await desk.post.authenticate(*login, PEER, None) is None


async def test_a_mail_to_people_is_taken_unread_and_logged_without_its_text(desk: Desk) -> None:
    text = f"unsubscribe+{desk.token}@{HOSTNAME}, please"
    with capture_logs() as logged:
        reply = await desk.post.submit(PEER, envelope(f"abuse@{HOSTNAME}", sender="a@example.org", text=text))
    assert (reply, desk.counted) == (TAKEN, Counter(unknown=1))
    (line,) = (line for line in logged if line["event"] == "inbound.unknown")
    assert (line["to"], line["sender"], line["reason"]) == ("abuse", "a@example.org", Reason.UNRECOGNIZED)
    assert "please" not in str(line)


async def test_a_token_does_not_stand_in_the_log(desk: Desk) -> None:
    with capture_logs() as logged:
        await desk.post.submit(PEER, envelope(f"b+{desk.token}@{HOSTNAME}", sender="ann@example.org"))
    (line,) = (line for line in logged if line["event"] == "inbound.unknown")
    assert (line["to"], line["reason"]) == ("b", Reason.REPLY)
    assert desk.token not in str(logged)


async def test_a_message_that_is_not_kept_is_nothing(desk: Desk) -> None:
    recipients = (f"unsubscribe+{desk.token}@{HOSTNAME}", f"fbl@{HOSTNAME}")
    assert await desk.post.submit(PEER, envelope(*recipients, sender="ann@example.org")) == TAKEN
    assert desk.counted == Counter(gone=1, unknown=1)
