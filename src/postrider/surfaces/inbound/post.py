"""Behind the inbound server: which addresses take mail, and what the mail to them does once it is read.

It knows the return paths and opt-out addresses this installation has given out, the feedback loop, and those
that every mail host has. Mail to anything else is refused at RCPT; none is kept, relayed or answered.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from postrider.engine import engagement
from postrider.engine.delivery import feedback
from postrider.engine.delivery.feedback.tokens import Door, door_of, genuine
from postrider.surfaces.common.services import Services, Unavailable
from postrider.surfaces.common.smtp.backend import Envelope, Refusal, Reply
from postrider.surfaces.common.smtp.options import SmtpOptions

SIZE_MAX_OCTETS = 1_048_576
RECIPIENTS_MAX = 10  # a report has one
MESSAGES_MAX = 1_000
CONNECTIONS_MAX = 500
CONNECTIONS_PER_IP_MAX = 50
READ_AT_ONCE = 2  # mails: reading is work for the processor, and sending goes first
FEEDBACK_LOOP = "fbl"
FOR_PEOPLE = frozenset(("postmaster", "abuse"))  # RFC 5321 4.5.1, RFC 2142: what comes there is not read here

TAKEN = Reply(250, "2.0.0", "taken")
UNKNOWN = Reply(550, "5.1.1", "no such address here")
UNAVAILABLE = Reply(451, "4.3.0", "the store is not available, try again later")
log = structlog.get_logger(__name__)


def options(hostname: str) -> SmtpOptions:
    """The limits of a server that strangers speak to."""
    return SmtpOptions(
        hostname=hostname,
        is_submission=False,
        size_max_octets=SIZE_MAX_OCTETS,
        recipients_max=RECIPIENTS_MAX,
        messages_max=MESSAGES_MAX,
        connections_max=CONNECTIONS_MAX,
        connections_per_ip_max=CONNECTIONS_PER_IP_MAX,
    )


class Post:
    """The backend of the inbound server; a session is the peer's address, `count` hears what a mail did."""

    def __init__(self, services: Services, count: Callable[[str], None]) -> None:
        self._services = services
        self._count = count
        self._reading = asyncio.Semaphore(READ_AT_ONCE)

    async def authenticate(
        self, username: str, password: str, peer: str, tls_server_name: str | None
    ) -> str | None:
        return None  # nobody logs in here

    async def trusted(self, peer_ip: str) -> str | None:
        return peer_ip

    def check_sender(self, session: str, address: str) -> Refusal | None:
        return None  # reports come from `<>`, complaints from anybody

    def check_recipient(self, session: str, address: str) -> Refusal | None:
        """A genuine token at any host, for customers have return paths of their own; else names at ours."""
        local_part, _, host = address.rpartition("@")
        door, token = door_of(local_part)
        if door is not Door.OTHER:
            return None if genuine(token, self._services.sealer) else UNKNOWN
        is_known = local_part.lower() in {FEEDBACK_LOOP, *FOR_PEOPLE}
        return None if is_known and host.lower() == self._services.hostname.lower() else UNKNOWN

    async def submit(self, session: str, envelope: Envelope) -> Reply:
        """250 once all that the mail says is on disk; what it says a second time changes nothing."""
        async with self._reading:
            reports = await asyncio.to_thread(self._read, envelope)
        try:
            done = await self._services.db.write_first(
                lambda tx: [engagement.take(tx, self._services.sealer, report) for report in reports]
            )
        except Unavailable:
            return UNAVAILABLE
        for address, report, kind in zip(envelope.recipients, reports, done, strict=True):
            self._count(kind)
            if isinstance(report, feedback.Unknown):
                _log_unknown(envelope, address, report)
        return TAKEN

    def _read(self, envelope: Envelope) -> Sequence[feedback.Report]:
        """A report for each recipient; the null sender is told as the last hop tells it (RFC 5321 4.4)."""
        raw = f"Return-Path: <{envelope.sender}>\r\n".encode() + envelope.body
        return [self._read_at(address.rpartition("@")[0], raw) for address in envelope.recipients]

    def _read_at(self, local_part: str, raw: bytes) -> feedback.Report:
        if local_part.lower() in FOR_PEOPLE:
            return feedback.Unknown(feedback.Reason.UNRECOGNIZED)
        return feedback.read(local_part, raw, self._services.sealer)


def _log_unknown(envelope: Envelope, address: str, report: feedback.Unknown) -> None:
    """Without the token, which would open its message to whoever reads logs."""
    log.info(
        "inbound.unknown",
        to=address.rpartition("@")[0].partition("+")[0].lower(),
        sender=envelope.sender,
        peer_ip=envelope.peer_ip,
        octets=len(envelope.body),
        reason=report.reason.value,
    )
