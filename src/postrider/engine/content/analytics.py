"""Analytics tags: the utm parameters that a campaign's links carry, so that a site knows whence visits come.

Pure. Nothing but href values changes. A link whose host only a recipient's variables tell is never touched,
nor is one of ours (unsubscribe, preferences, view in browser) or one that asks not to be tracked.
"""

import html as entities
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote_plus

from postrider.engine.content import links
from postrider.engine.errors import Invalid

REQUIRED = ("utm_source", "utm_medium", "utm_campaign")
OPTIONAL = ("utm_content", "utm_term")
VALUE_MAX_CHARS = 200

Tags = Mapping[str, str]

_HOST = re.compile(r"https?://[^\s/?#\\{}]+(?:[/?#\\]|\Z)", re.IGNORECASE)
_OPENED, _CLOSED = "\0t", "\0e"  # around a href value that is known when its variables are
_MARKED = re.compile(f"{_OPENED}(.*?){_CLOSED}", re.DOTALL)


def check_analytics_tags(given: Mapping[str, str]) -> dict[str, str]:
    """The tags as `Content.headers["analytics_tags"]` holds them, blanks around values gone.

    utm_source, utm_medium and utm_campaign are needed, utm_content and utm_term may be; values are lines of
    at most VALUE_MAX_CHARS, and no templates. Raises Invalid, whose fact `faults` holds all that is wrong.
    """
    tags = {name: given[name].strip() for name in (*REQUIRED, *OPTIONAL) if given.get(name, "").strip()}
    told = {name: "There is no such analytics tag." for name in given if name not in (*REQUIRED, *OPTIONAL)}
    told |= {name: f"{name} is required." for name in REQUIRED if name not in tags}
    for name, value in tags.items():
        if len(value) > VALUE_MAX_CHARS or not value.isprintable():
            told[name] = f"{name} is one line of at most {VALUE_MAX_CHARS} characters."
        elif "{{" in value or "{%" in value:
            told[name] = f"{name} is the same for all recipients: no template."
    faults = [{"field": f"analytics_tags.{name}", "message": message} for name, message in told.items()]
    if faults:
        raise Invalid(**faults[0], faults=faults)
    return tags


def default_tags(campaign: str, source: str) -> dict[str, str]:
    """The tags of a campaign whose author asked for some and named none: its name, and who it comes from."""
    return {"utm_source": _fit(source), "utm_medium": "email", "utm_campaign": _fit(campaign)}


def tag_hrefs(html: str, tags: Tags, *, merge: bool) -> str:
    """HTML whose links to the web carry the tags; with `merge`, values with variables are marked, for `fill`.

    Tracked links are marks by now, and get their tags on the way (`tag_link`).
    """
    out: list[str] = []
    at = 0
    for start, end in links.places(html):
        raw = html[start:end]
        link = links.decoded(raw)
        if not _may_carry(link):
            continue
        if merge and ("{{" in raw or "{%" in raw):
            value = f"{_OPENED}{raw}{_CLOSED}"
        elif (tagged := _tagged(link, tags)) != link:
            value = _escaped(tagged)
        else:
            continue
        is_quoted = html[start - 1] in "\"'"
        out += (html[at:start], value if is_quoted else f'"{value}"')
        at = end
    out.append(html[at:])
    return "".join(out)


def has_marks(html: str) -> bool:
    """Whether `fill` has anything to do for each recipient."""
    return _OPENED in html


def fill(rendered: str, tags: Tags) -> str:
    """What `tag_hrefs` marked, tagged now that its variables are filled in."""

    def tagged(match: re.Match[str]) -> str:
        return _escaped(_tagged(links.decoded(match[1].replace("\0", "")), tags))

    return _MARKED.sub(tagged, rendered)


def tag_link(link: str, url: str, tags: Tags) -> str:
    """The URL that a stored link has become for one recipient, with the tags where it may carry them."""
    return _tagged(url, tags) if _may_carry(link) else url


def _fit(text: str) -> str:
    """The text as `check_analytics_tags` takes it, whatever it holds."""
    kept = "".join([char if char.isprintable() and char not in "{}" else " " for char in text])
    return " ".join(kept.split())[:VALUE_MAX_CHARS].strip() or "campaign"


def _may_carry(link: str) -> bool:
    return _HOST.match(link) is not None and not links.is_ours(link)


def _tagged(url: str, tags: Tags) -> str:
    """Parameters of the same name stay as they are; the fragment stays last (RFC 3986 3)."""
    front, hash_, fragment = url.partition("#")
    _, mark, query = front.partition("?")
    present = {unquote_plus(pair.partition("=")[0]) for pair in query.split("&")}
    added = "&".join([f"{name}={quote(tags[name], safe='')}" for name in tags if name not in present])
    if not added:
        return url
    joint = "?" if not mark else "" if not query or query.endswith("&") else "&"
    return f"{front}{joint}{added}{hash_}{fragment}"


def _escaped(url: str) -> str:
    """As a quoted href value; braces would open a template tag."""
    return entities.escape(url).replace("{", "%7B")
