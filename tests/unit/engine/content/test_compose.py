"""Composed mails, read back by the standard library's email package."""

import email
import email.policy
import re
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.engine.content.factories import (
    TOKEN,
    TRACKING_URL,
    compose_parts,
    make_content,
    make_personal,
)

from postrider.engine.content import compose, links
from postrider.engine.content.model import Attachment, Mail, Parts
from postrider.engine.errors import EngineError, TemplateFault

CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")
TEXT = st.text(CHARACTERS, max_size=300)
HTML = "<html><body><p>Hi {{ name }}</p><a href='https://shop.test/?a=1&amp;b=2'>Shop</a></body></html>"
MERGE = {"to_each": True, "merge": True}


def parse(mail: Mail) -> EmailMessage:
    raw = mail.as_bytes()
    assert raw.count(b"\n") == raw.count(b"\r") == raw.count(b"\r\n")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw.endswith(b"\r\n")
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert not [defect for part in message.walk() for defect in part.defects]
    return message


def part(message: EmailMessage, kind: str) -> str:
    """The one text part of a subtype, with LF line ends."""
    found = [each for each in message.walk() if each.get_content_type() == f"text/{kind}"]
    assert len(found) == 1
    return str(found[0].get_content()).replace("\r\n", "\n")


def normal(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


@settings(max_examples=100, deadline=None)
@given(TEXT, TEXT, st.booleans())
def test_text_and_html_come_back_whatever_they_hold(text: str, html: str, both: bool) -> None:
    message = parse(compose_parts(Parts(html if both else None, text)))
    assert normal(part(message, "plain")) == normal(text)
    if both:
        assert message.get_content_type() == "multipart/alternative"
        assert normal(part(message, "html")) == normal(html)


def test_the_header_says_who_and_what() -> None:
    headers = {
        "to": ["Jörg <joerg@example.test>", "two@example.test"],
        "cc": ['"Smith, Ann" <ann@example.test>'],
        "reply_to": ["help@example.test"],
        "custom": [["X-Order", "ü-17"]],
    }
    message = parse(
        compose_parts(Parts(None, "x"), subject="Grüße ✓", headers=headers, unsubscribe_header=True)
    )
    assert message["Subject"] == "Grüße ✓"
    assert [address.addr_spec for address in message["To"].addresses] == [
        "joerg@example.test",
        "two@example.test",
    ]
    assert message["To"].addresses[0].display_name == "Jörg"
    assert message["Cc"].addresses[0].display_name == "Smith, Ann"
    assert message["Reply-To"] == "help@example.test"
    assert message["X-Order"] == "ü-17"
    assert message["Message-ID"] == "<00010203-0405-0607-0809-0a0b0c0d0e0f@example.test>"
    assert message["Date"].datetime.timestamp() == 1_768_739_696
    assert message["MIME-Version"] == "1.0"
    assert message["Feedback-ID"] == "c1:o1:broadcast:postrider"
    url = f"{TRACKING_URL}/track/u/{TOKEN}"
    assert message["List-Unsubscribe"] == f"<{url}>, <mailto:unsubscribe+{TOKEN}@example.test>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    names = [name.lower() for name in message.keys()]  # noqa: SIM118
    assert len(names) == len(set(names))


def test_the_unsubscribe_url_is_never_broken() -> None:
    personal = make_personal(token="t" * 300)
    raw = compose_parts(Parts(None, "x"), personal, unsubscribe_header=True).as_bytes()
    assert f"<{TRACKING_URL}/track/u/{'t' * 300}>".encode() in raw


def test_senders_own_headers_stand_in_place_of_ours() -> None:
    custom = [
        ["List-Unsubscribe", "<https://own.test>"],
        ["reply-to", "own@example.test"],
        ["Feedback-ID", "own"],
    ]
    headers = {"to": ["a@b.test"], "reply_to": ["ours@example.test"], "custom": custom}
    message = parse(compose_parts(Parts(None, "x"), headers=headers, unsubscribe_header=True))
    assert message.get_all("List-Unsubscribe") == ["<https://own.test>"]
    assert message.get_all("Reply-To") == ["own@example.test"]
    assert message.get_all("Feedback-ID") == ["own"]
    assert message["List-Unsubscribe-Post"] is None


def test_bulk_recipients_stand_alone_in_to() -> None:
    headers = {"to": ["list@example.test"], "cc": ["c@example.test"], "to_each": True}
    message = parse(
        compose_parts(Parts(None, "x"), make_personal(recipient="one@example.test"), headers=headers)
    )
    assert message.get_all("To") == ["one@example.test"]
    assert message["Cc"] is None


def test_blind_copies_are_named_nowhere() -> None:
    personal = make_personal(recipient="hidden@example.test")
    raw = compose_parts(Parts(None, "x"), personal, headers={}).as_bytes()
    assert b"hidden" not in raw
    assert b"To: undisclosed-recipients:;" in raw


def test_an_address_outside_ascii_asks_for_smtputf8() -> None:
    mail = compose_parts(
        Parts(None, "x"), make_personal(recipient="пошта@bücher.test"), headers={"to_each": True}
    )
    assert mail.needs_smtputf8
    assert "To: пошта@xn--bcher-kva.test".encode() in mail.as_bytes()
    assert not compose_parts(Parts("<p>ü", "ü"), subject="ü").needs_smtputf8


def test_html_alone_gets_a_text_part() -> None:
    message = parse(compose_parts(Parts("<h1>Hi</h1><a href='https://a.test/'>Go</a>")))
    assert part(message, "plain").strip() == "Hi\n\nGo (https://a.test/)"


def test_bulk_mail_renders_each_recipients_variables() -> None:
    personal = make_personal(vars={"name": "Ann <&>"})
    mail = compose_parts(Parts(HTML, "Hi {{ name }}"), personal, subject="For {{ name }}", headers=MERGE)
    message = parse(mail)
    assert message["Subject"] == "For Ann <&>"
    assert "<p>Hi Ann &lt;&amp;&gt;</p>" in part(message, "html")
    assert part(message, "plain").strip() == "Hi Ann <&>"


def test_a_variable_cannot_add_a_header() -> None:
    personal = make_personal(vars={"name": "x\r\nBcc: evil@example.test\r\n\r\nbody"})
    message = parse(compose_parts(Parts(None, "x"), personal, subject="Hi {{ name }}", headers=MERGE))
    assert message["Bcc"] is None
    assert message["Subject"] == "Hi x Bcc: evil@example.test body"


def test_single_mail_renders_nothing_but_unsubscribe() -> None:
    parts = Parts("<p>{{ name }}</p><a href='{{ unsubscribe }}'>x</a>", "{{name}} {{unsubscribe_url}}")
    message = parse(compose_parts(parts, make_personal(vars={"name": "Ann"}), subject="{{ name }}"))
    url = f"{TRACKING_URL}/track/u/{TOKEN}"
    assert message["Subject"] == "{{ name }}"
    assert part(message, "html").strip() == f"<p>{{{{ name }}}}</p><a href='{url}'>x</a>"
    assert part(message, "plain").strip() == "{{name}} " + url


def test_bulk_mail_renders_unsubscribe_too() -> None:
    parts = Parts("{% if name %}<a href='{{ unsubscribe }}'>{{ name }}</a>{% endif %}")
    message = parse(
        compose_parts(parts, make_personal(vars={"name": "A", "unsubscribe": "no"}), headers=MERGE)
    )
    url = f"{TRACKING_URL}/track/u/{TOKEN}"
    assert part(message, "html").strip() == f"<a href='{url}'>A</a>"
    assert part(message, "plain").strip() == f"A ({url})"


@pytest.mark.parametrize("headers", [{}, MERGE])
def test_a_mail_links_to_the_page_of_its_recipients_preferences(headers: dict[str, Any]) -> None:
    parts = Parts("<a href='{{ preferences }}'>x</a>", "{{preferences}} {{ preferences_url }}")
    message = parse(compose_parts(parts, headers=headers, track_clicks=True))
    url = f"{TRACKING_URL}/track/p/{TOKEN}"
    assert f"<a href='{url}'>x</a>" in part(message, "html")
    assert part(message, "plain").strip() == f"{url} {url}"


def test_preferences_that_a_sender_brings_stay_its_own() -> None:
    parts = Parts(None, "{{ preferences.color }} {{ preferences_url }}")
    personal = make_personal(vars={"preferences": {"color": "red"}, "preferences_url": "no"})
    message = parse(compose_parts(parts, personal, headers=MERGE))
    assert part(message, "plain").strip() == f"red {TRACKING_URL}/track/p/{TOKEN}"


def test_clicks_and_opens_go_through_the_tracker() -> None:
    mail = compose_parts(Parts(HTML), track_clicks=True, track_opens=True)
    message = parse(mail)
    html = part(message, "html")
    assert f"href='{TRACKING_URL}/track/c/{TOKEN}.0'" in html
    assert f'<img src="{TRACKING_URL}/track/o/{TOKEN}"' in html
    assert "https://shop.test/?a=1&b=2" in part(message, "plain")


def test_accepting_stores_the_links_a_click_may_lead_to() -> None:
    _, found = compose.accept_parts(Parts(HTML), merge=False, track_clicks=True)
    assert found == ["https://shop.test/?a=1&b=2"]
    assert links.resolve(found[0], None) == "https://shop.test/?a=1&b=2"
    assert compose.accept_parts(Parts(HTML), merge=False)[1] == []


def test_accepting_names_every_template_fault() -> None:
    with pytest.raises(TemplateFault) as caught:
        compose.accept_parts(Parts("{% if %}", "{{ x"), subject="{{ a | nosuch }}", merge=True)
    assert [fault["field"] for fault in caught.value.facts["faults"]] == ["subject", "html", "text"]
    assert caught.value.facts["field"] == "subject"
    compose.accept_parts(Parts("{% if %}", "{{ x"), subject="{{ a | nosuch }}", merge=False)


def test_accepting_inlines_css_when_asked() -> None:
    styled = Parts("<style>p{color:red}</style><p>{{ x }}</p>")
    assert "color: red" in str(compose.accept_parts(styled, merge=True, inline_css=True)[0].html)
    assert compose.accept_parts(styled, merge=True)[0] == styled


@given(st.builds(Parts, st.none() | TEXT, st.none() | TEXT, st.none() | TEXT))
def test_parts_come_back_from_the_store(parts: Parts) -> None:
    assert compose.decode_parts(compose.encode_parts(parts)) == parts


def test_attachments_and_inline_images_come_back() -> None:
    files = [
        Attachment("bericht für März.pdf", "application/pdf", bytes(range(256)) * 20),
        Attachment("logo.png", "image/png", b"\x89PNG", cid="logo"),
        Attachment("fwd.eml", "message/rfc822", b"Subject: x\r\n\r\ny"),
        Attachment("odd", "not a type\r\nX: y", b""),
    ]
    parts = Parts('<img src="cid:logo">', "text")
    message = parse(compose_parts(parts, files=files))
    kinds = [each.get_content_type() for each in message.walk()]
    assert kinds[:5] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
    ]
    assert kinds[5:] == [
        "image/png",
        "application/pdf",
        "application/octet-stream",
        "application/octet-stream",
    ]
    attached = {each.get_filename(): each.get_content() for each in message.iter_attachments()}
    assert attached == {files[0].filename: files[0].body, "fwd.eml": files[2].body, "odd": b""}
    image = next(each for each in message.walk() if each.get_content_type() == "image/png")
    assert (image["Content-ID"], image.get_content(), image.get_filename()) == (
        "<logo>",
        b"\x89PNG",
        "logo.png",
    )


