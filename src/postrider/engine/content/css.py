"""CSS rules of a style element written into the elements they match, for clients that drop style elements.

Loads nothing from anywhere; HTML it cannot do this to without harm is given back as it was.
"""

import re

import css_inline

from postrider.engine.content.shield import restore, shield

HTML_MAX_CHARS = 500_000

_INLINER = css_inline.CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)
_DOWNLEVEL = re.compile(r"<!(\[(?:if\b[^\]>]*|endif)\])>", re.IGNORECASE)
_DOWNLEVEL_AS_COMMENT = re.compile(r"<!--(\[(?:if\b[^\]>]*|endif)\])-->", re.IGNORECASE)


def inline(html: str) -> str:
    """The HTML with its rules inlined; media queries stay in a style element, template tags as they are."""
    if len(html) > HTML_MAX_CHARS or "<style" not in html.lower():
        return html
    shielded, pieces = shield(html)
    try:
        inlined = _INLINER.inline(shielded)
    except (css_inline.InlineError, ValueError):
        return html
    if _DOWNLEVEL.search(html) and not _DOWNLEVEL_AS_COMMENT.search(html):
        inlined = _DOWNLEVEL_AS_COMMENT.sub(r"<!\1>", inlined)  # the parser reads `<![if !mso]>` as a comment
    restored = restore(inlined, pieces)
    return html if restored is None else restored
