"""The text part for mail that came with HTML only: what one would read aloud, and the links."""

import re
import textwrap

from selectolax.lexbor import LexborHTMLParser, LexborNode

from postrider.engine.content.nesting import is_readable
from postrider.engine.content.shield import is_mark, restore_some, shield

ALWAYS_PARSED_CHARS = 2_000  # however they are nested
LINE_MAX_CHARS = 240  # of up to four octets each: below the 998 of a line

_DROPPED = frozenset(["head", "style", "script", "title", "template", "object", "svg", "select", "textarea"])
_HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.IGNORECASE)
_INVISIBLE = re.compile("[\u00ad\u034f\u200b-\u200f\u2060\ufeff]+")
_SHOWN_LINK = re.compile(r"https?://|mailto:|tel:|\U000f1000", re.IGNORECASE)
_BODY_END = re.compile(r"</(?:body|html)\s*>", re.IGNORECASE)
_ANY_TAG = re.compile(r"<[^<>]*>")
_SCHEME = re.compile(r"(?:https?://|mailto:|tel:)", re.IGNORECASE)
# How many line ends stand before and after an element at least.
_BREAKS = {
    **dict.fromkeys(["p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "blockquote"], 2),
    **dict.fromkeys(["pre", "hr", "figure", "address"], 2),
    **dict.fromkeys(["div", "tr", "li", "dt", "dd", "section", "article", "header", "footer", "main"], 1),
    **dict.fromkeys(["center", "figcaption", "caption", "form", "fieldset", "nav", "aside"], 1),
}


def to_text(html: str) -> str:
    """Plain text with LF line ends; template tags stay, for the text is rendered as the HTML is.

    HTML that is nested to no end is not parsed: its tags are taken out, and its words stay in one paragraph.
    """
    shielded, pieces = shield(html)
    if len(shielded) > ALWAYS_PARSED_CHARS and not is_readable(shielded):
        return restore_some(_folded(" ".join(_ANY_TAG.sub(" ", shielded).split())), pieces)
    writer = _Writer()
    # A mark before or after the body would be a comment outside it, where the walk does not come.
    body = LexborHTMLParser("<body>" + _BODY_END.sub("", shielded)).body
    if body is not None:
        _walk(body, writer)
    return restore_some(writer.text(), pieces)


class _Writer:
    """Collects words; keeps at most one space and one empty line between them."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self._breaks = 0
        self._space = False

    def words(self, text: str) -> None:
        if not text.isascii():
            text = _INVISIBLE.sub("", text)
        words = " ".join(text.split())
        if not words:
            self._space = self._space or bool(text)
            return
        self._separate(before_space=text[0].isspace())
        self.out.append(words)
        self._space = text[-1].isspace()

    def exactly(self, text: str) -> None:
        self._separate(before_space=False)
        self.out.append(text)

    def end_line(self, count: int) -> None:
        self._breaks = max(self._breaks, count)

    def new_line(self) -> None:
        """A `<br>`: unlike the ends of blocks, these add up."""
        self._breaks = min(self._breaks + 1, 2)

    def space(self) -> None:
        self._space = True

    def text(self) -> str:
        lines = "".join(self.out).strip("\n").split("\n")
        return "\n".join([_folded(line.rstrip()) for line in lines])

    def _separate(self, *, before_space: bool) -> None:
        if self.out:
            if self._breaks:
                self.out.append("\n" * self._breaks)
            elif self._space or before_space:
                self.out.append(" ")
        self._breaks, self._space = 0, False


def _walk(body: LexborNode, writer: _Writer) -> None:
    """Depth first with a stack of our own: a hostile nesting depth must not end the interpreter's."""
    stack: list[tuple[LexborNode, int | None]] = [(body, None)]
    while stack:
        node, entered_at = stack.pop()
        tag = node.tag or ""
        if tag == "-text":
            _write_text(node, writer)
            continue
        if entered_at is not None:
            _leave(node, tag, writer, entered_at)
            continue
        if not _enter(node, tag, writer):
            continue
        if tag == "a" or tag in _BREAKS:
            stack.append((node, len(writer.out)))
        child = node.last_child
        while child is not None:
            stack.append((child, None))
            child = child.prev


def _enter(node: LexborNode, tag: str, writer: _Writer) -> bool:
    """Write what stands at the start of a node; False where there is nothing more to see in it."""
    match tag:
        case "-comment":
            if is_mark(node.html or ""):
                writer.exactly((node.html or "")[4:-3])
            return False
        case "br":
            writer.new_line()
            return False
        case "img":
            writer.words(node.attributes.get("alt") or "")
            return False
        case "td" | "th":
            writer.space()
        case _ if tag in _DROPPED or _is_hidden(node):
            return False
    if tag in _BREAKS:
        writer.end_line(_BREAKS[tag])
    if tag == "li":
        writer.exactly(_bullet(node))
        writer.space()
    elif tag == "hr":
        writer.exactly("-" * 40)
    return True


def _leave(node: LexborNode, tag: str, writer: _Writer, entered_at: int) -> None:
    if tag == "a":
        href = (node.attributes.get("href") or "").strip()
        shown = "".join(writer.out[entered_at:]).strip()
        if _SHOWN_LINK.match(href) and _SCHEME.sub("", href).rstrip("/") not in shown:
            writer.words(f" ({href})" if shown else f" {href}")
    elif tag in _BREAKS:
        writer.end_line(_BREAKS[tag])


def _write_text(node: LexborNode, writer: _Writer) -> None:
    text = node.text_content or ""
    if "\n" in text and node.parent is not None and node.parent.tag == "pre":
        writer.exactly(text.strip("\n"))
    else:
        writer.words(text)


def _bullet(item: LexborNode) -> str:
    parent = item.parent
    if parent is None or parent.tag != "ol":
        return "*"
    number, before = 1, item.prev
    while before is not None:
        number += before.tag == "li"
        before = before.prev
    return f"{number}."


def _is_hidden(node: LexborNode) -> bool:
    attributes = node.attributes
    return "hidden" in attributes or bool(_HIDDEN.search(attributes.get("style") or ""))


def _folded(line: str) -> str:
    if len(line) <= LINE_MAX_CHARS:
        return line
    return "\n".join(textwrap.wrap(line, LINE_MAX_CHARS, break_long_words=False, break_on_hyphens=False))
