"""One mail through an open SMTP session: envelope, body, and one answer per recipient (RFC 5321 3.3, RFC 2920)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from postrider.engine.delivery.dialogue import Dialogue, Timeouts
from postrider.engine.delivery.replies import Answer, Reply, Stage, transcribe

CONNECTION_LOST = "4.4.2"
PROTOCOL_ERROR = "4.5.0"
START_MAIL = 354
CLOSING = 421
_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Result:
    """One answer per recipient, in order, and all that was said on the way.

    `is_body_sent` and an answer without a code: the peer may have the mail. An answer at MAIL without a code: the
    connection was dead before anything was taken, so that another may be opened at once.
    """

    answers: tuple[Answer, ...]
    is_reusable: bool
    is_body_sent: bool
    exchange: tuple[tuple[str, Reply | None], ...]

    @property
    def transcript(self) -> list[str]:
        """`C: …` and `S: …` lines without the body, at most 4 kB."""
        return transcribe(self.exchange)


async def transact(
    dialogue: Dialogue,
    envelope: Sequence[str],
    data: bytes,
    *,
    is_pipelined: bool,
    must_reset: bool,
    timeouts: Timeouts,
) -> Result:
    """`envelope` is the MAIL command and the RCPT commands; `data` as `encode_data` makes it."""
    commands = ["RSET", *envelope, "DATA"] if must_reset else [*envelope, "DATA"]
    if is_pipelined:
        dialogue.write("\r\n".join([*commands, ""]).encode("utf-8"))
        replies = await dialogue.hear(len(commands), timeouts.command)
    else:
        replies = await _say_in_turn(dialogue, commands, timeouts.command)
    exchange: list[tuple[str, Reply | None]] = [*zip_longest(commands[: len(replies) + 1], replies)]
    heard = replies[1:] if must_reset else replies
    lost = dialogue.lost or ""
    early = [_judge_early(heard, index, len(envelope), lost) for index in range(1, len(envelope))]
    end: Answer | None = None
    is_body_sent = False
    if len(heard) > len(envelope) and heard[-1].code == START_MAIL:
        is_body_sent = None in early
        # With nobody to take it, a lone dot ends the mail that the peer waits for (RFC 2920 3.1).
        end, reply = await _send_body(dialogue, data if is_body_sent else b".\r\n", timeouts)
        exchange.append((".", reply))
    answers = tuple([answer or end or Answer(Stage.END, None, CONNECTION_LOST, lost) for answer in early])
    return Result(answers, _is_reusable(dialogue, exchange), is_body_sent, tuple(exchange))


def encode_data(message: bytes) -> bytes:
    """The mail as DATA carries it: every line ends in CRLF, dots stuffed, the final dot at its end.

    A bare CR or LF, which some peers would take for a line end and others not, is made a CRLF.
    """
    line_ends = message.count(b"\r\n")
    if message.count(b"\n") != line_ends or message.count(b"\r") != line_ends:
        message = _LINE_END.sub(b"\r\n", message)
    if b"\r\n." in message:
        message = message.replace(b"\r\n.", b"\r\n..")
    if message.startswith(b"."):
        message = b"." + message
    return message + (b".\r\n" if message.endswith(b"\r\n") or not message else b"\r\n.\r\n")


def judge(stage: Stage, reply: Reply) -> Answer:
    """A refusal as it is; a reply that has no place here says nothing of the mail, so it has no code."""
    if reply.code >= 400:
        return Answer(stage, reply.code, reply.enhanced, reply.text)
    return Answer(stage, None, PROTOCOL_ERROR, f"unexpected reply: {reply}")


async def _say_in_turn(dialogue: Dialogue, commands: Sequence[str], seconds: float) -> list[Reply]:
    """One command at a time; nothing more once MAIL or every RCPT is refused."""
    replies: list[Reply] = []
    is_wanted = True
    for command in commands:
        if command == "DATA" and not is_wanted:
            break
        dialogue.write(command.encode("utf-8") + b"\r\n")
        heard = await dialogue.hear(1, seconds)
        if not heard:
            break
        replies += heard
        is_taken = heard[0].code < 300
        if command.startswith("MAIL"):
            if not is_taken:
                break
            is_wanted = False
        elif command.startswith("RCPT"):
            is_wanted = is_wanted or is_taken
    return replies


def _judge_early(heard: Sequence[Reply], index: int, recipients_and_one: int, lost: str) -> Answer | None:
    """What is known of a recipient before the body: a refusal, silence, or None where the end of data decides."""
    for stage, at in ((Stage.MAIL, 0), (Stage.RCPT, index), (Stage.DATA, recipients_and_one)):
        if at >= len(heard):
            return Answer(stage, None, CONNECTION_LOST, lost)
        code = heard[at].code
        if not (code == START_MAIL if stage is Stage.DATA else code < 300):
            return judge(stage, heard[at])
    return None


async def _send_body(
    dialogue: Dialogue, data: bytes, timeouts: Timeouts
) -> tuple[Answer | None, Reply | None]:
    is_whole = await dialogue.write_all(data, timeouts.block)
    heard = await dialogue.hear(1, timeouts.end if is_whole else 0)
    if not heard:
        return Answer(Stage.END, None, CONNECTION_LOST, dialogue.lost or ""), None
    reply = heard[0]
    if not is_whole:
        dialogue.abort("answered before the end of the mail")
    if is_whole and reply.code < 300:
        return Answer(Stage.END, reply.code, reply.enhanced, reply.text), reply
    return judge(Stage.END, reply), reply


def _is_reusable(dialogue: Dialogue, exchange: Sequence[tuple[str, Reply | None]]) -> bool:
    """Not after 421, silence, or a reply out of turn."""
    if dialogue.lost is not None or dialogue.has_unread:
        return False
    for command, reply in exchange:
        if reply is None or reply.code == CLOSING or (300 <= reply.code < 400) != (command == "DATA"):
            if reply is not None and reply.code >= 400 and reply.code != CLOSING:
                continue  # a refusal in its turn
            return False
    return True
