"""Templates: segments render as Liquid does, faults have a place, and limits end every rendering."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from liquid import Environment

from postrider.engine.content import render, sandbox
from postrider.engine.content.render import Escape
from postrider.engine.errors import TemplateFault
from postrider.kit import clock

LIQUID = {Escape.NONE: Environment(autoescape=False), Escape.HTML: Environment(autoescape=True)}
# No CR: Liquid's limited output turns it into LF, which composing does as well.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="{}\r"), max_size=12)
NAMES = st.sampled_from(
    ["name", "a", "b-c", "user.name", "user.missing", "a.name", "x_1", "offset", "user.size"]
)
DEFAULTS = st.sampled_from(["", ' | default: "friend"', " |default:'<b>&'", '|default: ""'])
PIECES = TEXT | st.builds("{{{{ {}{} }}}}".format, NAMES, DEFAULTS) | st.sampled_from(["{", "}", "}}", "{ {"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
VARS = st.fixed_dictionaries(
    {},
    optional={"name": VALUES, "a": VALUES, "b-c": VALUES, "x_1": VALUES, "user": st.just({"name": "<Ann>"})},
)


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=6).map("".join), VARS, st.sampled_from(Escape))
def test_plain_variables_render_as_liquid_renders_them(
    source: str, variables: dict[str, object], escape: Escape
) -> None:
    try:
        template = render.compile(source, escape)
    except TemplateFault:
        return
    assert template.render(variables) == LIQUID[escape].from_string(source).render(variables)


def test_plain_variables_need_no_liquid_at_render_time() -> None:
    template = render.compile("Hi {{ user.name | default: 'friend' }}, {{code}}", Escape.NONE)
    assert "_segment_renderer" in template.render.__qualname__
    assert template.variables == {"user", "code"}
    assert template.render({"code": 7}) == "Hi friend, 7"


def test_text_without_tags_is_constant() -> None:
    template = render.compile("body { color: red } 100 %", Escape.HTML)
    assert template.constant == template.render({}) == "body { color: red } 100 %"


def test_logic_renders_and_names_its_variables() -> None:
    template = render.compile("{% for i in items %}{{ i.n }}{{ who }};{% endfor %}", Escape.HTML)
    assert template.variables == {"items", "who"}
    assert template.render({"items": [{"n": 1}, {"n": 2}], "who": "<"}) == "1&lt;;2&lt;;"


def test_values_are_escaped_in_html_and_not_in_text() -> None:
    for source in ("{{ x }}", "{% if true %}{{ x }}{% endif %}"):
        assert render.compile(source, Escape.HTML).render({"x": "<&\"'"}) == "&lt;&amp;&#34;&#39;"
        assert render.compile(source, Escape.NONE).render({"x": "<&\"'"}) == "<&\"'"


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("one\n  {% if x %}", 2, 13),
        ("one\n{{ x", 2, 1),
        ("{{ x | nosuch }}", 1, 8),
        ("a\n\n{% nosuch %}", 3, 4),
        ("{% raw %}{{ x }}", 1, 4),
        ("{% include 'secret' %}", 1, 4),
        ("{% assign r = (1..9) %}", 1, 15),
    ],
)
def test_a_fault_says_where_it_is(source: str, line: int, column: int) -> None:
    with pytest.raises(TemplateFault) as caught:
        render.compile(source, Escape.HTML, field="html")
    assert caught.value.facts["field"] == "html"
    assert caught.value.facts["message"]
    assert (caught.value.facts["line"], caught.value.facts["column"]) == (line, column)


HOSTILE = [
    "{% for i in (1..100000000) %}x{% endfor %}",
    "{% for i in (1..9000) %}{% for j in (1..9000) %}{% endfor %}{% endfor %}",
    "{% for i in (1..99999999999999999999999) %}{% endfor %}",
    "{% assign a = 'xxxxxxxxxx' %}" + "{% assign a = a | replace: 'x', a %}" * 20,
    "{% assign a = 'xxxxxxxxxx' %}" + "{% assign a = a | append: a %}" * 40,
    "{% assign a = 'xxxxxxxxxx' %}" + "{% assign a = a | prepend: a %}" * 40,
    "{% assign a = 'a,b' | split: ',' %}" + "{% assign a = a | concat: a %}" * 40,
    "{% assign a = 'a,b,c' | split: ',' %}"
    + "{% assign s = a | join: s %}{% assign a = s | split: '' %}" * 40,
    "{% assign a = 99 %}" + "{% assign a = a | times: a %}" * 40,
    "{% for i in (1..9000) %}{% assign b = big | upcase %}{% endfor %}",
    "{% for i in (1..9000) %}{{ big }}{% endfor %}",
    "{% capture a %}{{ big }}{% endcapture %}" + "{% capture a %}{{ a }}{{ a }}{% endcapture %}" * 20,
    "{{ 'now' | date: big }}",
    "{{ 1.5 | divided_by: 0 }}",
]


@pytest.mark.parametrize("source", HOSTILE)
def test_hostile_templates_end_quickly_in_a_fault(source: str) -> None:
    template = render.compile(source, Escape.HTML)
    started = time.perf_counter()
    with pytest.raises(TemplateFault):
        template.render({"big": "x" * 100_000})
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    "source",
    [
        "{% comment %}" + "{{ " * 100_000,
        "{% comment %}" + "{% raw %}" * 50_000,
        "{% comment %}" + "{% doc %}" * 50_000 + "{% endcomment %}",
        "{% endraw %}" * 20_000 + "{% raw %}" * 50_000,
        "{{" + "(" * 100_000 + "}}",
        "{% if a" + " and a" * 50_000 + " %}{% endif %}",
        "{{ x" + " | upcase" * 50_000 + "| nosuch }}",
        "{{" + '["a' * 100_000 + "}}",
        "{% for i in (1..9) offset: 5 %}{% endfor %}",
        "x" * (sandbox.SOURCE_MAX_CHARS + 1) + "{{ a | upcase }}",
    ],
)
def test_hostile_sources_end_quickly_in_a_fault(source: str) -> None:
    started = time.perf_counter()
    with pytest.raises(TemplateFault):
        render.compile(source, Escape.HTML)
    assert time.perf_counter() - started < 5


def test_segments_keep_the_output_limit() -> None:
    template = render.compile("{{ x }}{{ x }}", Escape.NONE)
    with pytest.raises(TemplateFault):
        template.render({"x": "x" * 600_000})


def test_now_is_this_installations_clock() -> None:
    clock.set_source(lambda: 1_768_739_696_000)
    try:
        assert (
            render.compile("{{ 'now' | date: '%Y-%m-%d %H:%M' }}", Escape.NONE).render({})
            == "2026-01-18 12:34"
        )
        assert render.compile("{{ now }}{{ today | upcase }}", Escape.NONE).render({}) == ""
    finally:
        clock.set_source(None)


def test_filters_still_filter() -> None:
    source = "{{ n | times: 3 | plus: 1 }} {{ l | join: '-' }} {{ s | replace: 'a', 'b' | upcase }}"
    source += " {{ d | date: '%Y' }}"
    variables = {"n": 2, "l": ["x", "y"], "s": "banana", "d": "2024-05-01"}
    assert render.compile(source, Escape.NONE).render(variables) == "7 x-y BBNBNB 2024"


FILTERS = sorted(sandbox.make_environment(autoescape=True).filters)
ARGUMENTS = st.sampled_from(
    ["", ": a", ": b", ": a, b", ": '%s'", ": 99999999999999", ": -1.5", ": 'n'", ": b, a"]
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(FILTERS), ARGUMENTS, VALUES, VALUES, st.sampled_from(Escape))
def test_every_filter_renders_or_faults(
    name: str, arguments: str, one: object, two: object, escape: Escape
) -> None:
    template = render.compile(
        f"{{{{ a | {name}{arguments} | {name} }}}}{{% if a < b %}}x{{% endif %}}", escape
    )
    with suppress(TemplateFault):
        assert isinstance(template.render({"a": one, "b": two}), str)


def test_a_shared_template_renders_from_several_threads() -> None:
    template = render.compile("{% for i in items %}{{ i }},{% endfor %}", Escape.HTML)
    items = list(range(200))
    expected = ",".join(map(str, items)) + ","
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: template.render({"items": items}), range(50))) == {expected}
