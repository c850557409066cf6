"""Splicing changes href values and nothing else; what a click leads to is http or nothing."""

import html as entities
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postrider.engine.content import links

URLS = st.sampled_from(
    [
        "https://a.test/?x=1&amp;y=2",
        "HTTP://b.test",
        " https://c.test/ü ",
        "mailto:x@y.test",
        "#top",
        "cid:1",
        "/rel",
        "tel:+1",
        "{{unsubscribe}}",
        "https://d.test/{{ a | default: 'b' }}",
        "javascript:x()",
        "",
        "//e.test",
    ]
)
TAGS = st.builds(
    "<{}{}{}={}{}{}>".format,
    st.sampled_from(["a", "A", "area", "abbr", "link"]),
    st.sampled_from([" ", "\n", " class=x ", " title='>\"' ", "/"]),
    st.sampled_from(["href", "HREF", "href ", "data-href"]),
    st.just('"'),
    URLS,
    st.just('"'),
)
MARKUP = st.sampled_from(
    [
        "<!-- <a href='http://no.test'> -->",
        "<![if !mso]>",
        "<![endif]>",
        "<!--[if mso]><a href=http://no.test><![endif]-->",
        "<script>'<a href=\"http://no.test\">'</script>",
        "<style>a{}</style>",
        "</body>",
        "</BODY >",
        "<br/>",
        "é & <",
        "</a>",
        "<a href='https://s.test'>",
        "<a href=https://u.test/p>",
        "<img alt=\"<a href='http://no.test'>\">",
        "<!---->",
        "<!-->",
        "<title><a href='http://no.test'></title>",
        "<a data-no-track href='http://no.test'>",
        "<a>",
        "<",
        ">",
        '"',
        "'",
        "<a href=https://v.test clicktracking=off>",
        "{{ x }}",
        "{% if a < b %}",
        "<a {% if x %}href='https://t.test'{% endif %}>",
    ]
)
HTML = st.lists(TAGS | MARKUP | st.text(max_size=6), max_size=10).map("".join)


@settings(max_examples=400, deadline=None)
@given(HTML, st.booleans(), st.booleans())
def test_only_href_values_and_what_is_put_in_differ_from_the_input(
    html: str, pixel: bool, hidden: bool
) -> None:
    html = html.replace("\0", "")
    spliced = links.extract(html, pixel=pixel, hidden=hidden)
    rebuilt, at = "", 0
    for slot, segment in zip((*spliced.slots, None), spliced.segments, strict=True):
        assert html.startswith(segment, at)
        rebuilt, at = rebuilt + segment, at + len(segment)
        if slot is None or slot in (links.AT_PIXEL, links.AT_HIDDEN):
            continue
        raw = _raw_value(html, at)
        assert entities.unescape(raw).strip() == spliced.links[slot]
        rebuilt, at = rebuilt + raw, at + len(raw)
    assert (rebuilt, at) == (html, len(html))
    assert spliced.slots.count(links.AT_PIXEL) == pixel
    is_tracked = any(slot >= 0 for slot in spliced.slots)
    assert spliced.slots.count(links.AT_HIDDEN) == (hidden and is_tracked)


def _raw_value(html: str, at: int) -> str:
    """A tracked value ends where its quote, or without one a space or bracket, comes."""
    quote = html[at - 1]
    ends = quote if quote in "\"'" else " \n\t>"
    end = at
    while html[end] not in ends:
        end += 2 if html.startswith("{{", end) else 1
        if html.startswith("{", end - 1):
            end = html.index("}}", end)
    return html[at:end]


