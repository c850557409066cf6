"""Inlining styles changes styles: templates, media queries and conditional comments come through."""

from postrider.engine.content import css, render

STYLED = (
    "<html><head><style>p { color: red } @media (max-width: 9px) { p { color: blue } }</style></head><body>"
)


def test_rules_are_inlined_and_media_queries_stay() -> None:
    out = css.inline(STYLED + "<p>x</p></body></html>")
    assert '<p style="color: red;">x</p>' in out
    assert "@media" in out


def test_template_tags_survive_in_tables_and_attributes() -> None:
    body = "<table>{% for i in l %}<tr><td>{% if i > 1 %}<p>{{ i | default: 'a' }}</p>{% endif %}</td></tr>"
    body += "{% endfor %}</table><a href='{{ u | default: \"x\" }}'>u</a>"
    out = css.inline(STYLED + body)
    assert "{% if i > 1 %}" in out
    assert "<table>{% for i in l %}<tbody><tr>" in out
    assert '{{ u | default: "x" }}' in out
    assert "color: red" in out
    rendered = render.compile(out, render.Escape.HTML).render({"l": [1, 2, 3]})
    assert rendered.count('<p style="color: red;">') == 2


def test_conditional_comments_keep_their_form() -> None:
    out = css.inline(STYLED + "<![if !mso]><p>x</p><![endif]><!--[if mso]>y<![endif]-->")
    assert "<![if !mso]>" in out
    assert "<![endif]><!--[if mso]>y<![endif]-->" in out


def test_what_cannot_be_inlined_comes_back_as_it_was() -> None:
    for html in ("<p>no style</p>", "<style>{{ css }} p{}</style><p>x", "<style>p{}</style>" + "x" * 600_000):
        assert css.inline(html) == html


def test_nothing_is_loaded_from_anywhere() -> None:
    html = '<link rel="stylesheet" href="http://127.0.0.1:9/x.css"><style>p{color:red}</style><p>x</p>'
    assert "color: red" in css.inline(html)
