"""Header fields, encodings and raw fields, read back by the standard library's email package."""

import email
import email.header
import email.policy
import email.utils
import quopri
from email.message import EmailMessage
from email.utils import collapse_rfc2231_value, parsedate_to_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postrider.kit import mime
from postrider.kit.address import Mailbox

# What a header may hold: any character but line breaks, NUL and lone surrogates.
ANY_TEXT = st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8"), max_size=200)
ADDRESS = "reader@example.test"
LONG_URL = "https://mail.example.test/track/u/" + "a-_9" * 120


def parse(*fields: bytes, body: bytes = b"") -> EmailMessage:
    raw = b"\r\n".join([*fields, b"", body])
    return email.message_from_bytes(raw, policy=email.policy.default)


def decoded(value: str) -> str:
    return str(email.header.make_header(email.header.decode_header(value)))


@settings(max_examples=200, deadline=None)
@given(ANY_TEXT)
def test_any_subject_comes_back_from_the_standard_library(subject: str) -> None:
    field = mime.text_field("Subject", subject)
    assert all(len(line) <= 76 or b" " not in line[1:] for line in field.split(b"\r\n"))
    assert str(parse(field)["Subject"]) == subject


@settings(max_examples=200, deadline=None)
@given(ANY_TEXT)
def test_any_display_name_comes_back_from_the_standard_library(name: str) -> None:
    field = mime.address_field("From", [Mailbox(ADDRESS, name)])
    value = mime.unfold(field)
    if name:
        shown, address = email.utils.parseaddr(value)
        assert (decoded(shown), address) == (name, ADDRESS)
    else:
        assert value == ADDRESS
    assert parse(field)["From"].addresses[0].addr_spec == ADDRESS


@pytest.mark.parametrize("break_", ["\r", "\n", "\0", "\r\nBcc: x@y.test"])
def test_line_breaks_and_nul_are_refused_in_every_value(break_: str) -> None:
    value = f"a{break_}b"
    with pytest.raises(ValueError):
        mime.text_field("Subject", value)
    with pytest.raises(ValueError):
        mime.fold("List-Unsubscribe", value)
    with pytest.raises(ValueError):
        mime.address_field("From", [Mailbox(ADDRESS, value)])
    with pytest.raises(ValueError):
        mime.parameter("filename", value)


@pytest.mark.parametrize("name", ["", "Sub ject", "Subject:", "Sübject", "X" * 78, "A\r\nB"])
def test_a_bad_header_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        mime.check_name(name)


def test_a_long_url_is_neither_broken_nor_encoded() -> None:
    value = f"<{LONG_URL}>, <mailto:unsubscribe+token@mail.example.test>"
    field = mime.fold("List-Unsubscribe", value)
    assert LONG_URL.encode() in field
    assert b"=?" not in field
    assert parse(field)["List-Unsubscribe"] == value
    assert LONG_URL.encode() in mime.text_field("Subject", f"Look at {LONG_URL} today, before it is gone")


def test_a_word_longer_than_a_line_is_refused_where_it_may_not_be_encoded() -> None:
    with pytest.raises(ValueError):
        mime.fold("Message-ID", "<" + "a" * 1000 + "@example.test>")
    assert str(parse(mime.text_field("Subject", "a" * 3000))["Subject"]) == "a" * 3000


def test_a_domain_outside_ascii_becomes_labels_and_a_local_part_stays_utf8() -> None:
    assert mime.format_mailbox(Mailbox("post@bücher.test")) == "post@xn--bcher-kva.test"
    assert mime.address_field("To", [Mailbox("пошта@example.test")]) == "To: пошта@example.test".encode()


def test_the_date_is_read_back_by_the_standard_library() -> None:
    field = mime.date_field(1_768_739_696_123).decode()
    assert field == "Date: Sun, 18 Jan 2026 12:34:56 +0000"
    assert parsedate_to_datetime(field[6:]).timestamp() == 1_768_739_696


FILENAMES = ANY_TEXT.filter(bool)


