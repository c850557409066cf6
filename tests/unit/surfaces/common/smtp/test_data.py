import smtplib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postrider.surfaces.common.smtp.data import END, MORE, Body, Flaw, clean

LIMIT = 1_000
SMUGGLED = (
    *(b"\n.\n", b"\n.\r", b"\n.\r\n", b"\r.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r"),
    *(b"\n\n.\r\n", b"\r\r\n.\r\r\n", b"\n.\r\r\n", b"\r\n.\r\r\n", b"\r\r.\r\n", b"\n\r.\r\n"),
    *(b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\0\r\n.\n", b"\r\0\n.\r\n"),
)


def feed_all(chunks: list[bytes], limit: int = LIMIT) -> tuple[Body, int]:
    """The body and how many octets of all chunks it took, MORE if it has no end."""
    body, before = Body(limit), 0
    for chunk in chunks:
        used = body.feed(chunk)
        if used != MORE:
            return body, before + used
        before += len(chunk)
    return body, MORE


def received(text: bytes) -> bytes | Flaw:
    body, used = feed_all([text + END[2:]])
    assert used == len(text) + 3
    return clean(body.content())


def test_end_is_found_wherever_packets_split_it() -> None:
    stream = b"Subject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n"
    for first in range(len(stream)):
        for second in range(first, len(stream)):
            body, used = feed_all([stream[:first], stream[first:second], stream[second:]])
            assert used == len(stream) - 6
            assert clean(body.content()) == b"Subject: x\r\n\r\n.dot\r\n"


def test_end_is_found_octet_by_octet() -> None:
    stream = b"a\r\n..\r\n.\r.\r\n\r\n.\r\n"
    _, used = feed_all([bytes([octet]) for octet in stream])
    assert used == len(stream)


def test_a_dot_on_the_first_line_ends_an_empty_message() -> None:
    assert received(b"") == b""


@pytest.mark.parametrize("sequence", SMUGGLED)
def test_smuggling_sequence_neither_ends_a_message_nor_passes(sequence: bytes) -> None:
    text = b"Subject: x\r\n\r\nhello" + sequence + b"MAIL FROM:<evil@x.test>\r\n"
    assert isinstance(received(text), Flaw)


@pytest.mark.parametrize("sequence", [b".\n", b".\r"])
def test_smuggling_sequence_on_the_first_line_is_refused(sequence: bytes) -> None:
    assert received(sequence + b"x\r\n") is Flaw.LOOKALIKE


def test_bare_line_ends_become_crlf() -> None:
    assert received(b"a\nb\rc\r\n..d\n..e\r\n") == b"a\r\nb\r\nc\r\n.d\r\n.e\r\n"


def test_nul_is_refused() -> None:
    assert received(b"a\0b\r\n") is Flaw.NUL


@given(st.lists(st.text("a. é\t", max_size=6), max_size=8).map("\r\n".join))
def test_what_smtplib_stuffs_comes_back_as_it_was(text: str) -> None:
    stuffed = smtplib._quote_periods(text.encode()) + b"\r\n"  # type: ignore[attr-defined]
    assert received(stuffed) == text.encode() + b"\r\n"


@settings(max_examples=300)
@given(st.lists(st.text("a.\r\n", max_size=7).map(str.encode), max_size=8))
def test_no_bytes_leave_an_end_of_data_or_a_bare_line_end_inside(chunks: list[bytes]) -> None:
    stream = b"".join(chunks)
    body, used = feed_all(chunks)
    whole = b"\r\n" + stream
    assert used == (MORE if END not in whole else whole.index(END) + 3)
    if used == MORE:
        return
    content = clean(body.content())
    if isinstance(content, bytes):
        assert b"\r" not in content.replace(b"\r\n", b"")
        assert b"\n" not in content.replace(b"\r\n", b"")


def test_limit_counts_content_without_the_end() -> None:
    for extra, oversized in ((0, False), (1, True)):
        text = b"x" * (LIMIT - 2 + extra) + END
        assert feed_all([text])[0].oversized is oversized
        assert feed_all([text[i : i + 1] for i in range(len(text))])[0].oversized is oversized


def test_oversized_message_keeps_nothing_and_still_finds_its_end() -> None:
    body, used = feed_all([b"x" * 700] * 10 + [b"\r\n", b".", b"\r\nNEXT"])
    assert body.oversized
    assert used == 7_005
    assert body.received == 7_003


def test_scanning_is_linear_for_hostile_bytes() -> None:
    started = time.process_time()
    body = Body(10_000_000)
    for _ in range(500):
        body.feed(b"\r\n.\r" * 2_500)
    assert body.received == 5_000_000
    assert clean(b"\n" * 1_000_000) == b"\r\n" * 1_000_000
    assert time.process_time() - started < 2
