"""The dialogue: what each command line is answered, in which order commands may come. It touches no socket.

Replies carry enhanced status codes (RFC 2034); only the extensions that EHLO announces are accepted.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic

from postrider.surfaces.common.smtp.auth import MECHANISMS, Broken, Credentials, Exchange
from postrider.surfaces.common.smtp.backend import Backend, S
from postrider.surfaces.common.smtp.options import (
    AUTH_FAILURES_MAX,
    AUTH_LINE_MAX_OCTETS,
    COMMAND_LINE_MAX_OCTETS,
    HELO_MAX_CHARS,
    SmtpOptions,
)
from postrider.surfaces.common.smtp.paths import Fault, Path, parse_path

_RESET = b"250 2.0.0 Ok\r\n"
_SENDER = b"250 2.1.0 Sender ok\r\n"
_RECIPIENT = b"250 2.1.5 Recipient ok\r\n"
_AUTHENTICATED = b"235 2.7.0 Authentication succeeded\r\n"
_NOT_AUTHENTICATED = b"535 5.7.8 Authentication credentials invalid\r\n"
_UNSUPPORTED = b"555 5.5.4 Parameter not supported\r\n"
_NO_UTF8 = b"553 5.6.7 Addresses beyond ASCII need SMTPUTF8\r\n"
_FORBIDDEN = frozenset((b"GET", b"POST", b"PUT", b"CONNECT"))  # a browser made to speak to the wrong port


@dataclass(frozen=True, slots=True)
class Close:
    """Send this last reply and hang up."""

    reply: bytes


@dataclass(frozen=True, slots=True)
class Receive:
    """Send 354 and read the message."""


@dataclass(frozen=True, slots=True)
class StartTls:
    """Send 220, forget what else has arrived and shake hands."""


Answer = bytes | Close | Receive | StartTls | Credentials


@dataclass(slots=True)
class Transaction:
    """From MAIL to the end of DATA."""

    sender: str
    smtputf8: bool = False
    body_8bit: bool = False
    recipients: list[str] = field(default_factory=list)


class Dialogue(Generic[S]):
    """One connection's conversation; `tls_available` says whether STARTTLS can be offered."""

    def __init__(
        self, backend: Backend[S], options: SmtpOptions, *, tls_available: bool, trusted: S | None
    ) -> None:
        self._backend = backend
        self._options = options
        self._tls_available = tls_available
        self._trusted = trusted
        self._exchange: Exchange | None = None
        self._errors = 0
        self._auth_failures = 0
        self._messages = 0
        self._authenticated = False
        self.session = trusted
        self.transaction: Transaction | None = None
        self.helo = ""
        self.tls = False

    def answer(self, line: bytes) -> Answer:
        """`line` without its CRLF. Never raises for anything a client can send."""
        if self._exchange is not None:
            return self._respond(line)
        verb, _, rest = line.partition(b" ")
        verb = verb.upper()
        if len(line) > COMMAND_LINE_MAX_OCTETS - 2 and (
            verb != b"AUTH" or len(line) > AUTH_LINE_MAX_OCTETS - 2
        ):
            return self.fault(b"500 5.5.6 Line too long\r\n")
        if verb in _FORBIDDEN:
            return Close(b"421 4.7.0 This is not a web server\r\n")
        command = _COMMANDS.get(verb)
        if command is None:
            return self.fault(b"500 5.5.1 Command not recognized\r\n")
        try:
            argument = rest.decode("utf-8")
        except UnicodeDecodeError:
            return self.fault(b"500 5.5.2 Neither ASCII nor UTF-8\r\n")
        if not argument.isprintable():
            return self.fault(b"500 5.5.2 Control characters in the command\r\n")
        return command(self, argument.strip())

    def fault(self, reply: bytes) -> bytes | Close:
        """A reply to something a proper client does not send; too many of them end the connection."""
        self._errors += 1
        if self._errors >= self._options.errors_max:
            return Close(b"421 4.7.0 Too many errors\r\n")
        return reply

    def secured(self) -> None:
        """TLS is on: what was said before it does not count (RFC 3207 4.2)."""
        self.tls = True
        self.helo = ""
        self.session = self._trusted
        self._authenticated = False
        self.transaction = None

    def authenticated(self, session: S | None) -> bytes | Close:
        """The reply to credentials the backend has judged."""
        if session is not None:
            self.session = session
            self._authenticated = True
            return _AUTHENTICATED
        self._auth_failures += 1
        if self._auth_failures >= AUTH_FAILURES_MAX:
            return Close(b"421 4.7.0 Too many failed attempts to authenticate\r\n")
        return self.fault(_NOT_AUTHENTICATED)

    def take_transaction(self) -> Transaction:
        """The transaction whose message has arrived; the next one may begin."""
        transaction = self.transaction
        assert transaction is not None
        self.transaction = None
        self._messages += 1
        return transaction

    # The commands: each takes its argument, stripped.

    def _ehlo(self, argument: str) -> Answer:
        return self._greet(argument) or self._extensions()

    def _helo(self, argument: str) -> Answer:
        return self._greet(argument) or f"250 {self._options.hostname}\r\n".encode("ascii")

    def _greet(self, argument: str) -> Answer | None:
        if not argument or not argument.isascii() or " " in argument or len(argument) > HELO_MAX_CHARS:
            return self.fault(b"501 5.5.4 A host name is needed\r\n")
        self.helo = argument
        self.transaction = None
        return None

    def _extensions(self) -> bytes:
        lines = [self._options.hostname, "PIPELINING", f"SIZE {self._options.size_max_octets}"]
        if self._tls_available and not self.tls:
            lines.append("STARTTLS")
        if self._options.is_submission and self._auth_allowed and not self._authenticated:
            lines.append("AUTH " + " ".join(MECHANISMS))
        lines += ["8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        last = lines.pop()
        return "".join([*(f"250-{line}\r\n" for line in lines), f"250 {last}\r\n"]).encode("ascii")

    def _starttls(self, argument: str) -> Answer:
        if argument:
            return self.fault(b"501 5.5.4 STARTTLS takes no argument\r\n")
        if self.tls:
            return self.fault(b"503 5.5.1 TLS is on already\r\n")
        if not self._tls_available:
            return self.fault(b"502 5.5.1 TLS is not available\r\n")
        return StartTls()

    @property
    def _auth_allowed(self) -> bool:
        return self.tls or self._options.auth_without_tls or self._trusted is not None

    def _auth(self, argument: str) -> Answer:
        if not self._options.is_submission:
            return self.fault(b"502 5.5.1 AUTH is not available\r\n")
        if not self.helo:
            return self._unordered(b"EHLO first")
        if self._authenticated:
            return self._unordered(b"Authenticated already")
        if self.transaction is not None:
            return self._unordered(b"Not within a mail transaction")
        if not self._auth_allowed:
            return self.fault(b"538 5.7.11 Encryption is required, use STARTTLS\r\n")
        mechanism, _, initial = argument.partition(" ")
        if mechanism.upper() not in MECHANISMS:
            return self.fault(b"504 5.5.4 Authentication mechanism not supported\r\n")
        self._exchange = Exchange(mechanism.upper())
        return self._exchanged(self._exchange.begin(initial.strip()))

    def _respond(self, line: bytes) -> Answer:
        assert self._exchange is not None
        if len(line) > AUTH_LINE_MAX_OCTETS - 2:
            return self._exchanged(Broken.MALFORMED)
        return self._exchanged(self._exchange.respond(line.decode("ascii", "replace")))

    def _exchanged(self, step: bytes | Credentials | Broken) -> Answer:
        match step:
            case bytes():
                return step
            case Credentials():
                self._exchange = None
                return step
            case Broken():
                self._exchange = None
                return self.fault(step.value)

    def _mail(self, argument: str) -> Answer:
        if not self.helo:
            return self._unordered(b"EHLO first")
        if self.session is None:
            return self.fault(b"530 5.7.0 Authentication required\r\n")
        if self.transaction is not None:
            return self._unordered(b"A mail transaction is open already")
        if self._messages >= self._options.messages_max:
            return Close(b"421 4.7.0 Too many messages on one connection\r\n")
        path = parse_path("FROM", argument)
        if isinstance(path, Fault):
            return self._bad_path(path)
        transaction = Transaction(path.address)
        if path.parameters and (refusal := self._apply(path, transaction)) is not None:
            return refusal
        if not path.address.isascii() and not transaction.smtputf8:
            return _NO_UTF8
        refused = self._backend.check_sender(self.session, path.address)
        if refused is not None:
            return refused.wire()
        self.transaction = transaction
        return _SENDER

    def _apply(self, path: Path, transaction: Transaction) -> Answer | None:
        for name, value in path.parameters.items():
            match name:
                case "SIZE" if value is not None and value.isascii() and value.isdigit() and len(value) <= 20:
                    if int(value) > self._options.size_max_octets:
                        return b"552 5.3.4 Message too big\r\n"
                case "BODY" if value is not None and value.upper() in ("7BIT", "8BITMIME"):
                    transaction.body_8bit = value.upper() == "8BITMIME"
                case "SMTPUTF8" if value is None:
                    transaction.smtputf8 = True
                case "AUTH" if not self._options.is_submission:
                    return self.fault(_UNSUPPORTED)
                case "AUTH" if value is not None:
                    pass  # RFC 4954 5: who wrote the message first; nobody here relies on it
                case "SIZE" | "BODY" | "SMTPUTF8" | "AUTH":
                    return self.fault(b"501 5.5.4 Bad value of a parameter\r\n")
                case _:
                    return self.fault(_UNSUPPORTED)
        return None

    def _rcpt(self, argument: str) -> Answer:
        transaction = self.transaction
        if transaction is None:
            return self._unordered(b"MAIL first")
        path = parse_path("TO", argument)
        if isinstance(path, Fault):
            return self._bad_path(path)
        if path.parameters:
            return self.fault(_UNSUPPORTED)
        if not path.address.isascii() and not transaction.smtputf8:
            return _NO_UTF8
        if len(transaction.recipients) >= self._options.recipients_max:
            return b"452 4.5.3 Too many recipients\r\n"
        assert self.session is not None
        refused = self._backend.check_recipient(self.session, path.address)
        if refused is not None:
            return refused.wire()
        transaction.recipients.append(path.address)
        return _RECIPIENT

    def _data(self, argument: str) -> Answer:
        if argument:
            return self.fault(b"501 5.5.4 DATA takes no argument\r\n")
        if self.transaction is None:
            return self._unordered(b"MAIL first")
        if not self.transaction.recipients:
            return b"554 5.5.1 No valid recipients\r\n"
        return Receive()

    def _rset(self, argument: str) -> Answer:
        self.transaction = None
        return _RESET

    def _noop(self, argument: str) -> Answer:
        return _RESET

    def _quit(self, argument: str) -> Answer:
        return Close(b"221 2.0.0 Bye\r\n")

    def _vrfy(self, argument: str) -> Answer:
        return b"252 2.0.0 Cannot verify, send mail to find out\r\n"

    def _help(self, argument: str) -> Answer:
        return b"214 2.0.0 See RFC 5321 and RFC 6409\r\n"

    def _unordered(self, words: bytes) -> bytes | Close:
        return self.fault(b"503 5.5.1 " + words + b"\r\n")

    def _bad_path(self, fault: Fault) -> Answer:
        enhanced, words = fault.value
        reply = f"501 {enhanced} {words}\r\n".encode("ascii")
        # A list may hold bad addresses: that alone does not cost its sender the connection.
        return self.fault(reply) if enhanced == "5.5.4" else reply


_COMMANDS: dict[bytes, Callable[[Dialogue[Any], str], Answer]] = {
    b"EHLO": Dialogue._ehlo,
    b"HELO": Dialogue._helo,
    b"STARTTLS": Dialogue._starttls,
    b"AUTH": Dialogue._auth,
    b"MAIL": Dialogue._mail,
    b"RCPT": Dialogue._rcpt,
    b"DATA": Dialogue._data,
    b"RSET": Dialogue._rset,
    b"NOOP": Dialogue._noop,
    b"QUIT": Dialogue._quit,
    b"VRFY": Dialogue._vrfy,
    b"HELP": Dialogue._help,
}
