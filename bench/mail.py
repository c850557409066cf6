"""The mail that is sent over HTTP: 4 KB of HTML with five links and a pixel, each to its own recipient."""

import json
from collections.abc import Iterator

from bench.load import PAYLOAD_BYTES, RECIPIENT, SENDER, post
from bench.postrider_server import API

LINKS = 5
BULK_VARS = {"name": "Ann", "code": "A20"}
MERGED_SUBJECT = "Hello {{name}}"


def html() -> str:
    offers = [f"https://shop.test/offer/{number}?from=mail" for number in range(LINKS)]
    links = "".join(f'<p><a href="{offer}">An offer</a></p>' for offer in offers)
    filler = "<p>It was a bright cold day in April, and the clocks were striking thirteen.</p>"
    return f"<html><body>{links}{filler * ((PAYLOAD_BYTES - len(links) - 30) // len(filler))}</body></html>"


def merged_html() -> str:
    return html().replace("bright", "{{code}}", 1)


def sends(key: str, count: int, *, sender: str = SENDER, prefix: str = "") -> Iterator[bytes]:
    """`count` requests for one transactional mail each."""
    marker = "@@number@@"
    mail = {
        "from": sender,
        "to": f"{prefix}{marker}{RECIPIENT}",
        "subject": "Your order",
        "html": html(),
        "track_opens": True,
        "track_clicks": True,
        "stream_type": "transactional",
    }
    before, _, after = json.dumps(mail).partition(marker)
    for number in range(count):
        yield post(f"{API}/send", f"{before}{number}{after}".encode(), {"X-API-Key": key})


def bulk(key: str, first: int, count: int, *, sender: str = SENDER, recipient: str = RECIPIENT) -> bytes:
    """One request that mails `count` recipients, numbered from `first`."""
    mail = {
        "from": sender,
        "subject": MERGED_SUBJECT,
        "html": merged_html(),
        "stream_type": "broadcast",
        "recipients": [
            {"email": f"bulk{number}{recipient}", "vars": BULK_VARS} for number in range(first, first + count)
        ],
    }
    return post(f"{API}/bulk-send", json.dumps(mail).encode(), {"X-API-Key": key})
