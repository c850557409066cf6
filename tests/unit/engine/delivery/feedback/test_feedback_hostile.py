"""Nothing that comes in makes the reader raise, recurse or take long; what is past a limit is not read."""

import random
import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.engine.delivery.feedback.reports import SEALER, TOKEN, Sample, at_return_path, report, samples

from postrider.engine.delivery.feedback import Bounce, Report, Unknown, read
from postrider.engine.delivery.feedback.diagnose import DIAGNOSTIC_MAX_CHARS
from postrider.engine.delivery.feedback.parts import (
    DEPTH_MAX,
    PARTS_MAX,
    READ_MAX_BYTES,
    TEXT_MAX_CHARS,
    VALUE_MAX_CHARS,
    Part,
    decode,
    read_mail,
    read_words,
)

pytestmark = pytest.mark.long  # thousands of requests

SAMPLES = samples()
DAEMON = b"From: MAILER-DAEMON@mx.example\nSubject: failure notice\n\n"
STATUS = b"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
SECONDS_MAX = 3.0  # of CPU; what the worst of these takes is a tenth of it
ODD = [
    *(b"\0", b"\r", b"\n\n", b"\r\n", b"\xff\xfe", b"=?utf-8?b?", b"=?unicode_escape?q?\\x?=", b"\x1b$B"),
    *(b"Content-Type: multipart/mixed; boundary=b\n\n--b\n", b"charset=punycode", b"charset=utf-7", b"--"),
    *(b"Content-Transfer-Encoding: base64\n", b"550 5.1.1 ", b"(" * 200, b"<" * 200, b" " * 500, b"<>", b"="),
    "ü📮".encode(),
]
LOCAL_PARTS = st.sampled_from(
    [f"b+{TOKEN}", f"unsubscribe+{TOKEN}", "fbl", "", "b+", "+", "b+\0ü", "x" * 9_000]
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A report of the corpus with pieces cut out, doubled, swapped with another's or spoiled."""
    raw = draw(st.sampled_from(SAMPLES)).raw
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(raw)))
        end = min(len(raw), start + draw(st.integers(0, 400)))
        match draw(st.integers(0, 4)):
            case 0:
                raw = raw[:start] + raw[end:]
            case 1:
                raw = raw[:end] + raw[start:end] * draw(st.integers(1, 5)) + raw[end:]
            case 2:
                raw = raw[:start] + draw(st.sampled_from(ODD)) + raw[end:]
            case 3:
                raw = raw[:start] + draw(st.sampled_from(SAMPLES)).raw[start:end] + raw[end:]
            case _:
                raw = raw[:start] + draw(st.binary(max_size=40)) + raw[end:]
    return raw


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutated(), LOCAL_PARTS, st.booleans())
def test_a_spoiled_report_is_read_as_something(raw: bytes, local_part: str, sealed: bool) -> None:
    assert_sound(read(local_part, raw, SEALER if sealed else None))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=2_000), LOCAL_PARTS)
def test_any_octets_are_read_as_something(raw: bytes, local_part: str) -> None:
    assert_sound(read(local_part, raw, SEALER))


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=600), st.text(max_size=200))
def test_any_words_of_a_mail_system_are_read_as_something(text: str, status: str) -> None:
    assert_sound(at_return_path(DAEMON + text.encode("utf-8", "replace")))
    fields = f"Final-Recipient: rfc822; {status}\nAction: failed\nStatus: {status}\n"
    fields += f"Diagnostic-Code: smtp; {text}\n"
    assert_sound(at_return_path(report(fields.encode("utf-8", "replace").decode(), text="x")))


def assert_sound(found: Report) -> None:
    """What every report keeps: its limits, and no line breaks where a header or a log could take them."""
    assert isinstance(found, Report)
    for name in getattr(type(found), "__slots__", ()):
        value = getattr(found, name)
        if isinstance(value, str):
            assert len(value) <= DIAGNOSTIC_MAX_CHARS, name
            assert not re.search(r"[\x00-\x1f\x7f]", value), name


@pytest.mark.parametrize("sample", random.Random(7).sample(SAMPLES, 40), ids=str)
def test_a_report_with_other_line_ends_says_the_same(sample: Sample) -> None:
    found = read(sample.local_part, sample.raw, SEALER)
    plain = sample.raw.replace(b"\r\n", b"\n")
    assert read(sample.local_part, plain.replace(b"\n", b"\r\n"), SEALER) == found
    assert read(sample.local_part, plain.replace(b"\n", b"\r"), SEALER) == found


