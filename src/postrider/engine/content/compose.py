"""Composing: what is equal for all recipients is made once, by `prepare`; the rest for each, by `compose`.

Bcc is never written, and no header value that holds a line break.
"""

import html as entities
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from postrider.engine.content import analytics, headers, links, raw, render
from postrider.engine.content.css import inline
from postrider.engine.content.footer import Footer, with_footer
from postrider.engine.content.headers import HeaderLine
from postrider.engine.content.model import Attachment, Mail, Parts, Personal, Prepared
from postrider.engine.content.render import Escape, Template
from postrider.engine.content.text import to_text
from postrider.engine.errors import EngineError, Invalid, TemplateFault
from postrider.engine.messages.model import Content, ContentKind
from postrider.kit import json, mime
from postrider.kit.address import Mailbox, parse_address, parse_mailbox

_UNSUBSCRIBE = re.compile(r"\{\{-?\s*unsubscribe(?:_url)?\s*-?\}\}")
_PREFERENCES = re.compile(r"\{\{-?\s*preferences(?:_url)?\s*-?\}\}")
_VIEW = re.compile(r"\{\{-?\s*view_in_browser\s*-?\}\}")
_METHOD = re.compile(r"^METHOD:([A-Z]+)\s*$", re.MULTILINE)
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(?:;[\x20-\x7e]{0,200})?")
_UNDISCLOSED: HeaderLine = ("To", b"To: undisclosed-recipients:;")
_MULTIPART = b"Content-Type: multipart/"
_ENCODING = b"Content-Transfer-Encoding: "
_MIME_VERSION: HeaderLine = ("MIME-Version", b"MIME-Version: 1.0")


def accept_parts(
    parts: Parts,
    *,
    subject: str = "",
    merge: bool,
    inline_css: bool = False,
    track_clicks: bool = False,
    footer: Footer | None = None,
) -> tuple[Parts, list[str]]:
    """The parts as they are to be stored, and the link table that is stored with them.

    With `merge`, html, text and subject are checked as templates: raises TemplateFault, whose fact `faults`
    holds the facts of all that were found. A `footer` goes where no part of the sender's has its own.
    """
    html = _without_nul(parts.html)
    if html is not None and inline_css:
        html = inline(html)
    accepted = Parts(html, _without_nul(parts.text), _without_nul(parts.calendar))
    if footer is not None:
        accepted = with_footer(accepted, footer)
    if merge:
        _, faults = compile_parts(accepted, subject)
        if faults:
            raise TemplateFault(**faults[0].facts, faults=[fault.facts for fault in faults])
    tracked = accepted.html if track_clicks else None
    return accepted, list(links.extract(tracked).links) if tracked else []


def encode_parts(parts: Parts) -> bytes:
    """What content_bodies holds for a content of kind parts."""
    return json.dump_bytes({"html": parts.html, "text": parts.text, "calendar": parts.calendar})


def decode_parts(body: bytes) -> Parts:
    stored = json.loads(body)
    return Parts(stored.get("html"), stored.get("text"), stored.get("calendar"))


def prepare(content: Content, body: bytes, attachments: Mapping[bytes, bytes]) -> Prepared:
    """Make a content ready for any number of recipients: `attachments` are bytes by SHA-256.

    `content.headers["merge"]` says whether subject, html and text are templates. What is wrong in the content
    is not raised here: `compose` does, for each recipient.
    """
    try:
        if content.kind is ContentKind.RAW:
            return raw.prepare(content, body)
        return _prepare(content, body, attachments)
    except EngineError as fault:
        return _Unfit(fault)
    except (ValueError, LookupError) as error:
        return _Unfit(Invalid(field="content", message=f"The content cannot be mailed: {error}"))


@dataclass(frozen=True, slots=True)
class _Unfit:
    """A content that can be mailed to nobody."""

    fault: EngineError

    def compose(self, personal: Personal) -> Mail:
        raise type(self.fault)(**self.fault.facts)


