"""The SMTP client (RFC 5321, with PIPELINING, SIZE, 8BITMIME, SMTPUTF8, STARTTLS and AUTH). It only speaks.

Which host, which address, when, and what an answer means is decided elsewhere. Faults of the far end are
values; only a caller's mistake (an address with a line break in it) raises.
"""

import asyncio
import base64
import os
import re
import ssl
from collections.abc import Sequence
from enum import StrEnum

from postrider.engine.delivery.dialogue import Dialogue, Timeouts
from postrider.engine.delivery.extensions import NONE, Extensions, wire_address
from postrider.engine.delivery.replies import Answer, Failure, Reply, Stage, transcribe
from postrider.engine.delivery.tls import ResumingContext
from postrider.engine.delivery.transaction import CONNECTION_LOST, Result, encode_data, judge, transact

__all__ = ["Answer", "Connection", "Extensions", "Failure", "Result", "Stage", "Timeouts", "Tls"]

RECIPIENTS_MAX = 100
_ADDRESS = re.compile(
    r'(?:"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*"|[^\x00-\x20\x7f"<>]+)@[^\x00-\x20\x7f"<>]+'
)
_HOSTNAME = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
_NOT_IMPLEMENTED = (500, 501, 502, 504)


class Tls(StrEnum):
    """What is asked of STARTTLS; OPPORTUNISTIC goes on in clear only where it is not offered or refused."""

    NEVER = "never"
    OPPORTUNISTIC = "opportunistic"
    REQUIRED = "required"


