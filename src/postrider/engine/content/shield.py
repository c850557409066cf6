"""Template tags made to survive an HTML parser: taken out before, put back after.

A parser would escape what stands in them, and move `{% for %}` out of a table; a comment may stand anywhere.
"""

import re

# Private-use characters: no parser changes them, in text, attribute values or comments.
_OPEN, _CLOSE = "\U000f1000", "\U000f1001"
_TOKEN = re.compile(r"<!--|-->|[<>]|(?P<value>\{\{[^{}]*\}\})|(?P<logic>\{%[^%]*%\})")
_VALUE = re.compile(r"(?P<value>\{\{[^{}]*\}\})")  # without logic it matters not where a tag stands
MARK = re.compile(rf"{_OPEN}(\d+){_CLOSE}")  # stands for the tag of that number
_COMMENT = re.compile(rf"<!--{_OPEN}\d+{_CLOSE}-->")


def shield(html: str) -> tuple[str, list[str]]:
    """The HTML with a mark for each template tag, and the tags by number."""
    if "{{" not in html and "{%" not in html:
        return html, []
    pieces: list[str] = []
    out: list[str] = []
    at = 0
    inside = ""  # what the scan is in: a comment, a tag, or text
    for match in (_TOKEN if "{%" in html else _VALUE).finditer(html):
        token = match.group()
        if match.lastgroup is None:
            inside = _next_state(inside, token)
            continue
        mark = f"{_OPEN}{len(pieces)}{_CLOSE}"
        out += (
            html[at : match.start()],
            f"<!--{mark}-->" if match.lastgroup == "logic" and not inside else mark,
        )
        pieces.append(token)
        at = match.end()
    out.append(html[at:])
    return "".join(out), pieces


def restore(text: str, pieces: list[str]) -> str | None:
    """The text with its tags put back; None where one is lost, doubled or moved past another."""
    numbers: list[int] = []

    def piece(match: re.Match[str]) -> str:
        numbers.append(int(match[1]))
        return pieces[numbers[-1]] if numbers[-1] < len(pieces) else match.group()

    restored = MARK.sub(piece, _bare(text))
    return restored if numbers == list(range(len(pieces))) else None


def restore_some(text: str, pieces: list[str]) -> str:
    """The text with those tags put back that are in it: what was left out of the HTML took its own along."""
    return MARK.sub(lambda match: pieces[int(match[1])] if int(match[1]) < len(pieces) else "", _bare(text))


def is_mark(comment: str) -> bool:
    """Whether the source of a comment node is a mark of `shield`."""
    return _COMMENT.fullmatch(comment) is not None


def _bare(text: str) -> str:
    return text.replace(f"<!--{_OPEN}", _OPEN).replace(f"{_CLOSE}-->", _CLOSE)


def _next_state(inside: str, token: str) -> str:
    match inside, token:
        case "comment", "-->":
            return ""
        case "comment", _:
            return "comment"
        case _, "<!--":
            return "comment"
        case _, "<":
            return "tag"
        case _:
            return ""
