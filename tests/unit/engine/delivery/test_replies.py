"""Replies as bytes arrive, in any pieces."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrider.engine.delivery.replies import MalformedReply, Reply, ReplyReader, transcribe

SPOKEN = (
    b"220 mx.y.example ESMTP\r\n250-mx.y.example\r\n250-SIZE 1000\r\n250 PIPELINING\r\n"
    b"550-5.1.1 The account does\r\n550 5.1.1 not exist\r\n354\r\n250 2.0.0 queued as A1\n"
)
HEARD = [
    Reply(220, None, ("mx.y.example ESMTP",)),
    Reply(250, None, ("mx.y.example", "SIZE 1000", "PIPELINING")),
    Reply(550, "5.1.1", ("The account does", "not exist")),
    Reply(354, None, ("",)),
    Reply(250, "2.0.0", ("queued as A1",)),
]


@given(st.lists(st.integers(0, len(SPOKEN)), max_size=12))
def test_replies_do_not_depend_on_how_they_are_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(SPOKEN)]
    reader = ReplyReader()
    heard = [reply for start, end in pairwise(edges) for reply in reader.feed(SPOKEN[start:end])]
    assert heard == HEARD
    assert reader.is_between_replies


@pytest.mark.parametrize(
    ("line", "enhanced", "text"),
    [
        (b"550 5.1.1 gone", "5.1.1", "gone"),
        (b"550 #5.1.0 Address rejected", "5.1.0", "Address rejected"),
        (b"553 sorry (#5.7.1)", "5.7.1", "sorry (#5.7.1)"),
        (b"550 5.7.1: refused", "5.7.1", "refused"),
        (b"550 5.2.2.1 is an address", None, "5.2.2.1 is an address"),
        (b"550 bell\x07 and\x00 nul", None, "bell  and  nul"),
        ("550 Empfänger".encode("latin-1"), None, "Empf�nger"),
    ],
)
def test_the_enhanced_code_and_a_clean_text_are_found(line: bytes, enhanced: str | None, text: str) -> None:
    assert ReplyReader().feed(line + b"\r\n") == [
        Reply(550 if line[:3] == b"550" else 553, enhanced, (text,))
    ]


@pytest.mark.parametrize(
    "spoken",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\r\n",
        b"99 too short\r\n",
        b"150 not in SMTP\r\n",
        b"650 nor this\r\n",
        b"220 " + b"x" * 2_100 + b"\r\n",
        b"220 " + b"x" * 2_100,
        b"250-more\r\n" * 101,
        (b"250-" + b"x" * 1_900 + b"\r\n") * 10,
        b"\xff\xfe\xfd\r\n",
    ],
)
def test_what_is_no_reply_or_too_much_is_given_up(spoken: bytes) -> None:
    with pytest.raises(MalformedReply):
        ReplyReader().feed(spoken)


def test_a_transcript_is_bounded() -> None:
    lines = transcribe(["MAIL FROM:<a@x.example>"] * 500, [Reply(250, "2.1.0", ("Ok",))] * 500)
    assert lines[:2] == ["C: MAIL FROM:<a@x.example>", "S: 250 2.1.0 Ok"]
    assert sum(len(line) + 1 for line in lines) <= 4_096 + 1
