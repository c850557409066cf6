"""Behind the SMTP protocol: credentials, adopting the message, handing it to the engine as any door does."""

import ipaddress
import time
from collections.abc import Sequence

from postrider.engine import content, sending
from postrider.engine.accounts.authenticate import Caller
from postrider.engine.errors import EngineError
from postrider.engine.messages import Stream
from postrider.kit import clock, mime
from postrider.kit.ids import RowId, new_id, to_uuid
from postrider.surfaces.common.services import Services, Unavailable
from postrider.surfaces.common.smtp.backend import Envelope, Refusal, Reply
from postrider.surfaces.smtp.errors import reply_to
from postrider.surfaces.smtp.pace import Pace

STREAMS = {stream.name.lower(): stream for stream in Stream}
UNAVAILABLE = Reply(451, "4.3.0", "the store is not available, try again later")
TRUSTED_KEPT_S = 5.0

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Door:
    """The backend of the SMTP server; `trusted` are (network, credential username) pairs."""

    def __init__(self, services: Services, trusted: Sequence[tuple[str, str]]) -> None:
        self._services = services
        self._trusted: list[tuple[Network, str]] = [
            (ipaddress.ip_network(network), username) for network, username in trusted
        ]
        self._pace = Pace()
        self._known: dict[str, tuple[float, Caller | None]] = {}

    async def authenticate(
        self, username: str, password: str, peer: str, tls_server_name: str | None
    ) -> Caller | None:
        return await self._services.keyring.by_smtp_login(username, password)

    async def trusted(self, peer_ip: str) -> Caller | None:
        """The credential a trusted network stands for, looked up again every few seconds."""
        address = ipaddress.ip_address(peer_ip.partition("%")[0])
        for network, username in self._trusted:
            if address in network:
                kept = self._known.get(username)
                if kept is None or kept[0] < time.monotonic():
                    kept = (
                        time.monotonic() + TRUSTED_KEPT_S,
                        await self._services.keyring.by_username(username),
                    )
                    self._known[username] = kept
                return kept[1]
        return None

    def check_sender(self, session: Caller, address: str) -> Refusal | None:
        return None  # the return path is ours; From is checked with the message

    def check_recipient(self, session: Caller, address: str) -> Refusal | None:
        return None

    async def submit(self, session: Caller, envelope: Envelope) -> Reply:
        """250 when it is on disk; a refusal in the words of `errors.REPLIES`."""
        try:
            self._pace.take(session.credential)
            group_id = new_id()
            adopted = content.adopt(
                self._received(envelope, group_id) + envelope.body, group_id=group_id, date_ms=clock.now_ms()
            )
            stream = STREAMS.get(adopted.stream or "", Stream.SHARED)
            prepared, recipients = sending.prepare_raw(adopted, envelope.recipients, stream)
            receipt = await self._services.sender.send(
                sending.Submission(session.principal, prepared, recipients, group_id=group_id)
            )
        except EngineError as error:
            return reply_to(error)
        except Unavailable:
            return UNAVAILABLE
        return Reply(250, "2.0.0", f"queued as {to_uuid(receipt.group_id)}")

    def _received(self, envelope: Envelope, group_id: RowId) -> bytes:
        """The trace line (RFC 5321 4.4), without the client's address: that is the sender's affair."""
        with_ = "UTF8SMTP" if envelope.smtputf8 else "ESMTP"
        with_ += "S" if envelope.tls else ""
        date = mime.date_field(clock.now_ms()).decode("ascii").removeprefix("Date: ")
        line = f"Received: by {self._services.hostname} with {with_}A\r\n id {group_id.hex()}; {date}\r\n"
        return line.encode("ascii")