def test_an_invitation_goes_along_as_calendar() -> None:
    calendar = "BEGIN:VCALENDAR\r\nMETHOD:CANCEL\r\nEND:VCALENDAR\r\n"
    message = parse(compose_parts(Parts("<p>Tea", "Tea", calendar)))
    invitation = next(each for each in message.walk() if each.get_content_type() == "text/calendar")
    assert invitation["Content-Type"].params["method"] == "CANCEL"
    assert part(message, "calendar") == calendar.replace("\r\n", "\n")
    assert [each.get_content_type() for each in message.iter_parts()] == [
        "text/plain",
        "text/html",
        "text/calendar",
    ]


def test_long_lines_never_pass() -> None:
    message = parse(compose_parts(Parts("<p>" + "x" * 5_000, "y" * 5_000)))
    assert part(message, "plain").strip() == "y" * 5_000
    message = parse(
        compose_parts(Parts(None, "{{ x }}"), make_personal(vars={"x": "z" * 3_000}), headers=MERGE)
    )
    assert part(message, "plain").strip() == "z" * 3_000


def test_copies_of_one_content_differ_only_in_what_is_personal() -> None:
    content = make_content(headers=MERGE, track_opens=True)
    prepared = compose.prepare(content, compose.encode_parts(Parts("<p>{{ n }}</p>", "t")), {})
    one, two = (
        prepared.compose(make_personal(recipient=f"{name}@a.test", vars={"n": name}, token=name)).as_bytes()
        for name in ("ann", "bob")
    )
    assert re.sub(b"ann", b"bob", one) == two


@pytest.mark.parametrize(
    "given",
    [
        {"from_header": "nobody"},
        {"headers": {"to": ["x"]}},
        {"headers": {"custom": [["X", "a\r\nb"]]}},
        {"headers": {"merge": True}, "subject": "{% if %}"},
    ],
)
def test_a_content_that_cannot_be_mailed_says_so_when_composed(given: dict[str, object]) -> None:
    prepared = compose.prepare(make_content(**given), compose.encode_parts(Parts(None, "x")), {})
    with pytest.raises(EngineError):
        prepared.compose(make_personal())


def test_a_template_that_fails_for_one_recipient_fails_for_that_one_only() -> None:
    content = make_content(headers=MERGE)
    body = compose.encode_parts(Parts(None, "{% for i in items %}{{ i }}{% endfor %}"))
    prepared = compose.prepare(content, body, {})
    with pytest.raises(TemplateFault):
        prepared.compose(make_personal(vars={"items": list(range(20_000))}))
    assert prepared.compose(make_personal(vars={"items": [1, 2]})).body == b"12\r\n"