def _prepare(content: Content, body: bytes, attachments: Mapping[bytes, bytes]) -> Prepared:
    merge = bool(content.headers.get("merge"))
    files = [
        Attachment(ref.filename, ref.content_type, attachments[ref.hash], ref.cid)
        for ref in content.attachments
    ]
    content_type, pieces = _tree(_leaves(decode_parts(body), content, merge=merge), files)
    before, after = _constant_lines(content)
    if len(pieces) == 1 and isinstance(pieces[0], bytes) and not content_type.startswith(_MULTIPART):
        encoding, _, text = pieces[0].partition(b"\r\n\r\n")
        after.append(("Content-Transfer-Encoding", encoding))
        pieces = [text if text.endswith(b"\r\n") else text + b"\r\n"]
    subject = render.compile(content.subject, Escape.NONE, field="subject") if merge else None
    return _Composed(
        before=before,
        subject=_subject_line(content.subject)
        if subject is None or subject.constant is not None
        else subject,
        after=after,
        content_type=content_type,
        pieces=pieces,
        to_each=bool(content.headers.get("to_each")),
        unsubscribe=content.unsubscribe_header,
        merge=merge,
        present=frozenset(name.lower() for name, _ in after),
        needs_smtputf8=not all(line.isascii() for _, line in before + after),
    )


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A text part with something of each recipient's own: a template, or a text with marks."""

    content_type: bytes  # the whole header line
    template: Template
    tags: analytics.Tags  # that links get whose variables are filled in

    def encode(self, variables: Mapping[str, Any], personal: Personal) -> mime.Encoded:
        text = self.fill(variables, personal)
        return mime.encode_text(mime.crlf(text.encode("utf-8", "replace")))

    def fill(self, variables: Mapping[str, Any], personal: Personal) -> str:
        text = self.template.render(variables)
        if self.tags:
            text = analytics.fill(text, self.tags)
        return links.fill(text, personal.tracking_url, personal.token)


_Piece = bytes | _Leaf
_Part = tuple[bytes, list[_Piece]]  # a Content-Type line and what follows it


@dataclass(frozen=True, slots=True)
class _Composed:
    """A content of kind parts, made ready."""

    before: list[HeaderLine]
    subject: HeaderLine | Template
    after: list[HeaderLine]
    content_type: bytes
    pieces: list[_Piece]
    to_each: bool
    unsubscribe: bool
    merge: bool
    present: frozenset[str]
    needs_smtputf8: bool

    def compose(self, personal: Personal) -> Mail:
        try:
            return self._compose(personal)
        except ValueError as error:
            raise Invalid(field="header", message=f"The mail cannot be composed: {error}") from None

    def _compose(self, personal: Personal) -> Mail:
        variables = variables_of(personal) if self.merge else {}
        lines = self.before.copy()
        needs_smtputf8 = self.needs_smtputf8
        if self.to_each:
            to = headers.to_line(personal.recipient)
            needs_smtputf8 = needs_smtputf8 or not to[1].isascii()
            lines.append(to)
        subject = self.subject
        if isinstance(subject, Template):  # a name that nobody knows leaves no gap at its ends
            subject = _subject_line(subject.render(variables).strip())
        lines.append(subject)
        lines.append(("Date", mime.date_field(personal.date_ms)))
        message_id = headers.message_id(personal.group_id, personal.domain)
        lines.append(("Message-ID", mime.fold("Message-ID", message_id)))
        lines += headers.own_lines(personal, unsubscribe=self.unsubscribe, present=self.present)
        lines += self.after
        lines.append(("Content-Type", self.content_type))
        body = self._body(lines, variables, personal)
        return Mail(lines, body, needs_smtputf8=needs_smtputf8)

    def _body(self, lines: list[HeaderLine], variables: Mapping[str, Any], personal: Personal) -> bytes:
        """The body; where it is a single part, the encoding it was given joins the header."""
        out = []
        for piece in self.pieces:
            if isinstance(piece, bytes):
                out.append(piece)
            elif len(self.pieces) > 1:
                out.append(_shown(piece.encode(variables, personal)))
            else:
                encoding, body = piece.encode(variables, personal)
                lines.append(("Content-Transfer-Encoding", _ENCODING + encoding))
                out.append(body if body.endswith(b"\r\n") else body + b"\r\n")
        return b"".join(out)


def variables_of(personal: Personal) -> Mapping[str, Any]:
    """What templates are filled with: the recipient's own values, and the addresses of his pages."""
    out, chosen = headers.unsubscribe_url(personal), headers.preferences_url(personal)
    ours = {
        "unsubscribe": out,
        "unsubscribe_url": out,
        "preferences_url": chosen,
        "view_in_browser": headers.view_url(personal),
    }
    return {"preferences": chosen, **(personal.vars or {}), **ours}  # a sender may have preferences


