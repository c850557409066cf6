"""The text made of HTML: readable, with its links, and still a template."""

import time

import pytest

from postrider.engine.content import render
from postrider.engine.content.text import to_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two &amp; three</p>", "One\n\nTwo & three"),
        ("a\n   b\t c&nbsp;d", "a b c d"),
        ("<h1>Head</h1>Text<br>more<br><br>last", "Head\n\nText\nmore\n\nlast"),
        ("<ul><li>one</li><li>two</li></ul>", "* one\n* two"),
        ("<ol><li>one</li> <li>two</li></ol>end", "1. one\n2. two\n\nend"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ('<a href="https://x.test/?a=1&amp;b=2">Shop</a> now', "Shop (https://x.test/?a=1&b=2) now"),
        ('<a href="https://x.test/">https://x.test</a>', "https://x.test"),
        ('<a href="https://x.test/">x.test</a>', "x.test"),
        ('<a href="mailto:a@b.test">a@b.test</a> <a href="#x">top</a>', "a@b.test top"),
        ('<a href="https://x.test"><img src="l.png" alt="Logo"></a>', "Logo (https://x.test)"),
        ('<a href="https://x.test"><img src="l.png"></a>', "https://x.test"),
        ("<style>p{}</style><script>x</script><title>t</title><p>shown</p>", "shown"),
        ('<div style="display:none">preheader</div>shown<p hidden>no</p>', "shown"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("a<hr>b", "a\n\n" + "-" * 40 + "\n\nb"),
        ("b<b>ol</b>d <i> spaced </i> x", "bold spaced x"),
        ("<!-- no --><![if !mso]>yes<![endif]>", "yes"),
        ("", ""),
    ],
)
def test_html_reads_as_text(html: str, text: str) -> None:
    assert to_text(html) == text


def test_template_tags_stay_where_they_stood() -> None:
    html = '<table>{% for i in items %}<tr><td>{{ i | default: "a > b" }}</td></tr>{% endfor %}</table>'
    html += '<a href="{{unsubscribe}}">Unsubscribe</a>'
    template = render.compile(to_text(html), render.Escape.NONE)
    rendered = template.render({"items": ["x & y", "z"], "unsubscribe": "https://u.test"})
    assert " ".join(rendered.split()) == "x & y z Unsubscribe (https://u.test)"


def test_lines_stay_short_enough_to_send() -> None:
    assert max(map(len, to_text("<p>" + "word " * 2_000 + "</p>").split("\n"))) < 250


def test_a_hostile_depth_is_walked() -> None:
    started = time.perf_counter()
    assert to_text("<div>" * 20_000 + "deep").endswith("deep")
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    "html",
    [
        "<p>" + "".join(f"<b id={number}>" for number in range(200)) + "</p>" + "<p>word" * 2_000,
        "<div>" * 50_000 + "word",
    ],
)
def test_html_that_is_nested_to_no_end_is_not_parsed(html: str) -> None:
    text = to_text(html + " {{first_name}} last")
    assert text.endswith("word {{first_name}} last")
    assert "<" not in text
