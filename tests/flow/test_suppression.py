"""Whoever suppresses an address, by whatever door or by bouncing, stops every door, and mail that waits."""

import asyncio
import smtplib
from email.message import EmailMessage
from typing import Any

import httpx2
import pytest
from tests.factories import DOMAIN, Running
from tests.flow.world import Clock, message, status, tried, until

from postrider.engine import sending
from postrider.engine.messages import Status
from postrider.engine.sending import SendCommand, Submission
from postrider.kit import clock
from postrider.kit.address import Mailbox
from postrider.kit.ids import RowId

ANN, SENDER = "ann@example.com", f"shop@{DOMAIN}"
SOFT = "soft@simulator.postrider.test"


class Doors:
    """The doors of one account: how each suppresses, and what each says to a mail."""

    def __init__(self, node: Running, http: httpx2.AsyncClient) -> None:
        self.node = node
        self.http = http
        self.keys = node.account.keys

    async def command(self, name: str, **parameters: Any) -> Any:
        asked = {"Command": name, "APIKey": self.keys["octeth"], **parameters}
        answer = (await self.http.post("/octeth/api.php", json=asked)).json()
        assert answer["Success"], answer
        return answer

    async def post(self, path: str, body: Any, key: str) -> httpx2.Response:
        return await self.http.post(path, json=body, headers={"Authorization": f"Bearer {key}"})

    async def customer(self, path: str, **body: Any) -> Any:
        answer = await self.post(f"/mailerlogic/api/customer/{path}", body, self.keys["mailerlogic"])
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def console(self, path: str, **body: Any) -> None:
        answer = await self.post(f"/console/v1/{path}", body, self.keys["console"])
        assert answer.status_code == 201, answer.text

    async def statuses(self, to: str = ANN) -> list[int]:
        """What each door answers to a mail: MailerLogic, PenguinMails, Octeth, SMTP."""
        made = await self.command("EmailGateway.AddAPI", DomainID=1, Description="Door")
        mail = {"from": SENDER, "to": to, "subject": "Hello", "html": "<p>Hello</p>"}
        penguins = {**mail, "from": {"email": SENDER}, "content": {"html": "<p>Hello</p>"}}
        gateways = {
            "From": {"email": SENDER, "name": "Shop"},
            "To": [{"email": to, "name": "Ann"}],
            "Subject": "Hello",
            "ContentType": "html",
            "HtmlContent": "<p>Hello</p>",
        }
        answers = [
            await self.post("/mailerlogic/api/v1/send", mail, self.keys["mailerlogic"]),
            await self.post("/penguinmails/api/v1/emails/send", penguins, self.keys["penguinmails"]),
            await self.post("/octeth/api/v1/email", gateways, made["APIKey"]["Key"]),
        ]
        return [*(answer.status_code for answer in answers), await asyncio.to_thread(self._submit, to)]

    def _submit(self, to: str) -> int:
        """250, or the code that a submitted mail is refused with."""
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = SENDER, to, "Hello"
        mail.set_content("Hello")
        account = self.node.account
        with smtplib.SMTP("127.0.0.1", self.node.smtp_port) as smtp:
            smtp.starttls()
            smtp.login(account.smtp_username, account.smtp_password)
            try:
                smtp.send_message(mail)
            except smtplib.SMTPRecipientsRefused as refused:
                return int(next(iter(refused.recipients.values()))[0])
            except smtplib.SMTPResponseException as refused:
                return int(refused.smtp_code)
        return 250


@pytest.fixture
async def doors(node: Running) -> Any:
    async with httpx2.AsyncClient(base_url=node.base_url, timeout=30) as http:
        yield Doors(node, http)


OPEN, SHUT = [200, 200, 200, 250], [403, 409, 409, 550]


async def test_what_one_door_suppresses_stops_the_others(doors: Doors) -> None:
    assert await doors.statuses() == OPEN
    await doors.command("Suppression.Import", EmailAddresses='["Ann@Example.com"]')
    assert await doors.statuses() == SHUT
    await doors.command("Suppression.Delete", EmailAddress=ANN)
    assert await doors.statuses() == OPEN


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_each_way_to_suppress_shuts_every_door_and_one_command_opens_them(doors: Doors) -> None:
    for path in ("suppressions", "unsubscribes"):
        await doors.customer(path, email=ANN)
        assert await doors.statuses() == SHUT, path
        await doors.command("Suppression.Delete", EmailAddress=ANN)
    await doors.console("suppressions", **{"address": ANN, "class": "block"})
    assert await doors.statuses() == SHUT
    await doors.console("suppressions", **{"address": ANN, "class": "allow"})
    assert await doors.statuses() == OPEN
    await doors.console("operator/suppressions", address=ANN, reason="A spam trap")
    assert await doors.statuses() == SHUT


async def test_mail_that_waits_is_not_sent_to_an_address_suppressed_meanwhile(
    node: Running, doors: Doors
) -> None:
    time = Clock()
    waiting = await send(node, ANN, send_at=clock.now_ms() + clock.HOUR)
    await doors.command("Suppression.Import", EmailAddresses=f'["{ANN}"]')
    assert await status(node, waiting) is Status.QUEUED
    await time.leap(node, clock.HOUR)
    assert await ended(node, waiting) is Status.SUPPRESSED


async def test_three_soft_bounces_in_a_row_shut_every_door(node: Running, doors: Doors) -> None:
    time = Clock()
    ids = [await send(node, SOFT) for _ in range(3)]
    for number in range(1, 4):
        for message_id in ids:
            row = await tried(node, message_id, number)
        assert (await doors.command("Suppression.Browse"))["TotalRecords"] == 0
        await time.leap_to(node, row.due_at + clock.MINUTE * 15)
    for message_id in ids:
        assert await ended(node, message_id) is Status.BOUNCED

    async def is_suppressed() -> bool:
        return bool((await doors.command("Suppression.Browse"))["SuppressedEmails"] == [SOFT])

    await until(is_suppressed, "the follower's word")
    assert await doors.statuses(SOFT) == SHUT
    answer = await doors.http.get(
        "/mailerlogic/api/customer/suppressions", headers={"X-API-Key": doors.keys["mailerlogic"]}
    )
    (entry,) = answer.json()["suppressions"]
    assert (entry["type"], entry["bounce_type"], entry["source"]) == ("bounce", "soft", "system")


async def send(node: Running, to: str, send_at: int | None = None) -> RowId:
    prepared, recipients = sending.prepare(SendCommand(to=[Mailbox(to)], subject="Hello", text="Hello"))
    receipt = await node.node.sender.send(Submission(node.principal, prepared, recipients, send_at=send_at))
    return receipt.accepted[0].message_id


async def ended(node: Running, message_id: RowId) -> Status:
    async def is_so() -> bool:
        return Status((await message(node, message_id)).status).is_final

    await until(is_so, "an end")
    return await status(node, message_id)
