"""What the far end of an SMTP dialogue says (RFC 5321 4.2, RFC 3463), and the answers made of it.

It reads leniently what is harmless (bare LF, a missing text) and gives up on what is no reply at all.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import zip_longest

LINE_MAX_BYTES = 2_048
LINES_MAX = 100
REPLY_MAX_BYTES = 16 * 1024
TRANSCRIPT_MAX_CHARS = 4 * 1024
_ENHANCED = re.compile(r"#?([245]\.\d{1,3}\.\d{1,3})(?![\d.])[\s:-]*")
_ENHANCED_LATER = re.compile(r"#([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class Stage(StrEnum):
    """Where in the dialogue an answer was given, in order; END is the answer to the whole mail."""

    CONNECT = "connect"
    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    END = "end"


class MalformedReply(ValueError):
    """The peer said something that is no SMTP reply, or too much of it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole reply; its lines are without codes and control characters."""

    code: int
    enhanced: str | None
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.lines)

    def __str__(self) -> str:
        return " ".join(part for part in (str(self.code), self.enhanced, self.text) if part)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of something: the peer's reply, our own refusal in its form, or silence (no code)."""

    stage: Stage
    code: int | None
    enhanced: str | None
    text: str

    @property
    def is_accepted(self) -> bool:
        return self.stage is Stage.END and self.code is not None and self.code < 300


@dataclass(frozen=True, slots=True)
class Failure(Answer):
    """An answer that ended things before a mail could be offered."""

    transcript: tuple[str, ...] = ()


class ReplyReader:
    """Bytes in, whole replies out."""

    def __init__(self) -> None:
        self._rest = b""
        self._held: list[Reply] = []
        self._bytes = 0

    @property
    def is_between_replies(self) -> bool:
        return not self._rest and not self._held

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that `data` completes; raises MalformedReply, after which nothing more can be read."""
        *lines, self._rest = (self._rest + data if self._rest else data).split(b"\n")
        if len(self._rest) > LINE_MAX_BYTES:
            raise MalformedReply("reply line too long")
        replies = []
        for line in lines:
            reply, is_last = _read(line)
            if not is_last:
                self._hold(reply, line)
            elif self._held:
                self._hold(reply, line)
                replies.append(_join(self._held))
                self._held, self._bytes = [], 0
            else:
                replies.append(reply)
        return replies

    def _hold(self, reply: Reply, line: bytes) -> None:
        self._held.append(reply)
        self._bytes += len(line)
        if len(self._held) > LINES_MAX or self._bytes > REPLY_MAX_BYTES:
            raise MalformedReply("reply too long")


def transcribe(commands: Sequence[str], replies: Sequence[Reply | None]) -> list[str]:
    """`C: …` and `S: …` lines of commands and their replies, cut off at TRANSCRIPT_MAX_CHARS."""
    lines: list[str] = []
    left = TRANSCRIPT_MAX_CHARS
    for command, reply in zip_longest(commands, replies):
        spoken = [f"C: {command}"] if command else []  # the greeting is unasked
        if reply is not None:
            spoken.append(f"S: {reply}")
        for line in spoken:
            if left <= 0:
                return lines
            lines.append(line[:left])
            left -= len(line) + 1
    return lines


def _join(replies: list[Reply]) -> Reply:
    """The last line's code counts, and the first's enhanced code, which some repeat on every line."""
    return Reply(replies[-1].code, replies[0].enhanced, tuple(reply.text for reply in replies))


@lru_cache(maxsize=1_024)  # a peer says few different things
def _read(line: bytes) -> tuple[Reply, bool]:
    """One line as a reply, and whether it is the last of its reply."""
    code = line[:3]
    if not code.isdigit() or not b"200" <= code < b"600" or len(line) > LINE_MAX_BYTES:
        raise MalformedReply(f"not a reply: {_clean(line[:100])}")
    text = _clean(line[4:].rstrip())
    enhanced = None
    if found := _ENHANCED.match(text):
        enhanced, text = found[1], text[found.end() :]
    elif "#" in text and (found := _ENHANCED_LATER.search(text)):
        enhanced = found[1]
    return Reply(int(code), enhanced, (text,)), line[3:4] != b"-"


def _clean(line: bytes) -> str:
    text = line.decode("utf-8", "replace")
    return text if text.isprintable() else _CONTROL.sub(" ", text)