@settings(max_examples=150, deadline=None)
@given(FILENAMES)
def test_any_filename_comes_back_from_the_standard_library(filename: str) -> None:
    field = b"Content-Disposition: attachment;\r\n " + mime.parameter("filename", filename)
    message = email.message_from_bytes(field + b"\r\n\r\n")
    value = message.get_param("filename", header="content-disposition")
    assert collapse_rfc2231_value(value) == filename  # type: ignore[arg-type]
    assert all(len(line) <= 78 for line in field.split(b"\r\n"))


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=3000))
def test_any_text_comes_back_and_no_line_is_too_long(text: str) -> None:
    data = mime.crlf(text.encode())
    encoding, body = mime.encode_text(data)
    assert max(map(len, body.split(b"\r\n"))) <= 998
    assert body.isascii()
    head = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: " + encoding
    assert email.message_from_bytes(head + b"\r\n\r\n" + body).get_payload(decode=True) == data


def test_quoted_printable_agrees_with_quopri_and_hides_from_lines() -> None:
    data = "From héllo  \r\nFrom the sea, ends in space \r\n".encode() + b"x" * 2000
    encoded = mime.quoted_printable(data)
    assert quopri.decodestring(encoded.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n") == data
    assert not any(line.startswith(b"From ") for line in encoded.split(b"\r\n"))
    assert max(map(len, encoded.split(b"\r\n"))) <= 76


def test_the_encoding_follows_the_text() -> None:
    assert mime.encode_text(b"plain\r\n").encoding == b"7bit"
    assert mime.encode_text(b"x" * 999).encoding == b"quoted-printable"
    assert mime.encode_text(b"a\0b").encoding == b"quoted-printable"
    assert mime.encode_text("mostly plain, one é".encode()).encoding == b"quoted-printable"
    assert mime.encode_text("こんにちは".encode()).encoding == b"base64"


@given(st.binary(max_size=400).map(lambda data: data.replace(b"x", b"\r").replace(b"y", b"\n")))
def test_every_line_end_becomes_crlf(data: bytes) -> None:
    out = mime.crlf(data)
    assert out.count(b"\r") == out.count(b"\n") == out.count(b"\r\n")
    assert b"\n".join(out.split(b"\r\n")) == data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def test_raw_fields_keep_their_exact_bytes() -> None:
    head = b"Subject: a\r\n\tfolded  one\r\nX-Odd : \xff\r\nTo: b@c.test\r\n"
    fields, body = mime.split_message(head + b"\r\nbody\r\n\r\nmore")
    assert b"\r\n".join(field.raw for field in fields) + b"\r\n" == head
    assert [field.name for field in fields] == ["Subject", "X-Odd", "To"]
    assert body == b"body\r\n\r\nmore"
    assert mime.unfold(fields[0].raw) == "a\tfolded  one"


def test_mail_without_header_or_without_body_is_split() -> None:
    assert mime.split_message(b"\r\nonly body") == ([], b"only body")
    assert mime.split_message(b"To: a@b.test\r\n") == ([mime.Field("To", b"To: a@b.test")], b"")


@pytest.mark.parametrize("line", [b"no field", b" starts folded", b": nameless", b"a b: c"])
def test_a_malformed_header_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        mime.split_message(line + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("=?iso-8859-1?Q?Caf=E9?= open", "Café open"),
        ("=?UTF-8?B?4pyT?= =?UTF-8?B?4pyT?=", "✓✓"),
        ("=?x-unknown?B?4pyT?=", "=?x-unknown?B?4pyT?="),
        ("=?utf-8?B?x?=", "=?utf-8?B?x?="),
        ("plain", "plain"),
    ],
)
def test_encoded_words_are_read(raw: str, text: str) -> None:
    assert mime.decode_words(raw) == text


def test_a_multipart_is_read_by_the_standard_library() -> None:
    boundary = mime.make_boundary()
    parts = [b"Content-Type: text/plain\r\n\r\none", b"Content-Type: text/html\r\n\r\n<b>"]
    body = mime.multipart(boundary, parts)
    message = parse(b'Content-Type: multipart/mixed; boundary="' + boundary + b'"', body=body)
    assert [part.get_payload() for part in message.iter_parts()] == ["one", "<b>"]
