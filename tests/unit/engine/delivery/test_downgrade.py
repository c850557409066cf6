"""Mails made to fit a peer, read back by the standard library's email package."""

import email
import email.policy
from email.message import EmailMessage

import pytest

from postrider.engine.content.model import Mail
from postrider.engine.delivery.downgrade import downgrade
from postrider.engine.delivery.extensions import Extensions
from postrider.engine.delivery.replies import Answer

FULL = Extensions(eightbitmime=True, smtputf8=True)
PLAIN = Extensions()
TEXT = "Grüße an alle.\r\n.dot line with a trailing space \r\n" + "lang " * 40 + "\r\n\r\nEnde=3D\r\n"


def _mail(message: EmailMessage) -> Mail:
    """A stdlib message as our composer would give it, 8bit left as it is."""
    wire = message.as_bytes(policy=email.policy.SMTP.clone(cte_type="8bit", max_line_length=900))
    head, _, body = wire.partition(b"\r\n\r\n")
    headers = [(line.split(b":")[0].decode(), line) for line in head.replace(b"\r\n ", b"\0").split(b"\r\n")]
    return Mail([(n, line.replace(b"\0", b"\r\n ")) for n, line in headers], body, needs_8bitmime=True)


def _read(mail: Mail) -> EmailMessage:
    message = email.message_from_bytes(mail.as_bytes(), policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


def _text() -> EmailMessage:
    message = EmailMessage()
    message["From"] = "a@x.example"
    message.set_content(TEXT, cte="8bit")
    return message


def _converted(mail: Mail) -> Mail:
    found = downgrade(mail, PLAIN)
    assert isinstance(found, Mail)
    assert found.as_bytes().isascii()
    assert not found.needs_8bitmime
    return found


def test_a_peer_that_takes_all_gets_the_mail_unchanged() -> None:
    mail = _mail(_text())
    assert downgrade(mail, FULL) is mail


def test_eight_bit_text_becomes_quoted_printable() -> None:
    found = _read(_converted(_mail(_text())))
    assert found["Content-Transfer-Encoding"] == "quoted-printable"
    assert found.get_content().replace("\n", "\r\n").replace("\r\r", "\r").rstrip() == TEXT.rstrip()


def test_text_without_a_line_end_becomes_quoted_printable() -> None:
    found = _converted(Mail([("From", b"From: a@x.example")], "ü".encode() * 60, needs_8bitmime=True))
    assert max(map(len, found.body.split(b"\r\n"))) <= 76
    assert b"\n" not in found.body.replace(b"\r\n", b"")
    assert _read(found).get_payload(decode=True) == "ü".encode() * 60


def test_only_the_parts_that_need_it_are_encoded() -> None:
    message = _text()
    message.add_alternative("<p>plain</p>", subtype="html", cte="7bit")
    message.add_attachment(b"\x89PNG\r\n\xff", maintype="image", subtype="png")
    mail = _mail(message)
    found = _read(_converted(mail))
    alternative, image = found.iter_parts()
    plain, html = alternative.iter_parts()
    assert isinstance(plain, EmailMessage)
    assert isinstance(image, EmailMessage)
    assert plain["Content-Transfer-Encoding"] == "quoted-printable"
    assert plain.get_content().splitlines() == TEXT.splitlines()
    assert html["Content-Transfer-Encoding"] == "7bit"
    assert image.get_content() == b"\x89PNG\r\n\xff"


def test_an_eight_bit_part_that_is_no_text_becomes_base64() -> None:
    headers = [("Content-Type", b"Content-Type: application/x-own"), ("From", b"From: a@x.example")]
    found = _converted(Mail(headers, b"\xff\xfe" * 100, needs_8bitmime=True))
    assert _read(found).get_payload(decode=True) == b"\xff\xfe" * 100


@pytest.mark.parametrize(
    ("kind", "encoding"),
    [
        (b"multipart/signed; boundary=b", b"8bit"),
        (b"message/rfc822", b"8bit"),
        (b"multipart/mixed", b"8bit"),
        (b"text/plain", b"base64"),
    ],
)
def test_what_cannot_be_converted_is_refused(kind: bytes, encoding: bytes) -> None:
    headers = [
        ("Content-Type", b"Content-Type: " + kind),
        ("Content-Transfer-Encoding", b"Content-Transfer-Encoding: " + encoding),
    ]
    found = downgrade(Mail(headers, "ü".encode(), needs_8bitmime=True), PLAIN)
    assert isinstance(found, Answer)
    assert (found.code, found.enhanced) == (554, "5.6.3")


def test_a_mail_nested_too_deep_is_refused() -> None:
    body = "ü".encode()
    for depth in range(30):
        body = b"--%d\r\nContent-Type: multipart/mixed; boundary=%d\r\n\r\n%b\r\n--%d--\r\n" % (
            depth, depth - 1, body, depth,
        )  # fmt: skip
    mail = Mail([("Content-Type", b"Content-Type: multipart/mixed; boundary=29")], body, needs_8bitmime=True)
    assert isinstance(downgrade(mail, PLAIN), Answer)


def test_addresses_in_headers_take_ascii_domains() -> None:
    mail = Mail([("From", "From: Ann <ann@münchen.example>".encode())], b"x\r\n", needs_smtputf8=True)
    found = downgrade(mail, PLAIN)
    assert isinstance(found, Mail)
    assert found.headers == [("From", b"From: Ann <ann@xn--mnchen-3ya.example>")]
    assert not found.needs_smtputf8


def test_an_address_without_ascii_form_is_refused_for_good() -> None:
    mail = Mail([("From", "From: jörg@x.example".encode())], b"x\r\n", needs_smtputf8=True)
    found = downgrade(mail, PLAIN)
    assert isinstance(found, Answer)
    assert (found.code, found.enhanced) == (553, "5.6.7")