def page_of(content: Content, parts: Parts, personal: Personal) -> str:
    """One recipient's copy as HTML: links as in his mail, no pixel; a mail that is all text as such.

    Raises TemplateFault where its variables pass a limit.
    """
    merge = bool(content.headers.get("merge"))
    variables = variables_of(personal) if merge else {}
    if parts.html is not None:
        return _html_leaf(parts.html, content, merge=merge, pixel=False).fill(variables, personal)
    text = _leaf(b"", parts.text or "", Escape.NONE, merge=merge).fill(variables, personal)
    return f'<pre style="white-space:pre-wrap;overflow-wrap:anywhere">{entities.escape(text)}</pre>'


def _leaves(parts: Parts, content: Content, *, merge: bool) -> list[_Part]:
    """The alternatives, from the plainest to the richest (RFC 2046 5.1.4)."""
    text, leaves = parts.text, []
    if text is None and parts.html is not None:
        text = to_text(parts.html)
        if merge and not _compiles(text):
            text = None  # the HTML's logic does not hold without its tags: better no text than a wrong one
    if text is not None or parts.html is None:
        leaves.append(_leaf(b"text/plain; charset=utf-8", text or "", Escape.NONE, merge=merge))
    if parts.html is not None:
        leaves.append(_html_leaf(parts.html, content, merge=merge, pixel=content.track_opens))
    if parts.calendar is not None:
        method = _METHOD.search(parts.calendar)
        kind = f"text/calendar; charset=utf-8; method={method[1] if method else 'PUBLISH'}"
        leaves.append(_leaf(kind.encode(), parts.calendar, Escape.NONE, merge=False))
    return [_encoded_once(leaf) for leaf in leaves]


def _html_leaf(html: str, content: Content, *, merge: bool, pixel: bool) -> _Leaf:
    """Links are tracked first: a mark is no link to the web any more, so only the others are tagged here."""
    if pixel or content.track_clicks:
        known = content.links if content.track_clicks else []
        html = links.extract(html, known=known, pixel=pixel, hidden=content.track_clicks).marked()
    tags = content.headers.get("analytics_tags") or {}
    if tags:
        html = analytics.tag_hrefs(html, tags, merge=merge)
    leaf = _leaf(b"text/html; charset=utf-8", html, Escape.HTML, merge=merge)
    return replace(leaf, tags=tags) if analytics.has_marks(html) else leaf


def _leaf(media_type: bytes, source: str, escape: Escape, *, merge: bool) -> _Leaf:
    source = mime.crlf(source.encode("utf-8", "replace")).decode()
    if merge:
        template = render.compile(source, escape, field="html" if escape is Escape.HTML else "text")
    else:
        source = _UNSUBSCRIBE.sub(lambda _: links.UNSUBSCRIBE, source)
        source = _PREFERENCES.sub(lambda _: links.PREFERENCES, source)
        source = _VIEW.sub(lambda _: links.VIEW, source)
        template = Template(lambda _: source, frozenset(), source)
    return _Leaf(b"Content-Type: " + media_type, template, {})


def _encoded_once(leaf: _Leaf) -> _Part:
    """A part that is encoded here where nothing in it is a recipient's own."""
    constant = leaf.template.constant
    if constant is not None and "\0" not in constant:
        return leaf.content_type, [_shown(mime.encode_text(constant.encode()))]
    return leaf.content_type, [leaf]


def _tree(leaves: list[_Part], files: Sequence[Attachment]) -> _Part:
    """multipart/mixed around multipart/alternative around multipart/related, each only where it is needed."""
    has_html = any(content_type.startswith(b"Content-Type: text/html") for content_type, _ in leaves)
    images = [file for file in files if file.cid and has_html]
    alternatives = [
        _multipart(b"related", [leaf, *map(_attached, images)], b'; type="text/html"')
        if images and leaf[0].startswith(b"Content-Type: text/html")
        else leaf
        for leaf in leaves
    ]
    body = alternatives[0] if len(alternatives) == 1 else _multipart(b"alternative", alternatives)
    attached = [_attached(file) for file in files if file not in images]
    return _multipart(b"mixed", [body, *attached]) if attached else body


