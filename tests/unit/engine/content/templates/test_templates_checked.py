"""What a template may be: its texts, its variables, its Liquid and MJML; all faults at once, with places."""

from typing import Any

import pytest

from postrider.engine.content import templates
from postrider.engine.content.templates import Changes, Template, Variable, VariableType, check
from postrider.engine.content.templates.check import DEFAULTS_MAX_BYTES, HTML_MAX_CHARS, VARIABLES_MAX
from postrider.engine.content.templates.mjml import SOURCE_MAX_CHARS
from postrider.engine.errors import EngineError, Invalid, TemplateFault
from postrider.kit.ids import new_id

MJML = """<mjml><mj-body>
{% if vip %}<mj-section background-url="{{ picture }}"><mj-column>
<mj-text>Hi {{ first_name | default: "<you>" }}</mj-text>
{% for each in items %}<mj-button href="{{ each.url | append: "?a=1" }}">go</mj-button>{% endfor %}
</mj-column></mj-section>{% endif %}
</mj-body></mjml>"""
PLACE = ("field", "line", "column")


def a_template(**given: Any) -> Template:
    facts: dict[str, Any] = {
        "organization_id": 1, "id": new_id(), "number": 1, "name": "Welcome", "description": None,
        "category": None, "subject": None, "html": "<p>Hi</p>", "text": None, "mjml": None, "variables": (),
        "is_public": False, "usage_count": 0, "created_by": None, "created_at": 0, "updated_at": 0,
    }  # fmt: skip
    facts |= given
    content = templates.settle(facts["subject"], facts["html"], facts["text"], facts["variables"])
    return Template(**facts, content=content)


def fields_of(changes: Changes, was: Template | None = None) -> list[str]:
    """The fields at fault, in order; none where it may be so."""
    try:
        check(changes, was)
    except EngineError as error:
        return [fault["field"] for fault in error.facts["faults"]]
    return []


def test_a_new_template_needs_a_name_and_html() -> None:
    assert fields_of({}) == ["name", "html"]
    assert fields_of({"name": "  ", "html": ""}) == ["name", "html"]
    assert fields_of({"name": "Welcome", "html": "<p>Hi</p>"}) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "x" * 256}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"description": "x" * 2_001}, "description"),
        ({"category": "x" * 101}, "category"),
        ({"subject": "x" * 999}, "subject"),
        ({"subject": "two\r\nlines"}, "subject"),
        ({"html": "x" * (HTML_MAX_CHARS + 1)}, "html"),
        ({"text": "a\0b"}, "text"),
        ({"mjml": "x" * (SOURCE_MAX_CHARS + 1)}, "mjml"),
        ({"mjml": "<mjml>\0</mjml>"}, "mjml"),
        ({"variables": [Variable("two words")]}, "variables.0.name"),
        ({"variables": [Variable("a"), Variable("x" * 101)]}, "variables.1.name"),
        ({"variables": [Variable("a"), Variable("a")]}, "variables.1.name"),
        ({"variables": [Variable("unsubscribe_url")]}, "variables.0.name"),
        ({"variables": [Variable("a", default=["x"])]}, "variables.0.default"),
        ({"variables": [Variable("a", VariableType.HTML, 5)]}, "variables.0.default"),
        ({"variables": [Variable("a", VariableType.IMAGE, "javascript:alert(1)")]}, "variables.0.default"),
        ({"variables": [Variable("a", VariableType.IMAGE, "http://[")]}, "variables.0.default"),
        ({"variables": [Variable("a", VariableType.JSON, {"b": 1})]}, "variables.0.default"),
        ({"variables": [Variable(f"v{n}") for n in range(VARIABLES_MAX + 1)]}, "variables"),
        ({"variables": [Variable("a", default="x" * DEFAULTS_MAX_BYTES)]}, "variables"),
    ],
)
def test_each_field_has_its_limits(changes: Changes, field: str) -> None:
    assert fields_of({"name": "Welcome", "html": "<p>Hi</p>", **changes}) == [field]
    assert fields_of(changes, a_template()) == [field]


def test_all_faults_are_told_at_once_with_their_places() -> None:
    wrong: Changes = {
        "name": "Welcome",
        "subject": "{{ a",
        "html": "<p>\n  {{ a | shout }}</p>",
        "text": "{% if a %}",
    }
    with pytest.raises(TemplateFault) as refused:
        check(wrong)
    told = [tuple(fault[name] for name in PLACE) for fault in refused.value.facts["faults"]]
    assert told == [("subject", 1, 1), ("html", 2, 10), ("text", 1, 11)]
    with pytest.raises(Invalid) as mixed:
        check({**wrong, "name": ""})
    messages = [fault["message"] for fault in mixed.value.facts["faults"]]
    assert messages[0].startswith("name must have")
    assert messages[2].startswith("line 2, column 10: ")