class _Hrefs(HTMLParser):
    """What the standard library's parser sees as hrefs."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(reversed(attrs))
        untracked = "data-no-track" in given or given.get("clicktracking") == "off"
        if tag in ("a", "area") and not untracked:
            self.found.append((given.get("href") or "").strip())


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        TAGS | st.sampled_from(["text", "<!-- <a href='http://no.test'> -->", "<br>", "</a>"]), max_size=8
    )
)
def test_the_links_are_those_the_standard_library_sees(pieces: list[str]) -> None:
    html = "".join(pieces)
    parser = _Hrefs()
    parser.feed(html)
    tracked = [url for url in parser.found if url.lower().startswith("http")]
    assert list(links.extract(html).links) == list(dict.fromkeys(tracked))


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<a href="https://a.test/?x=1&amp;y=2">', ["https://a.test/?x=1&y=2"]),
        ("<A\nHREF = 'https://a.test'>", ["https://a.test"]),
        ("<a href=https://a.test/x>", ["https://a.test/x"]),
        ("<area href='https://a.test'>", ["https://a.test"]),
        ('<a href="https://a.\ntest/">', ["https://a.test/"]),
        ('<a href="http://a.test"><a href="http://a.test">', ["http://a.test"]),
        ('<a href="http://a.test" href="http://b.test">', ["http://a.test"]),
        ('<![if !mso]><a href="http://a.test"><![endif]>', ["http://a.test"]),
        ('<!--[if !mso]><!--><a href="http://a.test"><!--<![endif]-->', ["http://a.test"]),
        ("<a href='{{ url }}'>", ["{{ url }}"]),
        ("{% for i in l %}<a href='https://a.test/{{ i.id }}'>{% endfor %}", []),
        (
            "{% assign p = 'x' %}<a href='https://a.test/{{ p }}'><a href='https://a.test/{{ q }}'>",
            ["https://a.test/{{ q }}"],
        ),
        ("<!--[if mso]><a href='http://a.test'><![endif]-->", []),
        ("<script>'<a href=\"http://a.test\">'</script>", []),
        ("<![CDATA[<a href='http://a.test'>]]>", []),
        ("<a href='http://a.test' data-no-track>", []),
        ("<a href='http://a.test' clicktracking=OFF>", []),
        ("<a href='{{ unsubscribe_url }}'>", []),
        ("<a href='{{preferences}}'>", []),
        ("<a href='https://a.test/?u={{unsubscribe}}'>", []),
        ("<a href='mailto:a@b.test'><a href='#x'><a href='tel:1'><a href='cid:x'><a href=''><a href>", []),
        ("<a href='https://" + "a" * 9_000 + "'>", []),
        ("<abbr href='http://a.test'>", []),
    ],
)
def test_what_is_tracked_and_what_is_not(html: str, expected: list[str]) -> None:
    assert list(links.extract(html).links) == expected


def test_a_recipients_html_leads_through_the_tracker() -> None:
    html = '<body><a href="https://a.test">x</a><a href=https://b.test>y</a></body>'
    filled = links.fill(links.extract(html, pixel=True).marked(), "https://t.test", "TOKEN")
    assert '<a href="https://t.test/track/c/TOKEN.0">' in filled
    assert "<a href=https://t.test/track/c/TOKEN.1>" in filled
    assert filled.endswith('style="display:none"></body>')
    assert '<img src="https://t.test/track/o/TOKEN" width="1" height="1"' in filled


def test_the_hidden_link_stands_beside_links_that_are_tracked_and_is_none_of_them() -> None:
    html = '<body><a href="https://a.test">x</a></body>'
    spliced = links.extract(html, hidden=True, pixel=True)
    filled = links.fill(spliced.marked(), "https://t.test", "TOKEN")
    hidden = f'<a href="https://t.test/track/c/TOKEN.{links.HIDDEN_LINK}" style="display:none"'
    assert filled.index(hidden) < filled.index("<img ") < filled.index("</body>")
    assert spliced.links == ("https://a.test",)
    assert len(links.extract(html).marked()) < len(spliced.marked())
    plain = '<body><a href="mailto:a@a.test">x</a></body>'
    assert links.extract(plain, hidden=True).marked() == plain


def test_links_beyond_the_stored_table_stay_as_they_are() -> None:
    html = "<a href='https://new.test'><a href='https://b.test'><a href='https://a.test'>"
    spliced = links.extract(html, known=["https://a.test", "https://b.test"])
    assert spliced.slots == (1, 0)
    assert "https://new.test" in spliced.marked()


def test_links_past_the_limit_stay_as_they_are() -> None:
    html = "".join([f"<a href='https://a.test/{number}'>" for number in range(links.LINKS_MAX + 5)])
    assert len(links.extract(html).links) == links.LINKS_MAX


@pytest.mark.parametrize(
    "html",
    [
        "<a " * 200_000,
        '<a href="' * 100_000,
        "<!--" * 200_000,
        "<a x='" * 100_000,
        "<style>" * 100_000,
        "<a {{" * 100_000,
        "<a {%" * 100_000,
        "<" * 500_000,
        "<script " * 100_000,
        "<a" + " x" * 300_000,
    ],
)
def test_hostile_html_is_read_in_linear_time(html: str) -> None:
    started = time.perf_counter()
    links.extract(html, pixel=True)
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("link", "variables", "expected"),
    [
        ("https://a.test/?x=1&y=%20z#f", None, "https://a.test/?x=1&y=%20z#f"),
        (
            "https://a.test/{{ name }}?q={{ q }}",
            {"name": "Ann B", "q": "ü\r\nX: y"},
            "https://a.test/Ann%20B?q=%C3%BC%0D%0AX:%20y",
        ),
        ("{{ url }}", {"url": "https://b.test"}, "https://b.test"),
        ("{{ url }}", {"url": "javascript:alert(1)"}, None),
        ("{{ url }}", {"url": "http:\\\\evil.test"}, None),
        ("{{ url }}", {}, None),
        ("https://a.test/{{ missing }}", None, "https://a.test/"),
        ("{{ broken", {}, None),
        ("mailto:a@b.test", None, None),
        ("https:///path", None, None),
    ],
)
def test_a_click_leads_to_the_web_or_nowhere(
    link: str, variables: dict[str, str] | None, expected: str | None
) -> None:
    assert links.resolve(link, variables) == expected
