"""Analytics tags stand on links to the web, each once, before the fragment; nothing else changes."""

import html as entities
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.engine.content.factories import TOKEN, TRACKING_URL, compose_parts, make_personal
from tests.unit.engine.content.test_compose import parse, part

from postrider.engine.content import analytics, links
from postrider.engine.content.model import Parts
from postrider.engine.engagement import Target
from postrider.engine.errors import Invalid
from postrider.kit.ids import new_id

TAGS = {"utm_source": "news letter", "utm_medium": "email", "utm_campaign": "Frühling & Co"}
ADDED = "utm_source=news%20letter&utm_medium=email&utm_campaign=Fr%C3%BChling%20%26%20Co"
WITHOUT_MEDIUM = ADDED.replace("utm_medium=email&", "")
MERGE = {"to_each": True, "merge": True}


class Hrefs(HTMLParser):
    """The hrefs of a mail as the standard library reads them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str | None] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name == "href"]


def mailed(html: str, values: dict[str, Any] | None = None, **given: Any) -> str:
    """The HTML as one recipient gets it."""
    given["headers"] = {"to": ["r@example.test"], "analytics_tags": TAGS, **given.get("headers", {})}
    return part(parse(compose_parts(Parts(html, "text"), make_personal(vars=values), **given)), "html")


def hrefs(html: str, values: dict[str, Any] | None = None, **given: Any) -> list[str | None]:
    return Hrefs(mailed(html, values, **given)).found


@pytest.mark.parametrize(
    ("link", "tagged"),
    [
        ("https://a.test", f"https://a.test?{ADDED}"),
        ("http://a.test/p", f"http://a.test/p?{ADDED}"),
        ("HTTPS://A.test/p?", f"HTTPS://A.test/p?{ADDED}"),
        ("https://a.test/?x=1", f"https://a.test/?x=1&{ADDED}"),
        ("https://a.test/?x=1&", f"https://a.test/?x=1&{ADDED}"),
        ("https://a.test/p#part?q", f"https://a.test/p?{ADDED}#part?q"),
        ("https://a.test/?x=1#part", f"https://a.test/?x=1&{ADDED}#part"),
        ("https://a.test:8080#x", f"https://a.test:8080?{ADDED}#x"),
        ("https://a.test/?utm_medium=sms", f"https://a.test/?utm_medium=sms&{WITHOUT_MEDIUM}"),
        ("https://a.test/?utm%5Fmedium", f"https://a.test/?utm%5Fmedium&{WITHOUT_MEDIUM}"),
        (f"https://a.test/?{ADDED}", f"https://a.test/?{ADDED}"),
        ("mailto:a@b.test", None), ("tel:+49123", None), ("#top", None), ("/relative", None), ("cid:1", None),
        ("//a.test/", None), ("javascript:x()", None), ("https://", None),
        ("{{unsubscribe}}", None), ("{{ preferences_url }}", None), ("{{view_in_browser}}", None),
        ("https://a.test/?leave={{unsubscribe}}", None),
        ("{{ url }}", None), ("https://{{ host }}/p", None), ("https://a.{{ zone }}/p", None),
        ("https://a.test{{ path }}", None), ("https://a.test:{{ port }}/", None),
    ],
)  # fmt: skip
def test_a_link_gets_the_tags_where_it_may_carry_them(link: str, tagged: str | None) -> None:
    assert analytics.tag_link(link, link, TAGS) == (tagged or link)
    html = f'<p>x</p><a class="b" href="{entities.escape(link)}">x</a>'
    got = analytics.tag_hrefs(html, TAGS, merge=False)
    assert Hrefs(got).found == [tagged or link]
    assert (got == html) == (tagged in (None, link))


@pytest.mark.parametrize("quote", ['"', "'", ""])
def test_any_quoting_holds_the_longer_value(quote: str) -> None:
    html = f"<a href={quote}https://a.test/p?x=1{quote} class=b>x</a>"
    assert Hrefs(analytics.tag_hrefs(html, TAGS, merge=False)).found == [f"https://a.test/p?x=1&{ADDED}"]


PIECES = st.sampled_from(
    [
        "<a href='https://a.test/?x=1&amp;y=2#z'>", '<area href="http://b.test">', "<a href=https://c.test/p>",
        "<!-- <a href='https://no.test'> -->", "<script>'<a href=\"https://no.test\">'</script>", "</body>",
        "<a data-no-track href='https://no.test'>", "<a href='mailto:x@y.test'>", "<a>", "é & <",
        "{{ x }}", "</a>",
    ]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES | st.text(max_size=6), max_size=10).map("".join))
def test_nothing_but_href_values_changes(html: str) -> None:
    html = html.replace("\0", "")
    at, rest = 0, analytics.tag_hrefs(html, TAGS, merge=False)
    for start, end in links.places(html):
        if analytics.tag_link(link := links.decoded(html[start:end]), link, TAGS) == link:
            continue
        before = html[at:start]
        assert rest.startswith(before)
        rest = rest[len(before) :]
        bare = html[start - 1] not in "\"'"
        value = entities.escape(analytics.tag_link(link, link, TAGS)).replace("{", "%7B")
        value = f'"{value}"' if bare else value
        assert rest.startswith(value)
        rest, at = rest[len(value) :], end
    assert rest == html[at:]


def test_the_mail_carries_them_and_is_the_same_for_all() -> None:
    html = "<body><a href='https://a.test/?x=1&amp;y=2'>A</a> <a href='#b'>B</a></body>"
    expected = entities.escape(f"https://a.test/?x=1&y=2&{ADDED}")
    assert mailed(html) == f"<body><a href='{expected}'>A</a> <a href='#b'>B</a></body>"


def test_a_link_with_variables_is_tagged_when_they_are_filled_in() -> None:
    html = (
        "<a href='https://a.test/p/{{ sku }}#buy'>A</a>{% for each in list %}"
        '<a href="https://a.test/{{ each }}">B</a>{% endfor %}<a href="{{ url }}">C</a>'
    )
    values = {"sku": "a?b=1&utm_source=own#x", "list": ['"<1>', "2?"], "url": "https://b.test/"}
    assert hrefs(html, values, headers=MERGE) == [
        f"https://a.test/p/a?b=1&utm_source=own&{ADDED.partition('&')[2]}#x#buy",
        f'https://a.test/"<1>?{ADDED}',
        f"https://a.test/2?{ADDED}",
        "https://b.test/",
    ]


def test_braces_that_are_no_template_stay_none() -> None:
    html = "<a href='https://a.test/&#123;{ name }}'>A</a>"
    assert hrefs(html, {"name": "Ann"}, headers=MERGE) == [f"https://a.test/%7B%7B name }}}}?{ADDED}"]


def test_a_value_with_nul_leaves_no_mark_behind() -> None:
    assert hrefs("<a href='https://a.test/{{ x }}'>A</a>", {"x": "a\0tb"}, headers=MERGE) == [
        f"https://a.test/atb?{ADDED}"
    ]


def target(stored: list[str], values: dict[str, object] | None, *, tags: dict[str, str]) -> Target:
    return Target(1, new_id(), "r@example.test", "Shop <s@example.test>", stored, values, True, tags)


def test_a_tracked_link_stays_ours_in_the_mail_and_is_tagged_on_its_way() -> None:
    html = "<a href='https://a.test/{{ sku }}'>A</a><a data-no-track href='https://b.test/'>B</a>"
    stored = ["https://a.test/{{ sku }}", "{{ url }}"]
    got = hrefs(html, {"sku": "1"}, headers=MERGE, track_clicks=True)
    assert got == [
        f"{TRACKING_URL}/track/c/{TOKEN}.0",
        "https://b.test/",
        f"{TRACKING_URL}/track/c/{TOKEN}.1000",
    ]
    values: dict[str, object] = {"sku": "1?x=2#y", "url": "https://c.test/"}
    assert target(stored, values, tags=TAGS).link(0) == f"https://a.test/1?x=2&{ADDED}#y"
    assert target(stored, values, tags=TAGS).link(1) == "https://c.test/"
    assert target(stored, values, tags={}).link(0) == "https://a.test/1?x=2#y"
    assert target(stored, values, tags=TAGS).link(2) is None


def test_without_tags_the_mail_is_as_it_was() -> None:
    html = "<a href='https://a.test/{{ sku }}'>A</a>"
    assert hrefs(html, {"sku": "1"}, headers={**MERGE, "analytics_tags": {}}) == ["https://a.test/1"]


def test_tags_are_kept_in_order_without_what_is_empty() -> None:
    given = {"utm_campaign": " c ", "utm_term": "  ", "utm_source": "s", "utm_medium": "m"}
    assert list(analytics.check_analytics_tags(given).items()) == [
        ("utm_source", "s"), ("utm_medium", "m"), ("utm_campaign", "c"),
    ]  # fmt: skip


def test_a_campaign_without_tags_of_its_own_is_tagged_by_its_name() -> None:
    assert analytics.default_tags(" May {{ x }}\nsale", "shop.test") == {
        "utm_source": "shop.test", "utm_medium": "email", "utm_campaign": "May x sale",
    }  # fmt: skip


@given(st.text(max_size=300), st.text(max_size=300))
def test_what_a_campaign_is_tagged_with_by_itself_is_always_fit(name: str, source: str) -> None:
    tags = analytics.default_tags(name, source)
    assert analytics.check_analytics_tags(tags) == tags


def test_all_that_is_wrong_with_tags_is_told_at_once() -> None:
    given = {"utm_source": "{{ x }}", "utm_medium": "a\nb", "utm_term": "x" * 201, "gclid": "1"}
    with pytest.raises(Invalid) as refused:
        analytics.check_analytics_tags(given)
    told = {
        fault["field"].removeprefix("analytics_tags."): fault["message"]
        for fault in refused.value.facts["faults"]
    }
    assert set(told) == {"utm_source", "utm_medium", "utm_campaign", "utm_term", "gclid"}
    assert told["utm_campaign"] == "utm_campaign is required."


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30))
def test_a_site_reads_the_values_that_were_given(value: str) -> None:
    url = analytics.tag_link("https://a.test/", "https://a.test/", {"utm_campaign": value})
    assert parse_qsl(urlsplit(url).query, keep_blank_values=True) == [("utm_campaign", value)]
