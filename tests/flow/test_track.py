"""What people do with a delivered mail, through the real pages, until it is an event."""

import asyncio
import email
import re
import time
from collections.abc import AsyncIterator, Iterator
from email.policy import default
from pathlib import Path

import httpx2
import pytest
from tests.factories import DOMAIN, Running, running_node
from tests.flow.world import events, post, send, until
from tests.processes import Postrider, wait_until
from tests.sink.client import Sink

from postrider.engine.journal import EventKind
from postrider.kit.ids import RowId

RECORDED_MAX_S = 4.0
LINKS = ["https://shop.example/offer?a=1&b=2", "https://shop.example/other#part"]
HTML = "".join(f'<a href="{link.replace("&", "&amp;")}">Offer</a>' for link in LINKS)
PIXEL = re.compile(r'src="(http[^"]+/track/o/[^"]+)"')
CLICK = re.compile(r'href="(http[^"]+/track/c/[^"]+)"')
OPT_OUT = re.compile(r"<(http[^>]+/track/u/[^>]+)>")
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


class Mail:
    """A received mail as its reader sees it: paths to fetch, whatever host they name."""

    def __init__(self, raw: bytes) -> None:
        parsed = email.message_from_bytes(raw, policy=default)
        html = parsed.get_body(("html",))
        assert html is not None
        self.pixel = path_of(PIXEL.findall(html.get_content())[0])
        self.clicks = [path_of(url) for url in CLICK.findall(html.get_content())]
        self.opt_out = path_of(OPT_OUT.findall(parsed["List-Unsubscribe"])[0])
        self.is_one_click = parsed["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def path_of(url: str) -> str:
    return url[url.index("/track/") :]


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink(keep=True) as sink:
        yield sink


@pytest.fixture
async def running(store_url: str, tmp_path: Path, sink: Sink) -> AsyncIterator[Running]:
    relay = f"smtp://127.0.0.1:{sink.port}"
    async with running_node(store_url, tmp_path / "data", delivery="relay", relay_url=relay) as running:
        yield running


@pytest.fixture
async def reader(running: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=running.base_url) as client:
        yield client


async def deliver(running: Running, sink: Sink) -> tuple[RowId, Mail]:
    message_id = await send(running, "ann@example.com", html=HTML, track_opens=True, track_clicks=True)
    received = await asyncio.to_thread(sink.wait_for, 1)
    return message_id, Mail(received[-1].mail)


async def recorded(running: Running, message_id: RowId, kind: EventKind, count: int) -> None:
    async def is_so() -> bool:
        return len(await events(running, message_id, kind)) == count

    await until(is_so, f"{count} {kind.name}", timeout_s=RECORDED_MAX_S)


async def test_a_pixel_and_clicks_are_events_within_four_seconds(
    running: Running, sink: Sink, reader: httpx2.AsyncClient
) -> None:
    message_id, mail = await deliver(running, sink)
    pixel = await reader.get(mail.pixel)
    assert (pixel.status_code, pixel.headers["content-type"]) == (200, "image/gif")
    answers = [await reader.get(path, headers={"User-Agent": "Reader/1"}) for path in mail.clicks]
    assert [(answer.status_code, answer.headers["location"]) for answer in answers] == [
        (302, link) for link in LINKS
    ]
    await recorded(running, message_id, EventKind.OPENED, 1)
    await recorded(running, message_id, EventKind.CLICKED, 2)
    clicked = [event.data or {} for event in await events(running, message_id, EventKind.CLICKED)]
    assert {(data["link"], data["user_agent"]) for data in clicked} == {(0, "Reader/1"), (1, "Reader/1")}


@SQLITE
async def test_a_click_leads_only_to_links_that_the_message_carried(
    running: Running, sink: Sink, reader: httpx2.AsyncClient
) -> None:
    message_id, mail = await deliver(running, sink)
    token = mail.clicks[0].rpartition(".")[0]
    forged = [
        f"{token}.2",
        f"{token}.99999",
        f"{token}.-1",
        f"{token}.x",
        f"{token}.",
        token,
        f"{token[:-1]}.0",
    ]
    forged += ["/track/c/https://evil.example", "/track/c/x.0", f"{token}.0?url=https://evil.example"]
    for path in forged[:-1]:
        answer = await reader.get(path)
        assert (answer.status_code, answer.headers.get("location")) == (404, None), path
    assert (await reader.get(forged[-1])).headers["location"] == LINKS[0]
    assert (await reader.get("/track/o/nonsense")).status_code == 200  # a reader sees no broken image
    await recorded(running, message_id, EventKind.CLICKED, 1)
    assert await events(running, message_id, EventKind.OPENED) == []


async def test_the_page_asks_before_it_unsubscribes(
    running: Running, sink: Sink, reader: httpx2.AsyncClient
) -> None:
    message_id, mail = await deliver(running, sink)
    asked = await reader.get(mail.opt_out)
    assert (asked.status_code, "<form" in asked.text) == (200, True)
    assert await events(running, message_id, EventKind.UNSUBSCRIBED) == []
    assert (await reader.post(mail.opt_out)).status_code == 200
    await recorded(running, message_id, EventKind.UNSUBSCRIBED, 1)
    refused = await post(running, "send", {"to": "ann@example.com", "subject": "Hi", "text": "Hi"})
    assert (refused.status_code, refused.json()["error"]) == (403, "recipient_unsubscribed")


async def test_one_click_unsubscribes_once_however_often_it_comes(
    running: Running, sink: Sink, reader: httpx2.AsyncClient
) -> None:
    message_id, mail = await deliver(running, sink)
    assert mail.is_one_click
    form = {"List-Unsubscribe": "One-Click"}
    answers = await asyncio.gather(*(reader.post(mail.opt_out, data=form) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    (event,) = await events(running, message_id, EventKind.UNSUBSCRIBED)
    assert (event.data or {})["source"] == "one-click"
    assert (await reader.post("/track/u/nonsense", data=form)).status_code == 404


def test_no_hit_that_was_answered_is_lost_by_a_stop(store_url: str, tmp_path: Path, sink: Sink) -> None:
    relay = f"smtp://127.0.0.1:{sink.port}"
    with Postrider(store_url, tmp_path, delivery="relay", relay_url=relay) as server:
        mail = {"from": f"a@{DOMAIN}", "to": "ann@example.com", "subject": "Hi", "html": HTML}
        assert server.send({**mail, "track_opens": True}).status == 200
        pixel = Mail(sink.wait_for(1)[0].mail).pixel
        answered = sum(server.request("GET", pixel).status == 200 for _ in range(300))
        server.terminate()
        assert server.wait() == 0
        server.start()
        began = time.monotonic()
        wait_until(lambda: opened(server) == answered, "all recorded", timeout_s=RECORDED_MAX_S)
        assert (answered, time.monotonic() - began < RECORDED_MAX_S) == (300, True)


def opened(server: Postrider) -> int:
    return int(server.scalar(f"SELECT count(*) FROM events WHERE kind = {int(EventKind.OPENED)}"))


async def test_the_opt_out_page_names_a_sender_whose_name_holds_a_bracket(running: Running) -> None:
    sender, key = {"name": "A <b", "email": f"shop@{DOMAIN}"}, running.account.keys["penguinmails"]
    mail = {"to": "ann@example.com", "from": sender, "subject": "Hello", "content": "<p>Hello</p>"}
    async with httpx2.AsyncClient(base_url=running.base_url) as client:
        headers = {"Authorization": f"Bearer {key}"}
        sent = await client.post("/penguinmails/api/v1/emails/send", json=mail, headers=headers)
        token = sent.json()["data"]["analytics_tracking"]["tracking_id"].removeprefix("track_")
        page = await client.get(f"/track/u/{token}")
    assert (page.status_code, "A &lt;b" in page.text) == (200, True)
