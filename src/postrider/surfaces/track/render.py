"""The public pages: escaped, nothing loaded from anywhere, in the colour of whoever sent the mail."""

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.responses import HTMLResponse

OURS = "#1f5fd6"
OURS_ON_DARK = "#8fb4ff"
DARK, LIGHT = "#000000", "#ffffff"  # what stands on a colour
_COLOR = re.compile(r"#[0-9a-f]{6}")
_pages = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "pages"), autoescape=select_autoescape(["html"])
)
_POLICY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}


def page(name: str, *, status: int = 200, color: str = "", **facts: Any) -> HTMLResponse:
    """A page with its facts; `color` is #rrggbb, or empty for ours."""
    is_theirs = _COLOR.fullmatch(color) is not None
    act, act_on_dark = (color, color) if is_theirs else (OURS, OURS_ON_DARK)
    colors = {
        "act": act,
        "on_act": readable_on(act),
        "act_on_dark": act_on_dark,
        "on_act_on_dark": readable_on(act_on_dark),
    }
    return HTMLResponse(_pages.get_template(name).render(**colors, **facts), status, _POLICY)


def readable_on(color: str) -> str:
    """Dark or light text, whichever has more contrast on a colour (WCAG 2.2, 1.4.3: 4.5 at least)."""
    return max((LIGHT, DARK), key=lambda ink: contrast(ink, color))


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
