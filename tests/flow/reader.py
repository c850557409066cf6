"""A delivered mail as its reader sees it, and waiting for what he does to be an event."""

import asyncio
import email
import re
from email.policy import default

from tests.factories import Running
from tests.flow.world import events, send, until
from tests.sink.client import Sink

from postrider.engine.journal import EventKind
from postrider.kit.ids import RowId

RECORDED_MAX_S = 4.0
LINKS = ["https://shop.example/offer?a=1&b=2", "https://shop.example/other#part"]
HTML = "".join(f'<a href="{link.replace("&", "&amp;")}">Offer</a>' for link in LINKS)
PIXEL = re.compile(r'src="(http[^"]+/track/o/[^"]+)"')
CLICK = re.compile(r'href="(http[^"]+/track/c/[^"]+)"')
OPT_OUT = re.compile(r"<(http[^>]+/track/u/[^>]+)>")


class Mail:
    """A received mail as its reader sees it: paths to fetch, whatever host they name."""

    def __init__(self, raw: bytes) -> None:
        parsed = email.message_from_bytes(raw, policy=default)
        html = parsed.get_body(("html",))
        assert html is not None
        self.pixel = path_of(PIXEL.findall(html.get_content())[0])
        *self.clicks, self.hidden = [path_of(url) for url in CLICK.findall(html.get_content())]
        self.opt_out = path_of(OPT_OUT.findall(parsed["List-Unsubscribe"])[0])
        self.is_one_click = parsed["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def path_of(url: str) -> str:
    return url[url.index("/track/") :]


async def deliver(running: Running, sink: Sink, html: str = HTML) -> tuple[RowId, Mail]:
    message_id = await send(running, "ann@example.com", html=html, track_opens=True, track_clicks=True)
    received = await asyncio.to_thread(sink.wait_for, 1)
    return message_id, Mail(received[-1].mail)


async def recorded(running: Running, message_id: RowId, kind: EventKind, count: int) -> None:
    async def is_so() -> bool:
        return len(await events(running, message_id, kind)) == count

    await until(is_so, f"{count} {kind.name}", timeout_s=RECORDED_MAX_S)
