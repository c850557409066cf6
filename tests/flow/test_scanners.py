"""Who opened it, through the real pages: scanners told from readers, also when the evidence comes late."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.contract.past import followed
from tests.factories import Running, running_node
from tests.flow.hooks import Receiver
from tests.flow.reader import Mail, deliver, recorded
from tests.flow.world import events, message, until
from tests.sink.client import Sink
from tests.unit.engine.engagement import mmdb
from tests.unit.engine.engagement.test_sources import NEW_YORK

from postrider.engine import insight
from postrider.engine.journal import EventKind
from postrider.kit.ids import RowId

SCANNER, READER, SHIELD = "198.51.100.7", "203.0.113.9", "192.0.2.33"
CHROME = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.1 Mobile/15E148 Safari/604.1"
)
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
HTML = "".join(f'<a href="https://shop.example/{number}">Offer</a>' for number in range(3))
OPENED, CLICKED, RECLASSIFIED = EventKind.OPENED, EventKind.CLICKED, EventKind.RECLASSIFIED
Json = dict[str, Any]


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink(keep=True) as sink:
        yield sink


@pytest.fixture
async def running(store_url: str, tmp_path: Path, sink: Sink) -> AsyncIterator[Running]:
    (tmp_path / "ranges").write_text(f"{SHIELD}/32 Example Shield\n")
    (tmp_path / "city.mmdb").write_bytes(mmdb.write({"203.0.113.0/24": NEW_YORK}))
    known = {"scanner_ranges": str(tmp_path / "ranges"), "geoip_file": str(tmp_path / "city.mmdb")}
    relay = {"delivery": "relay", "relay_url": f"smtp://127.0.0.1:{sink.port}"}
    reachable = {**relay, **known, "webhook_allow_private": True}
    async with running_node(store_url, tmp_path / "data", **reachable) as running:
        yield running


class Visitor:
    """Somebody at an address of the world, behind the proxy that stands before the node."""

    def __init__(self, running: Running, ip: str, agent: str) -> None:
        self._base_url = running.base_url
        self._headers = {"X-Forwarded-For": ip, "User-Agent": agent}

    async def fetch(self, *paths: str, method: str = "GET") -> list[int]:
        async with httpx2.AsyncClient(base_url=self._base_url, headers=self._headers) as client:
            return [(await client.request(method, path)).status_code for path in paths]


async def asked(running: Running, path: str, **query: str) -> Json:
    key = {"X-API-Key": running.account.keys["mailerlogic"]}
    async with httpx2.AsyncClient(base_url=f"{running.base_url}/mailerlogic/api/v1", headers=key) as client:
        answer = await client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        body: Json = answer.json()
        return body


async def told(running: Running, kind: str, only: str) -> list[Json]:
    body = await asked(running, "/events", type=kind, filter=only)
    assert body["pagination"]["total"] == len(body["events"])
    return list(body["events"])


async def figures(running: Running, only: str) -> tuple[int, int, int, int]:
    await followed(running)
    body = await asked(running, "/stats/outbound", filter=only)
    return body["opens"], body["unique_opens"], body["clicks"], body["unique_clicks"]


async def visited(running: Running, sink: Sink) -> tuple[RowId, Mail]:
    """A mail that a scanner has seen through, and that its reader has opened and clicked on his phone."""
    message_id, mail = await deliver(running, sink, HTML)
    scanner, reader = Visitor(running, SCANNER, CHROME), Visitor(running, READER, IPHONE)
    assert await scanner.fetch(mail.pixel, *mail.clicks) == [200, 302, 302, 302]
    assert await reader.fetch(mail.pixel, mail.clicks[1]) == [200, 302]
    await recorded(running, message_id, OPENED, 2)
    await recorded(running, message_id, CLICKED, 4)
    return message_id, mail


async def test_who_follows_all_links_at_once_is_told_from_who_reads(running: Running, sink: Sink) -> None:
    message_id, _ = await visited(running, sink)
    by_ip = {
        (event.data or {})["ip"]: event.data or {}
        for kind in (OPENED, CLICKED)
        for event in await events(running, message_id, kind)
    }
    scanner, reader = by_ip[SCANNER], by_ip[READER]
    assert (scanner["human"], reader["human"]) == (False, True)
    assert "all-links-at-once" in scanner["scanner"]["reasons"]
    assert reader["device"] == {"type": "mobile", "os": "iOS", "browser": "Safari", "client": None}
    assert (reader["place"]["city"], scanner.get("place")) == ("New York", None)
    row = await message(running, message_id)
    opened = [e.at for e in await events(running, message_id, OPENED) if (e.data or {})["ip"] == READER]
    assert [row.first_human_opened_at] == opened
    assert await figures(running, "human_only") == (1, 1, 1, 1)
    assert (await figures(running, "scanner_only"))[::2] == (1, 3)
    assert await figures(running, "all") == (2, 1, 4, 1)


async def test_lists_of_events_agree_with_the_figures(running: Running, sink: Sink) -> None:
    await visited(running, sink)
    assert len(await told(running, "opened", "all")) == 2
    (human,) = await told(running, "clicked", "human_only")
    assert (human["is_human_engagement"], human["event_data"]["ip_address"]) == (True, READER)
    assert human["scanner_detection"]["classification"] == "human"
    assert human["device_info"] == {"browser": "Safari", "os": "iOS", "device_type": "Mobile"}
    scanned = await told(running, "clicked", "scanner_only")
    assert [each["event_data"]["ip_address"] for each in scanned] == [SCANNER] * 3
    assert all(each["scanner_detection"]["confidence"] >= 80 for each in scanned)
    assert len(await told(running, "delivered", "human_only")) == 1
    assert await told(running, "delivered", "scanner_only") == []


async def test_the_hidden_link_leads_nowhere_and_tells_who_followed_it(running: Running, sink: Sink) -> None:
    message_id, mail = await deliver(running, sink, HTML)
    scanner, reader = Visitor(running, SCANNER, CHROME), Visitor(running, READER, IPHONE)
    await reader.fetch(mail.pixel)
    assert await scanner.fetch(mail.pixel, mail.clicks[0], mail.hidden) == [200, 302, 204]
    await recorded(running, message_id, OPENED, 2)
    await recorded(running, message_id, RECLASSIFIED, 1)
    (clicked,) = await events(running, message_id, CLICKED)
    assert (clicked.data or {})["scanner"]["reasons"][0] == "hidden-link"
    assert await figures(running, "human_only") == (1, 1, 0, 0)


async def test_evidence_after_the_window_reclassifies_what_was_told(running: Running, sink: Sink) -> None:
    message_id, mail = await deliver(running, sink, HTML)
    suspect = Visitor(running, SCANNER, CHROME)
    await suspect.fetch(mail.pixel, mail.clicks[0])
    await recorded(running, message_id, CLICKED, 1)
    assert await figures(running, "human_only") == (1, 1, 1, 1)
    assert (await message(running, message_id)).first_human_clicked_at is not None
    await suspect.fetch(mail.hidden)
    await recorded(running, message_id, RECLASSIFIED, 3)
    assert await figures(running, "human_only") == (0, 0, 0, 0)
    assert (await figures(running, "scanner_only"))[::2] == (1, 1)
    row = await message(running, message_id)
    assert (row.first_human_opened_at, row.first_human_clicked_at) == (None, None)
    assert (row.opens, row.clicks) == (1, 1)
    assert await told(running, "clicked", "human_only") == []
    (scanned,) = await told(running, "clicked", "scanner_only")
    assert (scanned["is_human_engagement"], scanned["scanner_detection"]["is_scanner"]) == (False, True)
    timeline = await asked(running, f"/emails/{scanned['email_id']}/events")
    assert timeline["summary"]["human_opens"] == 0
    assert insight.rebuild(running.database) == 0
    reader = Visitor(running, READER, IPHONE)
    await reader.fetch(mail.pixel)
    await recorded(running, message_id, OPENED, 2)
    assert await figures(running, "human_only") == (1, 1, 0, 0)


async def test_proxies_ranges_and_head_requests_are_told_apart(running: Running, sink: Sink) -> None:
    message_id, mail = await deliver(running, sink, HTML)
    await Visitor(running, "192.0.2.1", GMAIL).fetch(mail.pixel)
    await Visitor(running, SHIELD, CHROME).fetch(mail.pixel)
    await Visitor(running, SCANNER, CHROME).fetch(mail.pixel, method="HEAD")
    await Visitor(running, READER, "curl/8.5").fetch(mail.clicks[0])
    await recorded(running, message_id, OPENED, 3)
    await recorded(running, message_id, CLICKED, 1)

    async def of(kind: EventKind, ip: str) -> Json:
        (found,) = [
            e.data or {} for e in await events(running, message_id, kind) if (e.data or {})["ip"] == ip
        ]
        return found

    proxy, shield = await of(OPENED, "192.0.2.1"), await of(OPENED, SHIELD)
    assert (proxy.get("human"), proxy["prefetched"], proxy["device"]["client"]) == (None, True, "Gmail")
    assert (shield["human"], shield["scanner"]["name"]) == (False, "Example Shield")
    assert (await of(OPENED, SCANNER))["scanner"]["reasons"][-1] == "head-request"
    assert (await of(CLICKED, READER))["scanner"]["reasons"][0] == "automated-tool"
    assert await figures(running, "human_only") == (0, 0, 0, 0)
    body = await asked(running, "/stats/outbound")
    assert body["suspicious_opens"] >= 1
    assert body["opens"] == body["human_opens"] + body["suspicious_opens"] + body["scanner_opens"] == 3
    platforms = await asked(running, "/stats/outbound/opens/platforms")
    assert {each["platform"]: each["opens"] for each in platforms["platforms"]} == {"Gmail": 1, "Other": 2}


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_webhooks_tell_who_it_was_and_with_what(running: Running, sink: Sink) -> None:
    async with Receiver() as receiver:
        for surface, path, made in (
            ("mailerlogic", "customer/webhooks", {"events": ["email.opened", "email.clicked"]}),
            ("penguinmails", "webhooks", {"events": ["email.opened"], "name": "Who"}),
        ):
            key = {"Authorization": f"Bearer {running.account.keys[surface]}"}
            async with httpx2.AsyncClient(base_url=running.base_url, headers=key) as client:
                url = receiver.url(f"/{surface}")
                answer = await client.post(f"/{surface}/api/v1/{path}", json={"url": url, **made})
                assert answer.is_success, answer.text
        _, mail = await deliver(running, sink, HTML)
        await Visitor(running, READER, IPHONE).fetch(mail.pixel)
        await Visitor(running, SHIELD, CHROME).fetch(mail.clicks[0])
        flat = {got.json["event"]: got.json for got in await receiver.until(2, "/mailerlogic")}
        (wrapped,) = await receiver.until(1, "/penguinmails")
    names = ("is_scanner", "browser", "os", "device_type")
    assert [flat["email.opened"][name] for name in names] == [False, "Safari", "iOS", "Mobile"]
    assert [flat["email.clicked"][name] for name in names] == [True, "Chrome", "Windows", "Desktop"]
    assert flat["email.opened"]["scanner_confidence"] < 50
    told = wrapped.json["data"]["analytics"]
    assert (told["device_type"], told["location"]) == ("mobile", "United States")


async def test_the_hidden_link_of_no_message_is_not_found(running: Running, sink: Sink) -> None:
    message_id, mail = await deliver(running, sink, HTML)
    visitor = Visitor(running, SCANNER, CHROME)
    forged = mail.hidden.replace("/track/c/", "/track/c/x")
    assert await visitor.fetch(forged, mail.hidden + "0", mail.hidden) == [404, 404, 204]

    async def is_told() -> bool:
        return len(await events(running, message_id, RECLASSIFIED)) == 1

    await until(is_told, "the hidden link", timeout_s=4.0)
    assert await events(running, message_id, CLICKED) == []
