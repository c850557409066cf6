"""A mail to many that names no way out gets a footer that does; what has one stays as it is."""

import pytest
from tests.unit.engine.content.factories import TOKEN, TRACKING_URL, make_content, make_personal
from tests.unit.engine.content.test_compose import parse, part

from postrider.engine.accounts import Settings
from postrider.engine.content import compose
from postrider.engine.content.footer import Footer, footer_of, with_footer
from postrider.engine.content.model import Parts
from postrider.engine.messages.model import Stream
from postrider.kit.address import Mailbox
from postrider.surfaces.track.render import contrast

FOOTER = Footer("Bäckerei & Söhne <3", "Marktplatz 1\n12345 Berlin")
OUT = f"{TRACKING_URL}/track/u/{TOKEN}"


def mailed(parts: Parts, footer: Footer = FOOTER, *, merge: bool) -> tuple[str, str]:
    """HTML and text as one recipient gets them."""
    accepted, found = compose.accept_parts(parts, merge=merge, track_clicks=True, footer=footer)
    content = make_content(
        links=found, track_clicks=True, headers={"to": ["r@example.test"], "merge": merge, "to_each": merge}
    )
    message = parse(compose.prepare(content, compose.encode_parts(accepted), {}).compose(make_personal()))
    return part(message, "html") if parts.html is not None else "", part(message, "plain")


@pytest.mark.parametrize("merge", [True, False])
def test_both_parts_end_with_who_sent_it_and_the_way_out(merge: bool) -> None:
    html, text = mailed(Parts("<html><body><p>Hi</p></body></html>", "Hi\n\n"), merge=merge)
    assert html.startswith("<html><body><p>Hi</p><div style=")
    assert html.endswith(">Unsubscribe</a></div></body></html>")
    assert f'href="{OUT}"' in html, "the link leads straight to the page"
    assert "<strong>Bäckerei &amp; Söhne &lt;3</strong><br>Marktplatz 1<br>12345 Berlin<br>" in html
    lines = ["Hi", "", "-" * 40, "Bäckerei & Söhne <3", "Marktplatz 1", "12345 Berlin", f"Unsubscribe: {OUT}"]
    assert text.rstrip("\n").split("\n") == lines


@pytest.mark.parametrize(
    ("html", "before"),
    [
        ("<p>Hi</p>", "<p>Hi</p>"),
        ("<body><p>Hi</p></BODY ></html>", "<body><p>Hi</p>"),
        ("<body><!-- </body> --><p>Hi</p>", "<body><!-- </body> --><p>Hi</p>"),
        ("<body><p>a</p></body><p>b</p></body>", "<body><p>a</p></body><p>b</p>"),
        ("", ""),
    ],
)
def test_it_stands_before_the_end_of_the_body_or_at_the_end(html: str, before: str) -> None:
    made = with_footer(Parts(html), FOOTER).html or ""
    at = len(before)
    assert made[:at] == before
    assert made[at:].startswith('<div style="')
    assert made.endswith(f"</div>{html[at:]}")


@pytest.mark.parametrize("own", ["{{unsubscribe}}", "{{ unsubscribe_url }}", "{{- unsubscribe | upcase }}"])
def test_a_part_with_a_way_out_of_its_own_stays_as_it_is(own: str) -> None:
    parts = Parts(f"<a href='{own}'>out</a>", f"out: {own}")
    assert with_footer(parts, FOOTER) == parts
    half = with_footer(Parts(parts.html, "no way out"), FOOTER)
    assert (half.html, "Unsubscribe: " in (half.text or "")) == (parts.html, True)


def test_what_is_not_there_is_not_made() -> None:
    assert with_footer(Parts(None, "x"), FOOTER).html is None
    assert with_footer(Parts("x", None, "BEGIN:VCALENDAR"), FOOTER).text is None
    assert with_footer(Parts("x", None, "BEGIN:VCALENDAR"), FOOTER).calendar == "BEGIN:VCALENDAR"


def test_a_text_made_of_the_html_has_the_footer_too() -> None:
    _, text = mailed(Parts("<body><p>Hi</p></body>"), merge=True)
    lines = ["Hi", "", "Bäckerei & Söhne <3", "Marktplatz 1", "12345 Berlin", f"Unsubscribe ({OUT})"]
    assert text.strip().split("\n") == lines


def test_a_brand_is_no_template() -> None:
    evil = Footer("A {{ name }} {% if", "{{{unsubscribe}}")
    html, text = mailed(Parts("<p>Hi</p>", "Hi"), evil, merge=True)
    assert "<strong>A { { name }} { % if</strong><br>{ { {unsubscribe}}<br>" in html
    assert "A { { name }} { % if\n{ { {unsubscribe}}\n" in text
    _, made = mailed(Parts("<p>Hi</p>"), evil, merge=True)
    assert "A { { name }} { % if" in made


def test_without_an_address_it_names_the_sender_and_the_way_out() -> None:
    assert "<strong>Shop</strong><br><a href=" in (with_footer(Parts("x"), Footer("Shop")).html or "")


def test_the_organization_says_what_it_is_called_and_transactional_mail_has_none() -> None:
    sender = Mailbox("a@shop.test", "Anna")
    branded = Settings(brand_name="Shop", postal_address="Road 1\nTown")
    for stream in (Stream.BROADCAST, Stream.SHARED):
        assert footer_of(branded, sender, stream) == Footer("Shop", "Road 1\nTown")
    assert footer_of(Settings(), sender, Stream.BROADCAST) == Footer("Anna")
    assert footer_of(Settings(), Mailbox("a@shop.test"), Stream.BROADCAST) == Footer("shop.test")
    assert footer_of(branded, sender, Stream.TRANSACTIONAL) is None


def test_it_can_be_read_whatever_the_mail_is_painted_with() -> None:
    html = with_footer(Parts("x"), FOOTER).html or ""
    assert "background:#ffffff;color:#595959;" in html
    assert contrast("#595959", "#ffffff") >= 7
