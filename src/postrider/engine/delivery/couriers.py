"""The last hop, a courier a connection: capture keeps the mail, the simulator plays, SMTP sends."""

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import unquote, urlsplit

from postrider.engine.content.model import Mail
from postrider.engine.delivery.classify import classify
from postrider.engine.delivery.downgrade import downgrade
from postrider.engine.delivery.model import Elsewhere, Job, Outcome, Verdict, Via
from postrider.engine.delivery.smtp import Answer, Connection, Failure, Stage, Timeouts, Tls
from postrider.engine.delivery.tls import opportunistic_context, verifying_context
from postrider.engine.journal import EventKind

SLOW_S = 5.0  # how long slow@ takes
DELIVERIES_A_CONNECTION = 10_000


class Courier(Protocol):
    """`ready`, then `adapt` the mail to what the peer takes, then `deliver`; remote faults never raise."""

    via: Via

    async def ready(self, job: Job) -> Outcome | Elsewhere | None: ...

    def adapt(self, mail: Mail) -> Mail | Outcome: ...

    async def deliver(self, job: Job, return_path: str, mail: Mail, data: Sequence[bytes]) -> Outcome: ...

    async def close(self) -> None: ...

    def abort(self) -> None: ...


class CaptureCourier:
    """Keeps every mail for the inbox; nothing leaves."""

    via = Via.CAPTURE

    async def ready(self, job: Job) -> Outcome | None:
        return None

    def adapt(self, mail: Mail) -> Mail | Outcome:
        return mail

    async def deliver(self, job: Job, return_path: str, mail: Mail, data: Sequence[bytes]) -> Outcome:
        return Outcome(
            Verdict.DELIVERED, self.via, host="inbox", code=250, enhanced="2.0.0", reply="captured",
            captured=b"".join(data),
        )  # fmt: skip

    async def close(self) -> None:
        return

    def abort(self) -> None:
        return


# What each simulated address answers: a reply to classify, or what follows the delivery.
SCRIPT: dict[str, tuple[int, str, str] | EventKind] = {
    "bounce": (550, "5.1.1", "no such user here"),
    "soft": (452, "4.2.2", "mailbox full"),
    "block": (554, "5.7.1", "message refused by policy"),
    "complaint": EventKind.COMPLAINED,
    "unsubscribe": EventKind.UNSUBSCRIBED,
}


class SimulatorCourier(CaptureCourier):
    """Plays the outcome that the recipient's local part names; others are delivered into the inbox."""

    via = Via.SIMULATOR

    async def deliver(self, job: Job, return_path: str, mail: Mail, data: Sequence[bytes]) -> Outcome:
        name = job.claimed.address_key.partition("@")[0].partition("+")[0]
        if name == "slow":
            await asyncio.sleep(SLOW_S)
        match SCRIPT.get(name):
            case (code, enhanced, text):
                return outcome_of(self.via, Answer(Stage.END, code, enhanced, text), host="simulator")
            case EventKind() as aftermath:
                return Outcome(
                    Verdict.DELIVERED, self.via, host="simulator", code=250, enhanced="2.0.0", reply="played",
                    captured=b"".join(data), aftermath=aftermath,
                )  # fmt: skip
            case None:
                return await super().deliver(job, return_path, mail, data)


@dataclass(frozen=True, slots=True)
class Relay:
    """Where all mail goes: `smtp://user:password@host:port`; `smtp+tls` insists on a good certificate."""

    host: str
    port: int
    auth: tuple[str, str] | None
    tls: Tls

    def context(self) -> ssl.SSLContext:
        """Opportunistic TLS takes any certificate (RFC 7435); TLS insisted on wants a good one."""
        return verifying_context() if self.tls is Tls.REQUIRED else opportunistic_context()

    @classmethod
    def from_url(cls, url: str) -> "Relay":
        """Raises ValueError for what is no relay URL."""
        parts = urlsplit(url)
        if parts.scheme not in ("smtp", "smtp+tls") or not parts.hostname:
            raise ValueError(
                "must read smtp://user:password@host:port, or smtp+tls://… to insist on STARTTLS"
            )
        auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        tls = Tls.REQUIRED if parts.scheme == "smtp+tls" else Tls.OPPORTUNISTIC
        return cls(parts.hostname, parts.port or 25, auth, tls)


