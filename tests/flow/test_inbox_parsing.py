"""The inbox reads any bytes: ordinary mail as the standard library wrote it, and what is no mail at all."""

import time
from email.message import EmailMessage

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postrider.kit import json
from postrider.surfaces.common.frame import TAGS_MAX, Image, frame_of
from postrider.surfaces.inbox import wire
from postrider.surfaces.inbox.html import has_remote, links_of
from postrider.surfaces.inbox.parse import PARTS_MAX, TEXT_MAX_CHARS, Mail, parse

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def letter() -> EmailMessage:
    """What most mail looks like: both bodies, an inline image, an attachment."""
    mail = EmailMessage()
    mail["From"] = "Zoë <zoe@example.com>"
    mail["Subject"] = "Grüße aus Köln"
    mail.set_content("Read https://example.com/text.\n")
    mail.add_alternative(
        '<p><img src="cid:logo"><a href="https://example.com/a">A <b>b</b></a>', subtype="html"
    )
    html = mail.get_payload()[1]  # type: ignore[index]
    assert isinstance(html, EmailMessage)
    html.add_related(PNG, "image", "png", cid="<logo>")
    mail.add_attachment(b"%PDF", "application", "pdf", filename="Öffnungszeiten/../x.pdf")
    return mail


def test_a_mail_is_read_as_it_was_written() -> None:
    mail = parse(letter().as_bytes())
    assert (mail.header("subject"), mail.header("from")) == ("Grüße aus Köln", "Zoë <zoe@example.com>")
    assert mail.text == "Read https://example.com/text.\n"
    assert mail.html is not None
    assert [(link.href, link.text) for link in mail.links] == [
        ("https://example.com/a", "A b"),
        ("https://example.com/text", ""),
    ]
    logo, paper = mail.parts
    assert (logo.content_id, logo.is_inline, logo.body) == ("logo", True, PNG)
    assert (paper.filename, paper.content_type, paper.body) == (
        "Öffnungszeiten_.._x.pdf",
        "application/pdf",
        b"%PDF",
    )
    assert mail.faults == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        b"no header at all",
        b"Subject: =?utf-8?B?!!!?=\r\n\r\nx",
        b"Subject: \xff\xfe\r\n\r\n\xff",
        b"Content-Type: text/plain; charset=utf-7\r\n\r\n+2AA-",
        b"Content-Type: text/plain; charset=unicode_escape\r\n\r\n\\ud800",
        b"Content-Type: text/plain; charset=no-such\r\n\r\nx",
        b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a-" * 5_000,
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nnever closed",
        b"Content-Type: text/html; name*=x'y'%ff; name*0*=z\r\n\r\nx",
        b'Content-Disposition: attachment; filename="\x00\xff"\r\n\r\nx',
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!",
        b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx",
        b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (depth, depth)
            for depth in range(3_000)
        ),
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * (PARTS_MAX + 10),
        b"Content-Type: text/html\r\n\r\n" + b"<div>" * 50_000,
        b"X: y\r\n" * 5_000 + b"\r\n" + b"a" * (TEXT_MAX_CHARS + 1),
    ],
    ids=lambda raw: repr(raw[:40]),
)
def test_broken_mail_is_shown_as_far_as_it_goes(raw: bytes) -> None:
    assert_presentable(parse(raw))


@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"Content-Type: ", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b"]),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_are_presentable(noise: bytes, start: bytes) -> None:
    assert_presentable(parse(start + noise))


def assert_presentable(mail: Mail) -> None:
    shown = [mail.headers, mail.text, mail.html, mail.faults, [part.filename for part in mail.parts]]
    json.dumps(shown)
    if mail.html is not None:
        frame_of(mail.html, {}).encode()


def test_a_frame_holds_nothing_active_and_its_own_images() -> None:
    html = """<base href="https://evil.example"><meta http-equiv="refresh" content="0;url=https://evil.example">
        <script>alert(1)</script><iframe src="https://evil.example"></iframe><style>p { color: red }</style>
        <p style="color: blue">Hi<img src="cid:a"><img src='cid:unknown'><a href="https://example.com">x</a>"""
    framed = frame_of(html, {"a": Image("image/png", PNG), "unknown": Image("text/html", b"<script>")})
    assert "evil" not in framed
    assert "alert" not in framed
    assert "data:image/png;base64," in framed
    assert "cid:unknown" in framed
    assert "p { color: red }" in framed
    assert 'target="_blank"' in framed


@pytest.mark.parametrize(
    ("html", "remote"),
    [
        ('<img src="https://example.com/a.png">', True),
        ("<td background=//example.com/a.png>", True),
        ('<p style="background: url( http://example.com/a )">', True),
        ('<img src="cid:a"><a href="https://example.com">', False),
    ],
)
def test_pictures_from_other_hosts_are_noticed(html: str, remote: bool) -> None:
    assert has_remote(html) is remote


def test_html_made_to_keep_the_parser_busy_is_left_as_it_is() -> None:
    bomb = '<a href="https://example.com">x</a>' + "<div>" * TAGS_MAX
    started = time.monotonic()
    assert frame_of(bomb, {}) == bomb
    assert links_of(bomb) == []
    frame_of("<div>" * TAGS_MAX, {})
    assert time.monotonic() - started < 2


def test_links_are_told_once_and_without_anchors() -> None:
    assert [
        link.href for link in links_of('<a href="#x">1</a><a href="/a">2</a><a href="/a">3</a><a>4</a>')
    ] == ["/a"]


def test_a_time_is_the_least_id_of_its_millisecond() -> None:
    assert wire.first_id_at(1) < wire.first_id_at(2)
    assert len(wire.first_id_at(2)) == 16
