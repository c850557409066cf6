"""A message body between DATA and its end: finds CRLF.CRLF and nothing else (RFC 5321 4.1.1.4, 4.5.2).

A bare CR or LF never ends a message; one next to a lone dot gets the message refused (SMTP smuggling).
"""

from enum import Enum

END = b"\r\n.\r\n"
_OVERLAP = len(END) - 1  # the end may be split over chunks: this much of the past is searched again
MORE = -1


class Flaw(Enum):
    """Why a complete message is refused."""

    NUL = "nul"
    LOOKALIKE = "lookalike"


class Body:
    """Gathers one message in bounded memory: past `limit` octets it only looks for the end."""

    __slots__ = ("_held", "_limit", "oversized", "received")

    def __init__(self, limit: int) -> None:
        self._held = bytearray(b"\r\n")  # the DATA command's own line end: the first line may be the dot
        self._limit = limit
        self.received = 0
        self.oversized = False

    def feed(self, data: bytes) -> int:
        """How many octets of `data` belong to this message, once its end is among them; until then MORE."""
        held = self._held
        before = len(held)
        held += data
        end = held.find(END, max(0, before - _OVERLAP))
        if end < 0:
            self.received += len(data)
            # What may still be the first octets of the end does not count yet, hence the overlap.
            if self.oversized or len(held) - 2 > self._limit + _OVERLAP - 2:
                self.oversized = True
                del held[:-_OVERLAP]
            return MORE
        del held[end + 2 :]
        self.oversized = self.oversized or end > self._limit
        return end + len(END) - before

    def content(self) -> bytes:
        """The message as received, still dot-stuffed; only for a complete message that is not oversized."""
        assert not self.oversized
        del self._held[:2]
        content = bytes(self._held)
        self._held.clear()
        return content


def clean(content: bytes) -> bytes | Flaw:
    """Dot-unstuffed, with every line ending in CRLF; or why the message is refused."""
    if b"\0" in content:
        return Flaw.NUL
    pairs = content.count(b"\r\n")
    if content.count(b"\n") != pairs or content.count(b"\r") != pairs:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        # Before this no CRLF.CRLF was in it, so one that is there now was written with a bare CR or LF.
        if content.startswith(END[2:]) or END in content:
            return Flaw.LOOKALIKE
    if content.startswith(b"."):
        content = content[1:]
    return content.replace(b"\r\n.", b"\r\n")