def test_where_variables_are_declared_what_is_used_must_be_among_them() -> None:
    html = (
        "<p>{{ first_name }} {{ product }}\n {% for each in items %}{{ each.name }} {{ stray }}{% endfor %}"
    )
    html += "<a href='{{ unsubscribe_url }}'>out</a></p>"
    assert fields_of({"name": "Free", "html": html}) == []  # nothing is declared: nothing is asked
    with pytest.raises(TemplateFault) as refused:
        check({"name": "Strict", "html": html, "variables": [Variable("product")]})
    told = [tuple(fault[name] for name in PLACE) for fault in refused.value.facts["faults"]]
    assert told == [("html", 2, 17), ("html", 2, 44)]
    assert "items is not among the variables" in refused.value.sentence
    declared = [Variable(name) for name in ("product", "stray")] + [Variable("items", VariableType.JSON)]
    assert fields_of({"name": "Strict", "html": html, "variables": declared}) == []


def test_a_change_is_checked_against_what_stays() -> None:
    was = a_template(html="<p>{{ product }}</p>", variables=(Variable("product"),))
    assert fields_of({"variables": [Variable("other")]}, was) == ["html"]
    assert fields_of({"html": "{{ other }}"}, was) == ["html"]
    assert fields_of({"html": "{{ other }}", "variables": [Variable("other")]}, was) == []
    assert check({"description": "", "is_public": True}, was) == {"description": None, "is_public": 1}


def test_the_size_is_of_all_that_may_be_large() -> None:
    few = check({"name": "A", "html": "x"})["size_bytes"]
    more = check({"name": "A", "html": "x" * 101, "text": "é" * 50, "subject": "y"})["size_bytes"]
    assert more - few == 100 + 100 + 1


def test_mjml_is_compiled_and_its_tags_stay_as_they_are() -> None:
    columns = check({"name": "A", "mjml": MJML})
    html = columns["html"]
    assert columns["mjml"] == MJML
    assert html.startswith("<!doctype html>")
    assert "<mj-" not in html
    for tag in ('{{ first_name | default: "<you>" }}', '{{ each.url | append: "?a=1" }}', "{{ picture }}"):
        assert tag in html
    logic = [
        html.index(tag) for tag in ("{% if vip %}", "{% for each in items %}", "{% endfor %}", "{% endif %}")
    ]
    assert logic == sorted(logic)
    assert check({"html": "<p>Now</p>"}, a_template(mjml=MJML))["mjml"] is None  # the HTML is the source now


@pytest.mark.parametrize(
    ("mjml", "line", "column"),
    [
        ("<mjml>\n <mj-foo/></mjml>", 2, 2),
        ("<mjml><mj-body>", 1, 1),
        ("<p>no MJML</p>", 1, 1),
        ("<mjml><mj-body>\n{{ a }} <mj-include path='/etc/passwd'/></mj-body></mjml>", 2, 10),
        ("<mjml><mj-head>\n {% if a %}<mj-title>x</mj-title>{% endif %}</mj-head><mj-body/></mjml>", 2, 2),
        ("<mjml><mj-body><mj-text>\n{{ a | shout }}</mj-text></mj-body></mjml>", 2, 8),
    ],
)
def test_faults_of_mjml_have_their_places_in_what_was_written(mjml: str, line: int, column: int) -> None:
    with pytest.raises(TemplateFault) as refused:
        check({"name": "A", "mjml": mjml})
    assert [refused.value.facts[name] for name in PLACE] == ["mjml", line, column]


def test_mjml_nested_past_what_its_compiler_bears_ends_no_process_but_its_own() -> None:
    with pytest.raises(TemplateFault, match="nested too deeply"):
        check({"name": "A", "mjml": "<mjml>" + "<mj-body>" * 40_000})


def test_an_unknown_variable_in_mjml_is_told_where_it_stands_there() -> None:
    with pytest.raises(TemplateFault) as refused:
        check({"name": "A", "mjml": MJML, "variables": [Variable("vip"), Variable("items")]})
    assert [refused.value.facts[name] for name in PLACE] == ["mjml", 2, 44]
    assert refused.value.sentence == "picture is not among the variables"
