"""What people do with a delivered mail, through the real pages, until it is an event."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
from tests.factories import DOMAIN, Running, running_node
from tests.flow.reader import HTML, LINKS, RECORDED_MAX_S, Mail, deliver, recorded
from tests.flow.world import events, post
from tests.processes import Postrider, wait_until
from tests.sink.client import Sink

from postrider.engine.journal import EventKind

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


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


@pytest.mark.long
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