def _multipart(subtype: bytes, parts: Sequence[_Part], parameters: bytes = b"") -> _Part:
    boundary = mime.make_boundary()
    pieces: list[_Piece] = []
    for content_type, inner in parts:
        nested = content_type.startswith(_MULTIPART)
        between = b"\r\n\r\n" if nested else b"\r\n"
        pieces += (b"--" + boundary + b"\r\n" + content_type + between, *inner, b"\r\n")
    pieces.append(b"--" + boundary + b"--\r\n")
    head = _MULTIPART + subtype + parameters + b';\r\n boundary="' + boundary + b'"'
    return head, _merged(pieces)


def _merged(pieces: Sequence[_Piece]) -> list[_Piece]:
    merged: list[_Piece] = []
    for piece in pieces:
        if merged and isinstance(piece, bytes) and isinstance(merged[-1], bytes):
            merged[-1] += piece
        else:
            merged.append(piece)
    return merged


def _attached(file: Attachment) -> _Part:
    media_type = file.content_type.strip()
    if not _MEDIA_TYPE.fullmatch(media_type) or media_type.lower().startswith(("multipart/", "message/")):
        media_type = "application/octet-stream"  # of those two, base64 is forbidden (RFC 2045 6.4)
    disposition = b"inline" if file.cid else b"attachment"
    head = b"Content-Disposition: " + disposition + b";\r\n " + mime.parameter("filename", file.filename)
    if file.cid:
        head += b"\r\n" + mime.fold("Content-ID", f"<{file.cid.strip('<>')}>")
    shown = _shown(mime.Encoded(b"base64", mime.base64(file.body)))
    return b"Content-Type: " + media_type.encode(), [head + b"\r\n" + shown]


def _shown(encoded: mime.Encoded) -> bytes:
    return _ENCODING + encoded.encoding + b"\r\n\r\n" + encoded.body


def _constant_lines(content: Content) -> tuple[list[HeaderLine], list[HeaderLine]]:
    """The header lines that stand before the subject, and those after it."""
    before = [("From", _addresses("From", [content.from_header]))]
    stored = content.headers
    if not stored.get("to_each"):
        for name, mailboxes in (("To", stored.get("to")), ("Cc", stored.get("cc"))):
            if mailboxes:
                before.append((name, _addresses(name, mailboxes)))
        if len(before) == 1:
            before.append(_UNDISCLOSED)
    custom = headers.custom_lines(stored.get("custom") or ())
    if stored.get("reply_to") and not any(name.lower() == "reply-to" for name, _ in custom):
        before.append(("Reply-To", _addresses("Reply-To", stored["reply_to"])))
    return before, [*custom, _MIME_VERSION]


def _addresses(name: str, mailboxes: Sequence[str]) -> bytes:
    return mime.address_field(name, [stored_mailbox(text) for text in mailboxes])


def stored_mailbox(text: str) -> Mailbox:
    """A mailbox text of ours: its name may hold what parse_mailbox takes for brackets."""
    name, bracket, address = text.rpartition("<")
    if not bracket or not name.endswith('" ') or not name.startswith('"') or not address.endswith(">"):
        return parse_mailbox(text)
    return Mailbox(parse_address(address[:-1]), re.sub(r"\\(.)", r"\1", name[1:-2]))


def _subject_line(subject: str) -> HeaderLine:
    """A recipient's variable may hold line breaks; in the subject they are spaces."""
    if "\n" in subject or "\r" in subject or "\0" in subject:
        subject = re.sub(r"[\r\n\0]+", " ", subject)
    return ("Subject", mime.text_field("Subject", subject))


def compile_parts(parts: Parts, subject: str) -> tuple[list[Template], list[TemplateFault]]:
    """Subject, html and text as templates, and what is wrong: of each the first fault, with its place."""
    templates: list[Template] = []
    faults: list[TemplateFault] = []
    for field, source, escape in (
        ("subject", subject, Escape.NONE),
        ("html", parts.html, Escape.HTML),
        ("text", parts.text, Escape.NONE),
    ):
        try:
            templates.append(render.compile(source or "", escape, field=field))
        except TemplateFault as fault:
            faults.append(fault)
    return templates, faults


def _compiles(source: str) -> bool:
    try:
        render.compile(source, Escape.NONE)
    except TemplateFault:
        return False
    return True


def _without_nul(text: str | None) -> str | None:
    return text.replace("\0", "") if text else text
