"""Templates filled: defaults, types, raw HTML and what is missing; in a preview, and in mail."""

from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from tests.unit.engine.content.factories import compose_parts, make_personal
from tests.unit.engine.content.templates.test_templates_checked import a_template

from postrider.engine.content import templates
from postrider.engine.content.model import Parts
from postrider.engine.content.render import Escape, compile
from postrider.engine.content.templates import Variable, VariableType
from postrider.engine.errors import Invalid

NASTY = "Tom & \"Jer\" {{ x }} {% y %} 'q' %}\n<b>"
TYPES = {type_: Variable("v", type_) for type_ in VariableType}


def html_of(source: str, variables: list[Variable], values: dict[str, Any]) -> str:
    """As composing renders a content that was made ready."""
    template = a_template(html=source, variables=tuple(variables))
    return compile(template.content.html, Escape.HTML).render(values)


@pytest.mark.parametrize("source", ["{{ v }}", "{{v}}!", "{% if v %}{{ v }}{% endif %}", "{{ v | upcase }}"])
def test_a_default_stands_in_for_what_is_missing(source: str) -> None:
    declared = [Variable("v", default="there")]
    assert "there" in html_of(source, declared, {}).lower()
    assert "there" in html_of(source, declared, {"v": ""}).lower()
    assert "ann" in html_of(source, declared, {"v": "Ann"}).lower()


@pytest.mark.parametrize("source", ["{{ v }}", "{% if true %}{{ v | append: '' }}{% endif %}"])
def test_a_default_is_text_and_never_liquid(source: str) -> None:
    escaped = NASTY.replace("&", "&amp;").replace('"', "&#34;").replace("'", "&#39;")
    escaped = escaped.replace("<", "&lt;").replace(">", "&gt;")
    assert html_of(source, [Variable("v", default=NASTY)], {}) == escaped
    template = a_template(text=source, variables=(Variable("v", default=NASTY),))
    assert compile(template.content.text, Escape.NONE).render({}) == NASTY


def test_what_is_raw_stays_as_it_was_written() -> None:
    source = "{% raw %}{{ v }}{% endraw %} {{ v }}"
    assert html_of(source, [Variable("v", default="x")], {}) == "{{ v }} x"


@pytest.mark.parametrize(("standing", "shown"), [(5, "5"), (1.5, "1.5"), (True, "true"), (False, "false")])
def test_numbers_and_switches_are_defaults(standing: Any, shown: str) -> None:
    assert html_of("{{ v }}", [Variable("v", default=standing)], {}) == shown


def test_html_goes_in_as_it_is_and_text_escaped() -> None:
    html = "<p>Hello</p><p>you &amp; me</p>"
    assert html_of("{{ v }}", [TYPES[VariableType.HTML]], {"v": html}) == html
    assert html_of("{% if v %}{{ v }}{% endif %}", [TYPES[VariableType.HTML]], {"v": html}) == html
    assert html_of("{{ v }}", [Variable("v", VariableType.HTML, html)], {}) == html
    assert html_of("{{ v }}", [TYPES[VariableType.TEXT]], {"v": "<b>"}) == "&lt;b&gt;"
    template = a_template(text="{{ v }}", variables=(TYPES[VariableType.HTML],))
    assert templates.preview(template, {"v": html}).text == "Hello\n\nyou & me"


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        (VariableType.TEXT, ["x", 5, 1.5, True], [["x"], {"a": 1}]),
        (VariableType.HTML, ["<p>x</p>"], [5, True, ["x"]]),
        (VariableType.IMAGE, ["https://a.test/x.png", "http://a.test"], ["x.png", "data:image/png,x", 5]),
        (VariableType.JSON, [["x"], {"a": 1}, 5], []),
    ],
)
def test_a_value_is_of_the_type_declared(type_: VariableType, good: list[Any], bad: list[Any]) -> None:
    template = a_template(variables=(TYPES[type_],))
    assert not [value for value in good if templates.unfit(template, {"v": value})]
    assert not [value for value in bad if not templates.unfit(template, {"v": value})]


def test_what_is_required_has_a_value_from_the_sender() -> None:
    declared = (Variable("a", required=True), Variable("b", default="x", required=True), Variable("c"))
    template = a_template(html="{{ a }}{{ b }}{{ c }}", variables=declared)
    for values in ({}, {"a": None, "b": ""}):
        assert [(each.name, each.is_missing) for each in templates.unfit(template, values)] == [
            ("a", True), ("b", True),
        ]  # fmt: skip
    with pytest.raises(Invalid) as refused:
        templates.resolve(template, {"b": ["x"]})
    told = [fault["field"] for fault in refused.value.facts["faults"]]
    assert told == ["variables.a", "variables.b"]
    assert templates.unfit(template, {"a": 1, "b": 2, "extra": []}) == []


def test_a_preview_tells_what_nothing_filled() -> None:
    template = a_template(
        subject="For {{ first_name }}",
        html="<p>{{ a }} {{ b }} {{ c }} <a href='{{ unsubscribe_url }}'>out</a></p>",
        text="{{ d }}",
        variables=(Variable("a"), Variable("b", default="B")),
    )
    shown = templates.preview(template, {"first_name": "Ann"})
    assert (shown.subject, shown.missing) == ("For Ann", ("a", "c", "d"))
    assert "B" in shown.html
    assert "href='#'" in shown.html


def test_the_text_of_a_preview_is_that_of_the_html_where_there_is_none() -> None:
    template = a_template(html="<h1>Hi {{ name }}</h1>{% if vip %}<p>You</p>{% endif %}")
    assert templates.preview(template, {"name": "<Ann>", "vip": True}).text == "Hi <Ann>\n\nYou"


def test_a_ready_content_is_composed_as_any_other() -> None:
    template = a_template(
        html="<p>{{ greeting }} {{ name }}{{ body }}</p><a href='{{ unsubscribe_url }}'>out</a>",
        variables=(Variable("greeting", default="Dear"), Variable("body", VariableType.HTML)),
    )
    content = template.content
    values = {"name": "<Ann>", "body": "<i>x</i>"}
    composed = compose_parts(
        Parts(content.html, content.text),
        make_personal(vars=values),
        headers={"merge": True, "to_each": True},
    )
    mail = message_from_bytes(composed.as_bytes(), policy=default)
    html, text = (mail.get_body((kind,)) for kind in ("html", "plain"))
    assert html is not None
    assert text is not None
    assert "<p>Dear &lt;Ann&gt;<i>x</i></p>" in html.get_content()
    assert "/track/u/" in html.get_content()
    assert "Dear <Ann>x" in " ".join(text.get_content().split())


def test_mail_that_is_filled_whole_leaves_each_recipients_own_links() -> None:
    template = a_template(
        html="<p>{{ v }}</p><a href='{{ unsubscribe_url }}'>{{preferences}}</a>", variables=(Variable("v"),)
    )
    content = templates.whole(template, {"v": "<b>"})
    assert content.html == "<p>&lt;b&gt;</p><a href='{{unsubscribe_url}}'>{{preferences}}</a>"