class Connection:
    """An open SMTP session; `send` as often as `is_open`. Made by `Connection.open` only."""

    def __init__(self, host: str, timeouts: Timeouts) -> None:
        self.host = host
        self.ip: str | None = None
        self.tls: str | None = None  # "TLSv1.3 TLS_AES_256_GCM_SHA384"
        self.is_tls_resumed = False
        self.extensions: Extensions = NONE
        self._said: list[str] = []  # while opening
        self._heard: list[Reply] = []
        self._timeouts = timeouts
        self._dialogue = Dialogue()
        self._must_reset = False

    @staticmethod
    async def open(
        host: str,
        port: int,
        *,
        hostname: str,
        ip: str | None = None,
        source_ip: str | None = None,
        tls: Tls = Tls.OPPORTUNISTIC,
        ssl_context: ssl.SSLContext | None = None,
        auth: tuple[str, str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> "Connection | Failure":
        """Connect, greet (as `hostname`), encrypt and log in.

        `ip` is where to connect, without asking DNS for `host`; `source_ip` the local address to do it from;
        `ssl_context` is needed unless `tls` is NEVER. After a Failure at STARTTLS under OPPORTUNISTIC,
        connect again with NEVER.
        """
        assert _HOSTNAME.fullmatch(hostname), "EHLO takes a host name or an address literal"
        assert ssl_context is not None or tls is Tls.NEVER, "TLS needs a context"
        connection = Connection(host, timeouts or Timeouts())
        is_complete = False
        try:
            failure = (
                await connection._connect(ip or host, port, source_ip)
                or await connection._await_greeting()
                or await connection._introduce(hostname)
                or await connection._encrypt(tls, ssl_context, hostname)
                or (await connection._log_in(*auth) if auth else None)
            )
            is_complete = failure is None
        finally:
            if not is_complete:
                connection.abort()
        return failure or connection

    @property
    def is_open(self) -> bool:
        """False where the peer left, or said something unasked (421 before it leaves)."""
        return self._dialogue.lost is None and not self._dialogue.has_unread

    @property
    def transcript(self) -> list[str]:
        """`C: …` and `S: …` lines of the opening, without secrets, at most 4 kB."""
        return transcribe(self._said, self._heard)

    async def send(
        self,
        sender: str,
        recipients: Sequence[str],
        message: bytes | Sequence[bytes],
        *,
        smtputf8: bool = False,
        body_8bit: bool = False,
    ) -> Result:
        """Offer one mail to up to RECIPIENTS_MAX recipients; `sender` may be empty (the null return path).

        `message` is headers, blank line and body with CRLF line ends, dots not yet stuffed. `smtputf8`: a
        header holds raw UTF-8 (addresses are looked at here); `body_8bit`: a body line is not ASCII. What the
        peer cannot take is refused without asking it. Raises ValueError for an address that cannot stand in a
        command.
        """
        assert 0 < len(recipients) <= RECIPIENTS_MAX
        data = encode_data(message if isinstance(message, bytes) else b"".join(message))
        source = _path(sender) if sender else ""
        paths = [_path(recipient) for recipient in recipients]
        smtputf8 = smtputf8 or not (source.isascii() and all(map(str.isascii, paths)))
        refusal = self.extensions.refuse(len(data), smtputf8=smtputf8, body_8bit=body_8bit)
        if refusal is None and not self.is_open:
            refusal = Answer(
                Stage.MAIL, None, CONNECTION_LOST, self._dialogue.lost or "the peer spoke unasked"
            )
        if refusal is not None:
            return Result((refusal,) * len(paths), self.is_open, False, (), ())
        parameters = self.extensions.mail_parameters(len(data), smtputf8=smtputf8, body_8bit=body_8bit)
        return await self._transact(
            [f"MAIL FROM:<{source}>{parameters}", *[f"RCPT TO:<{path}>" for path in paths]], data
        )

    async def close(self) -> None:
        """QUIT, wait a moment for its answer, and disconnect."""
        self._dialogue.write(b"QUIT\r\n")
        await self._dialogue.hear(1, self._timeouts.quit)
        await self._dialogue.close(self._timeouts.quit)

    def abort(self) -> None:
        """Disconnect at once, whatever is under way."""
        self._dialogue.abort("given up")

    async def _transact(self, envelope: Sequence[str], data: bytes) -> Result:
        is_reusable = False
        try:
            result = await transact(
                self._dialogue,
                envelope,
                data,
                is_pipelined=self.extensions.pipelining,
                must_reset=self._must_reset,
                timeouts=self._timeouts,
            )
            is_reusable = result.is_reusable
        finally:
            if not is_reusable:  # also when cancelled: nothing more may be written into a half-sent mail
                self.abort()
        self._must_reset = not any(answer.stage is Stage.END for answer in result.answers)
        return result

    async def _connect(self, address: str, port: int, source_ip: str | None) -> Failure | None:
        loop = asyncio.get_running_loop()
        local = (source_ip, 0) if source_ip else None
        try:
            async with asyncio.timeout(self._timeouts.connect):
                await loop.create_connection(lambda: self._dialogue, address, port, local_addr=local)
        except TimeoutError:
            return self._failure(Stage.CONNECT, None, "4.4.1", "connection timed out")
        except (
            OSError,
            UnicodeError,
        ) as error:  # UnicodeError: a host name that no resolver can be asked for
            return self._failure(Stage.CONNECT, None, "4.4.1", _reason(error))
        self.ip = self._dialogue.peer_ip
        return None

    async def _await_greeting(self) -> Failure | None:
        return _failed(await self._ask(Stage.GREETING, "", (220,), self._timeouts.greeting))

    async def _introduce(self, hostname: str) -> Failure | None:
        heard = await self._ask(Stage.EHLO, f"EHLO {hostname}", (250,), self._timeouts.ehlo)
        if isinstance(heard, Reply):
            self.extensions = Extensions.read(heard.lines)
            return None
        if heard.code not in _NOT_IMPLEMENTED:
            return heard
        return _failed(await self._ask(Stage.EHLO, f"HELO {hostname}", (250,), self._timeouts.ehlo))

    async def _encrypt(self, tls: Tls, context: ssl.SSLContext | None, hostname: str) -> Failure | None:
        if tls is Tls.NEVER:
            return None
        assert context is not None
        refused: Failure | None
        if self.extensions.starttls:
            refused = _failed(await self._ask(Stage.STARTTLS, "STARTTLS", (220,), self._timeouts.command))
        else:
            refused = self._failure(Stage.STARTTLS, None, "4.7.10", "STARTTLS is required but not offered")
        if refused is None:
            failure = await self._shake_hands(context) or await self._introduce(hostname)
            if failure is None:
                self._remember(context)
            return failure
        return refused if tls is Tls.REQUIRED or not self.is_open else None

    async def _shake_hands(self, context: ssl.SSLContext) -> Failure | None:
        plain = self._dialogue.transport
        assert plain is not None
        if self._dialogue.has_unread:  # said in clear, to be believed as if encrypted (CVE-2011-0411)
            return self._failure(Stage.STARTTLS, None, "4.7.0", "data injected before the TLS handshake")
        try:
            secure = await asyncio.get_running_loop().start_tls(
                plain,
                self._dialogue,
                context,
                server_hostname=self.host.rstrip("."),
                ssl_handshake_timeout=self._timeouts.tls,
            )
        except (OSError, ValueError) as error:  # ValueError: a host name that no certificate can have
            return self._failure(Stage.STARTTLS, None, "4.7.5", f"TLS handshake failed: {_reason(error)}")
        if secure is None:
            return self._failure(Stage.STARTTLS, None, "4.7.5", "TLS handshake failed: connection closed")
        self._dialogue.transport = secure
        session = secure.get_extra_info("ssl_object")
        self.tls = f"{session.version()} {session.cipher()[0]}"
        self.is_tls_resumed = session.session_reused
        return None

    def _remember(self, context: ssl.SSLContext) -> None:
        """Only now: TLS 1.3 sends its tickets after the handshake, before the first reply."""
        if isinstance(context, ResumingContext) and self._dialogue.transport is not None:
            session = self._dialogue.transport.get_extra_info("ssl_object").session
            context.remember(self.host.rstrip("."), session)

    async def _log_in(self, user: str, password: str) -> Failure | None:
        """AUTH PLAIN (RFC 4616), else LOGIN; the transcript shows neither name nor password."""
        seconds = self._timeouts.auth
        if "PLAIN" in self.extensions.auth:
            secret = _base64(f"\0{user}\0{password}")
            return _failed(
                await self._ask(Stage.AUTH, f"AUTH PLAIN {secret}", (235,), seconds, shown="AUTH PLAIN …")
            )
        if "LOGIN" not in self.extensions.auth:
            return self._failure(Stage.AUTH, None, "4.7.0", "neither AUTH PLAIN nor LOGIN is offered")
        steps = ("AUTH LOGIN", 334, "AUTH LOGIN"), (_base64(user), 334, "…"), (_base64(password), 235, "…")
        for command, code, shown in steps:
            heard = await self._ask(Stage.AUTH, command, (code,), seconds, shown=shown)
            if isinstance(heard, Failure):
                return heard
        return None

    async def _ask(
        self,
        stage: Stage,
        command: str,
        expected: tuple[int, ...],
        seconds: float,
        *,
        shown: str | None = None,
    ) -> Reply | Failure:
        """Say `command` (nothing, for the greeting); a reply that is not expected is a Failure."""
        if command:
            self._dialogue.write(command.encode("utf-8") + b"\r\n")
        heard = await self._dialogue.hear(1, seconds)
        self._said.append(command if shown is None else shown)
        self._heard += heard
        if not heard:
            return self._failure(stage, None, CONNECTION_LOST, self._dialogue.lost or "")
        reply = heard[0]
        if reply.code in expected:
            return reply
        answer = judge(stage, reply)
        return self._failure(stage, answer.code, answer.enhanced, answer.text)

    def _failure(self, stage: Stage, code: int | None, enhanced: str | None, text: str) -> Failure:
        return Failure(stage, code, enhanced, text, tuple(self.transcript))


def _path(address: str) -> str:
    if not _ADDRESS.fullmatch(address):
        raise ValueError("not an address for a mail command")
    return wire_address(address)


def _failed(heard: Reply | Failure) -> Failure | None:
    return heard if isinstance(heard, Failure) else None


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8")).decode("ascii")


def _reason(error: Exception) -> str:
    """The system's word for it, without errno, address and Python's file names."""
    match error:
        case ssl.SSLCertVerificationError():
            return str(error.verify_message)
        case ssl.SSLError():
            return str(error.reason or error)
        case OSError() if error.strerror and error.errno:
            return os.strerror(error.errno) if error.errno > 0 else error.strerror
        case _:
            return str(error) or type(error).__name__
