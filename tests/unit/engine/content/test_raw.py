"""Raw mail: adopted with its facts, sent on with its own bytes, tracked in its HTML and nowhere else."""

import base64
import email
import email.policy
import quopri
from email.message import EmailMessage
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.engine.content.factories import AT_MS, TOKEN, TRACKING_URL, make_content, make_personal

from postrider.engine.content import compose, raw
from postrider.engine.content.model import Mail
from postrider.engine.content.raw import Adopted
from postrider.engine.errors import Invalid
from postrider.engine.messages.model import ContentKind

GROUP_ID = bytes(range(16))
HTML = '<html><body><p>Grüße</p><a href="https://a.test/?x=1&amp;ü=2">A</a></body></html>\r\n'
HIDDEN_URL = f"{TRACKING_URL}/track/c/{TOKEN}.1000"
HIDDEN = f'<a href="{HIDDEN_URL}" style="display:none" aria-hidden="true" tabindex="-1"></a>'
PIXEL = f'<img src="{TRACKING_URL}/track/o/{TOKEN}" width="1" height="1" alt="" style="display:none">'


def adopt(raw_mail: bytes) -> Adopted:
    return raw.adopt(raw_mail, group_id=GROUP_ID, date_ms=AT_MS)


def send(adopted: Adopted, **given: object) -> Mail:
    """An adopted mail as one recipient gets it, tracked unless said otherwise."""
    flags = {"track_clicks": True, "track_opens": True, **given}
    found = raw.links_of(adopted.body)
    content = make_content(kind=ContentKind.RAW, headers={}, links=found, **flags)
    return compose.prepare(content, adopted.body, {}).compose(make_personal())


def parse(data: bytes) -> EmailMessage:
    return email.message_from_bytes(data, policy=email.policy.default)


def html_of(message: EmailMessage) -> str:
    part = next(each for each in message.walk() if each.get_content_type() == "text/html")
    return part.get_payload(decode=True).decode(part.get_content_charset() or "utf-8")  # type: ignore[union-attr]


def test_adopting_learns_what_the_mail_says() -> None:
    adopted = adopt(
        b"From: =?utf-8?q?J=C3=B6rg?= <Joerg@Example.Test>\n"
        b'To: "Smith, Ann" <ann@b.test>,\n bob@c.test (Bob)\n'
        b"Cc: =?utf-8?q?A_=3C3_B?= <x@d.test>, nonsense\n"
        b"Bcc: secret@e.test\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n"
        b"Message-ID: <own@b.test>\nDate: Sun, 18 Jan 2026 12:34:56 +0000\nX-Stream-Type: Transactional\n"
        b"X-Tags: one, two\nX-Tag: three\nReturn-Path: <r@b.test>\nX-Keep:  exactly \tthis\n\nbody\nlines"
    )
    assert (adopted.mailbox.address, adopted.mailbox.name) == ("Joerg@example.test", "Jörg")
    assert adopted.to == ["Smith, Ann <ann@b.test>", "bob@c.test"]
    assert adopted.cc == ["A 3 B <x@d.test>"]
    assert adopted.subject == "Grüße"
    assert adopted.message_id == "<own@b.test>"
    assert adopted.stream == "transactional"
    assert adopted.tags == ["three", "one", "two"]
    assert adopted.body.endswith(b"\r\nX-Keep:  exactly \tthis\r\n\r\nbody\r\nlines\r\n")
    for gone in (b"secret", b"Return-Path", b"X-Stream-Type", b"X-Tag"):
        assert gone not in adopted.body
    assert b'To: "Smith, Ann" <ann@b.test>,\r\n bob@c.test (Bob)\r\n' in adopted.body


def test_date_and_message_id_are_added_where_they_are_missing() -> None:
    message = parse(adopt(b"From: a@b.test\r\n\r\nhello\r\n").body)
    assert message["Date"].datetime.timestamp() * 1000 == AT_MS
    assert message["Message-ID"] == "<00010203-0405-0607-0809-0a0b0c0d0e0f@b.test>"
    assert message.get_payload() == "hello\r\n"