FLOODS = {
    "nested parts": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(6_000)
    ),
    "one boundary for all": b"Content-Type: multipart/mixed; boundary=b\n\n"
    + b"--b\nContent-Type: multipart/mixed; boundary=b\n\n" * 5_000,
    "many parts": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 40_000,
    "open quotes": b"Content-Type: multipart/mixed" + b';a="' * 60_000,
    "one long line": DAEMON + b"x" * 250_000,
    "long lines": DAEMON + (b"x" * 999 + b"\n") * 250,
    "lines of signs": DAEMON + b"the following addresses had\nFailed addresses follow:\n" + b",a@" * 80_000,
    "spaces": DAEMON + (b" " * 900 + b"\n") * 250,
    "addresses": DAEMON + b"<a@b.example>:\n" * 16_000,
    "codes": DAEMON + b"550 5.1.1 " * 25_000,
    "paragraphs": DAEMON + b"550 x\n\n" * 35_000,
    "brackets": DAEMON + b"<" * 250_000,
    "numbers": DAEMON + b"#5." * 80_000,
    "words": DAEMON + b"user address delivery message host " * 7_000,
    "beginnings": DAEMON + b"Hi. This is the \n" * 15_000,
    "html": b"From: MAILER-DAEMON@x\nContent-Type: text/html\n\n" + b"<div>" * 50_000,
    "recipients": STATUS + b"Final-Recipient: rfc822;a@b.c\nAction: failed\n\n" * 5_000,
    "diagnostics": STATUS
    + (b"Final-Recipient: rfc822;a@b.c\nAction: failed\nDiagnostic-Code: " + b"user name " * 390 + b"\n\n")
    * 60,
    "tokens": (b"b+" + b"a" * 50 + b" ") * 4_700,
    "fields": b"a: b\n" * 50_000,
    "folds": b"Subject: x\n" + b" y\n" * 80_000,
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 18_000,
    "senders": b"From: " + b"<" * 250_000,
    "failed recipients": b"X-Failed-Recipients: " + b"a@b.c," * 40_000 + b"\n\n",
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_is_read_in_bounded_time(name: str) -> None:
    started = time.process_time()
    assert_sound(at_return_path(FLOODS[name]))
    assert time.process_time() - started < SECONDS_MAX


def test_what_is_past_the_limit_is_not_read() -> None:
    raw = DAEMON + b"x\n" * (READ_MAX_BYTES // 2) + b"\n550 5.1.1 <ann@example.org>: unknown\n"
    assert isinstance(at_return_path(raw), Unknown)
    assert isinstance(at_return_path(DAEMON + b"x\n\n550 5.1.1 <ann@example.org>: unknown\n"), Bounce)


def test_a_report_whose_returned_mail_is_cut_is_read() -> None:
    status = "Final-Recipient: rfc822; ann@example.org\nAction: failed\nStatus: 5.1.1\n"
    found = at_return_path(report(status, returned="x\n" * READ_MAX_BYTES))
    assert isinstance(found, Bounce)
    assert found.final_recipient == "ann@example.org"


def test_parts_are_read_to_a_depth_and_a_number() -> None:
    def depth(part: Part) -> int:
        return 1 + max(map(depth, part.parts), default=0)

    assert depth(read_mail(FLOODS["nested parts"])) == DEPTH_MAX + 1
    assert len(list(read_mail(FLOODS["many parts"]).walk())) == PARTS_MAX


def test_values_and_texts_are_cut() -> None:
    mail = read_mail(b"Subject: " + b"x" * 100_000 + b"\n\n" + b"y\n" * 100_000)
    assert len(mail.get("subject")) == VALUE_MAX_CHARS
    assert len(mail.text()) <= TEXT_MAX_CHARS


@pytest.mark.parametrize(
    ("octets", "charset", "text"),
    [
        (b"caf\xc3\xa9", "utf-8", "café"),
        (b"caf\xe9", "iso-8859-1", "café"),
        (b"caf\xe9", "", "café"),
        (b"caf\xc3\xa9", "no-such-charset", "café"),
        (b"caf\xe9", "us-ascii", "café"),
        (b"\x1b$B08@h\x1b(B", "us-ascii", "宛先"),
        (b"\\x41", "unicode_escape", "\\x41"),
        (b"abc-", "punycode", "abc-"),
        (b"abc", "zlib", "abc"),
        (b"abc", "../etc", "abc"),
        (b"\xff", "utf-8", "\ufffd"),
    ],
)
def test_any_charset_gives_a_text(octets: bytes, charset: str, text: str) -> None:
    assert decode(octets, charset) == text


def test_an_encoded_word_in_an_odd_charset_stays_as_it_is() -> None:
    assert read_words("=?utf-8?q?=C3=A9?=") == "é"
    for word in ("=?unicode_escape?q?\\q?=", "=?punycode?q?abc-?=", "=?x?q?a?="):
        assert read_words(word) == word


@pytest.mark.parametrize("broken", [b"QUJD=QUJD", b"QUJ", b"Q", b"%%%", b"QUJDR"])
def test_base64_is_read_as_far_as_it_goes(broken: bytes) -> None:
    mail = read_mail(b"Content-Transfer-Encoding: base64\n\n" + broken)
    assert isinstance(mail.octets(), bytes)
    assert "ABC".startswith(mail.text()[:3])
