"""What the SMTP server asks of whoever stands behind it, and the records both exchange. No protocol here."""

import re
from dataclasses import dataclass
from typing import Protocol, TypeVar

S = TypeVar("S")  # the backend's own notion of who is speaking; the server only hands it back

REPLY_TEXT_MAX_CHARS = 400  # a reply line is at most 512 octets (RFC 5321 4.5.3.1.5)
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: a code (RFC 5321 4.2), an enhanced status code (RFC 3463) and a line of text."""

    code: int
    enhanced: str
    text: str

    def wire(self) -> bytes:
        """The line with its CRLF; what is not printable ASCII in the text becomes a space."""
        text = self.text
        if len(text) > REPLY_TEXT_MAX_CHARS or _UNPRINTABLE.search(text):
            text = _UNPRINTABLE.sub(" ", text)[:REPLY_TEXT_MAX_CHARS]
        return f"{self.code} {self.enhanced} {text}\r\n".encode("ascii")


Refusal = Reply  # a Reply whose code is 4xx or 5xx


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One message as it was handed in.

    `body` is dot-unstuffed, every line of it ends in CRLF and it holds no NUL; `sender` is "" for `<>`;
    addresses are as written, source routes removed. `body_8bit`: BODY=8BITMIME was declared (RFC 6152).
    """

    sender: str
    recipients: tuple[str, ...]
    body: bytes
    peer_ip: str
    helo: str
    tls: bool
    smtputf8: bool
    body_8bit: bool


class Backend(Protocol[S]):
    """Whoever decides who may send and takes the mail. What it raises is answered 451 4.3.0 and logged."""

    async def authenticate(
        self, username: str, password: str, peer: str, tls_server_name: str | None
    ) -> S | None:
        """The session of these credentials; None when they are wrong. `peer` is the client's IP address."""

    async def trusted(self, peer_ip: str) -> S | None:
        """The session of a peer that needs no AUTH and has no connection limit; None for everybody else.

        A server that is not for submission asks it for every peer, and limits the connections of all.
        """

    def check_sender(self, session: S, address: str) -> Refusal | None:
        """May this session send as `address` ("" for `<>`)? Must be cheap: it runs on the event loop."""

    def check_recipient(self, session: S, address: str) -> Refusal | None:
        """May this session send to `address`? Must be cheap: it runs on the event loop."""

    async def submit(self, session: S, envelope: Envelope) -> Reply:
        """Take the message; a 2xx reply promises that it is stored. A 421 also ends the connection."""