@pytest.mark.parametrize(
    ("mail", "field"),
    [
        (b"To: a@b.test\r\n\r\nx", "from"),
        (b"From: a@b.test, c@d.test\r\n\r\nx", "from"),
        (b"From: a@b.test\r\nFrom: c@d.test\r\n\r\nx", "from"),
        (b"From: nobody\r\n\r\nx", "from"),
        (b"From:\r\n\r\nx", "from"),
        (b"From: a@b.test\r\nSubject: x\r\nSubject: y\r\n\r\nx", "subject"),
        (b"From: a@b.test\r\nno field\r\n\r\nx", "header"),
        (b"From: a@b.test\r\nX: \0\r\n\r\nx", "header"),
        (b"From: a@b.test\r\nX: " + b"x" * 300_000 + b"\r\n\r\nx", "header"),
        (b"From: a@b.test\r\n" + b"Received: x\r\n" * 101 + b"\r\nx", "received"),
        (b"\r\nbody only", "from"),
        (b"", "from"),
    ],
)
def test_what_cannot_be_sent_is_refused(mail: bytes, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        adopt(mail)
    assert caught.value.facts["field"] == field


def test_the_envelope_line_of_an_mbox_is_dropped() -> None:
    assert adopt(b"From a@b.test Sun Jan 18\nFrom: a@b.test\n\nx").body.startswith(b"From: a@b.test\r\n")


def test_plain_text_keeps_every_byte_and_gains_only_our_headers() -> None:
    adopted = adopt(b"From: a@b.test\r\nContent-Type: text/plain\r\n\r\n<a href='https://x.test'>\r\n")
    mail = send(adopted, unsubscribe_header=True)
    assert raw.links_of(adopted.body) == []
    assert (
        mail.as_bytes().replace(b"\r\n".join([line for _, line in mail.headers[-3:]]) + b"\r\n", b"")
        == adopted.body
    )
    assert [name for name, _ in mail.headers[-3:]] == [
        "Feedback-ID",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
    ]


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1"])
def test_html_is_tracked_in_every_encoding(encoding: str, charset: str) -> None:
    octets = HTML.encode(charset)
    head = f'From: a@b.test\r\nContent-Type: text/html; charset="{charset}"\r\n'
    head += f"Content-Transfer-Encoding: {encoding}"
    body = {"base64": _base64(octets), "quoted-printable": _qp(octets), "8bit": octets}[encoding]
    adopted = adopt(head.encode() + b"\r\n\r\n" + body)
    assert raw.links_of(adopted.body) == ["https://a.test/?x=1&ü=2"]
    html = html_of(parse(send(adopted).as_bytes()))
    assert html == HTML.replace("https://a.test/?x=1&amp;ü=2", f"{TRACKING_URL}/track/c/{TOKEN}.0").replace(
        "</body>", HIDDEN + PIXEL + "</body>"
    )


def _base64(octets: bytes) -> bytes:
    return base64.encodebytes(octets)


def _qp(octets: bytes) -> bytes:
    return quopri.encodestring(octets.replace(b"\r\n", b"\n"))


def nested(outer: str = "mixed") -> MIMEMultipart:
    message = MIMEMultipart(outer)
    message["From"], message["To"], message["Subject"] = "a@b.test", "c@d.test", "nested"
    alternative = MIMEMultipart("alternative")
    alternative.attach(MIMEText("Grüße https://a.test\n", "plain", "utf-8"))
    alternative.attach(MIMEText(HTML.replace("\r\n", "\n"), "html", "utf-8"))
    message.attach(alternative)
    attached = MIMEText("<a href='https://attached.test'>", "html", "us-ascii")
    attached["Content-Disposition"] = "attachment; filename=a.html"
    message.attach(attached)
    message.attach(MIMEApplication(bytes(range(256))))
    return message


def test_nested_html_is_tracked_and_its_siblings_keep_their_bytes() -> None:
    adopted = adopt(nested().as_bytes())
    assert raw.links_of(adopted.body) == ["https://a.test/?x=1&ü=2"]
    before, after = parse(adopted.body), parse(send(adopted).as_bytes())
    assert [p.get_content_type() for p in before.walk()] == [p.get_content_type() for p in after.walk()]
    assert f"/track/c/{TOKEN}.0" in html_of(after)
    assert PIXEL in html_of(after)
    for one, two in zip(before.walk(), after.walk(), strict=True):
        if not one.is_multipart() and (one.get_content_type() != "text/html" or one.is_attachment()):
            assert one.as_bytes() == two.as_bytes()
    assert "attached.test" in str(next(iter(after.iter_attachments())).get_content())


@pytest.mark.parametrize("sealed", ["signed", "encrypted"])
def test_signed_and_encrypted_mail_keeps_every_byte_of_its_body(sealed: str) -> None:
    adopted = adopt(nested(sealed).as_bytes())
    assert raw.links_of(adopted.body) == []
    assert send(adopted).body == adopted.body.partition(b"\r\n\r\n")[2]


def test_a_signed_part_inside_another_mail_keeps_every_byte() -> None:
    signed = nested("signed")
    for name in ("From", "To", "Subject"):
        del signed[name]
    outer = MIMEMultipart("mixed")
    outer["From"] = "a@b.test"
    outer.attach(signed)
    outer.attach(MIMEText("<p>footer", "html"))
    adopted = adopt(outer.as_bytes())
    mail = send(adopted)
    inner = signed.as_bytes().replace(b"\n", b"\r\n")
    assert inner in adopted.body
    assert inner in mail.body
    assert PIXEL.encode() in mail.body


def test_untracked_mail_keeps_every_byte() -> None:
    adopted = adopt(nested().as_bytes())
    assert send(adopted, track_clicks=False, track_opens=False).body == adopted.body.partition(b"\r\n\r\n")[2]


def test_long_html_lines_are_folded_when_links_would_make_them_longer() -> None:
    html = b"<p>" + b"x" * 900 + b"<a href='https://a.test'>A</a>"
    mail = send(adopt(b"From: a@b.test\r\nContent-Type: text/html\r\n\r\n" + html))
    assert max(map(len, mail.body.split(b"\r\n"))) <= 998
    message = parse(mail.as_bytes())
    assert message["Content-Transfer-Encoding"] == "quoted-printable"
    assert f"/track/c/{TOKEN}.0" in html_of(message)


def test_charsets_unlike_ascii_are_left_alone() -> None:
    body = "<a href='https://a.test'>".encode("utf-16")
    head = b"From: a@b.test\r\nContent-Type: text/html; charset=utf-16\r\n"
    head += b"Content-Transfer-Encoding: base64\r\n\r\n"
    adopted = adopt(head + _base64(body))
    assert raw.links_of(adopted.body) == []
    assert send(adopted).body == adopted.body.partition(b"\r\n\r\n")[2]


def test_eight_bit_and_utf8_mail_asks_for_the_extensions() -> None:
    mail = send(adopt("From: a@b.test\r\nX-Name: ü\r\n\r\nü".encode()))
    assert mail.needs_8bitmime
    assert mail.needs_smtputf8


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                b"--b\r\n",
                b"--b--\r\n",
                b"\r\n",
                b"Content-Type: text/html\r\n",
                b"<a href='http://x.y'>",
                b"--c\r\n",
                b"Content-Type: multipart/mixed; boundary=c\r\n",
                b"Content-Type: multipart/signed; boundary=c\r\n",
                b"text",
                b"\xff",
            ]
        )
    )
)
def test_broken_structures_lose_nothing(pieces: list[bytes]) -> None:
    adopted = adopt(b"From: a@b.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + b"".join(pieces))
    found = raw.links_of(adopted.body)
    body = send(adopted).body
    body = body.replace(PIXEL.encode(), b"")
    for index, link in enumerate(found):
        body = body.replace(f"{TRACKING_URL}/track/c/{TOKEN}.{index}".encode(), link.encode())
    if b"Content-Transfer-Encoding" not in body:
        assert body == adopted.body.partition(b"\r\n\r\n")[2]