class ConnectedCourier(ABC):
    """One SMTP connection, used again for the next mail. Who derives from it knows where it leads."""

    via: Via

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._delivered = 0

    def adapt(self, mail: Mail) -> Mail | Outcome:
        assert self._connection is not None
        adapted = downgrade(mail, self._connection.extensions)
        if isinstance(adapted, Mail):
            return adapted
        return outcome_of(self.via, adapted, host=self._connection.host)

    async def deliver(self, job: Job, return_path: str, mail: Mail, data: Sequence[bytes]) -> Outcome:
        answer, outcome = await self._send(job, return_path, mail, data)
        if answer.stage is Stage.MAIL and self._is_spent(answer):
            # Nothing was taken, and not for this mail's sake: so once more on a fresh connection.
            self.abort()
            if (unready := await self._open_again(outcome)) is not None:
                return unready
            _, outcome = await self._send(job, return_path, mail, data)
        return outcome

    async def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    def abort(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    @abstractmethod
    async def _open_again(self, outcome: Outcome) -> Outcome | None:
        """Connect as before, or say what it came to; `outcome` is what the spent connection gave."""

    def _is_spent(self, answer: Answer) -> bool:
        """Whether an answer at MAIL means the connection only: the peer had hung up while we were idle."""
        return answer.code is None

    def _has_room(self, deliveries_max: int) -> bool:
        connection = self._connection
        return connection is not None and connection.is_open and self._delivered < deliveries_max

    def _use(self, connection: Connection) -> None:
        self._connection, self._delivered = connection, 0

    async def _send(
        self, job: Job, return_path: str, mail: Mail, data: Sequence[bytes]
    ) -> tuple[Answer, Outcome]:
        connection = self._connection
        assert connection is not None
        result = await connection.send(
            return_path,
            [job.claimed.recipient],
            data,
            smtputf8=mail.needs_smtputf8,
            body_8bit=mail.needs_8bitmime,
        )
        self._delivered += 1
        if not result.is_reusable:
            self.abort()
        outcome = outcome_of(
            self.via, result.answers[0], host=connection.host, ip=connection.ip, tls=connection.tls,
            transcript=tuple(result.transcript),
        )  # fmt: skip
        return result.answers[0], outcome


class SmtpCourier(ConnectedCourier):
    """Hands everything to a relay, on a connection opened when first needed."""

    via = Via.RELAY

    def __init__(self, relay: Relay, hostname: str, ssl_context: ssl.SSLContext) -> None:
        super().__init__()
        self._relay = relay
        self._hostname = hostname
        self._ssl_context = ssl_context

    async def ready(self, job: Job) -> Outcome | None:
        if self._has_room(DELIVERIES_A_CONNECTION):
            return None
        await self.close()
        return await self._open()

    async def _open_again(self, outcome: Outcome) -> Outcome | None:
        return await self._open()

    async def _open(self) -> Outcome | None:
        opened = await open_connection(
            self._relay.host,
            self._relay.port,
            hostname=self._hostname,
            tls=self._relay.tls,
            ssl_context=self._ssl_context,
            auth=self._relay.auth,
        )
        if isinstance(opened, Failure):
            return unreachable(self.via, opened, host=self._relay.host)
        self._use(opened)
        return None


async def open_connection(
    host: str,
    port: int,
    *,
    hostname: str,
    tls: Tls,
    ssl_context: ssl.SSLContext,
    ip: str | None = None,
    auth: tuple[str, str] | None = None,
    timeouts: Timeouts | None = None,
) -> Connection | Failure:
    """As Connection.open; where opportunistic TLS is offered and fails, once more in clear (RFC 7435)."""

    async def attempt(tls: Tls) -> Connection | Failure:
        return await Connection.open(
            host,
            port,
            hostname=hostname,
            ip=ip,
            tls=tls,
            ssl_context=None if tls is Tls.NEVER else ssl_context,
            auth=auth,
            timeouts=timeouts,
        )

    opened = await attempt(tls)
    if isinstance(opened, Failure) and opened.stage is Stage.STARTTLS and tls is Tls.OPPORTUNISTIC:
        opened = await attempt(Tls.NEVER)
    return opened


def unreachable(via: Via, failure: Failure, *, host: str | None = None, ip: str | None = None) -> Outcome:
    """Nobody was there to take a mail: the site's trouble, whatever was said."""
    return replace(
        outcome_of(via, failure, host=host, ip=ip, transcript=failure.transcript), verdict=Verdict.UNREACHABLE
    )


def outcome_of(
    via: Via,
    answer: Answer,
    *,
    host: str | None = None,
    ip: str | None = None,
    tls: str | None = None,
    transcript: tuple[str, ...] = (),
) -> Outcome:
    """The outcome an answer means, by the rules of classify.toml."""
    if answer.is_accepted:
        return Outcome(
            Verdict.DELIVERED,
            via,
            host,
            ip,
            tls,
            answer.code,
            answer.enhanced,
            answer.text,
            transcript=transcript,
        )
    found = classify(answer.code, answer.enhanced, answer.text, answer.stage)
    return Outcome(
        Verdict(found.verdict.value),
        via,
        host,
        ip,
        tls,
        answer.code,
        answer.enhanced,
        answer.text,
        found,
        transcript,
    )
