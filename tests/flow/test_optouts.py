"""The page behind an unsubscribe link: it asks, does, and leads back; and it looks like its sender."""

import re
from collections.abc import AsyncIterator

import httpx2
import pytest
from tests.factories import Running
from tests.flow.world import events, post, send, suppress
from tests.flow.world import message as message_row

from postrider.engine import accounts, engagement, suppression
from postrider.engine.accounts import Brand
from postrider.engine.journal import EventKind
from postrider.engine.suppression import Class, Reason
from postrider.kit.ids import RowId
from postrider.surfaces.track.render import DARK, LIGHT, contrast, readable_on

ANN = "ann@example.com"
BACK = {"action": "resubscribe"}
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


class Reader:
    """Who holds the link of one mail."""

    def __init__(self, running: Running, http: httpx2.AsyncClient, message_id: RowId) -> None:
        self.running = running
        self.http = http
        self.message_id = message_id
        token = running.sealer.message_token(running.account.organization_id, message_id)
        self.path = f"/track/u/{token}"

    async def opens(self, method: str = "GET") -> str:
        answer = await self.http.request(method, self.path)
        assert answer.status_code == 200
        return answer.text

    async def presses(self, form: dict[str, str] | None = None) -> str:
        answer = await self.http.post(self.path, data=form or {})
        assert answer.status_code == 200
        return answer.text

    async def may_be_mailed(self) -> bool:
        sent = await post(self.running, "send", {"to": ANN, "subject": "Hi", "text": "Hi"})
        assert sent.status_code == 200 or sent.json()["error"] == "recipient_unsubscribed", sent.text
        return sent.status_code == 200

    async def count(self, kind: EventKind) -> int:
        return len(await events(self.running, self.message_id, kind))


@pytest.fixture
async def http(node: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=node.base_url) as client:
        yield client


@pytest.fixture
async def reader(node: Running, http: httpx2.AsyncClient) -> Reader:
    return Reader(node, http, await send(node, ANN))


async def test_the_page_leads_out_and_back_as_often_as_one_likes(reader: Reader) -> None:
    assert "Stop these mails?" in await reader.opens()
    for times in (1, 2, 3):
        assert "You are unsubscribed" in await reader.presses()
        assert "You are unsubscribed" in await reader.opens()
        assert not await reader.may_be_mailed()
        assert "You are subscribed again" in await reader.presses(BACK)
        assert "Stop these mails?" in await reader.opens()
        assert await reader.may_be_mailed()
        assert await reader.count(EventKind.UNSUBSCRIBED) == times
        assert await reader.count(EventKind.CONTACT_SUBSCRIBED) == times


@SQLITE
async def test_looking_changes_nothing(reader: Reader) -> None:
    for method in ("GET", "HEAD", "GET"):
        await reader.opens(method)
    assert (await reader.http.get(f"{reader.path}?List-Unsubscribe=One-Click&action=resubscribe")).is_success
    assert await reader.may_be_mailed()
    assert await reader.count(EventKind.UNSUBSCRIBED) == 0
    await reader.presses()
    await reader.opens()
    assert not await reader.may_be_mailed()


async def test_one_click_can_be_taken_back_and_done_again(reader: Reader) -> None:
    form = {"List-Unsubscribe": "One-Click"}
    for times in (1, 2):
        assert await reader.presses(form) == "Unsubscribed"
        assert await reader.presses(form) == "Unsubscribed"
        assert not await reader.may_be_mailed()
        assert await reader.count(EventKind.UNSUBSCRIBED) == times
        await reader.presses(BACK)
        assert await reader.may_be_mailed()


@SQLITE
async def test_who_is_not_out_does_not_come_back(reader: Reader) -> None:
    assert "You are subscribed again" in await reader.presses(BACK)
    assert await reader.count(EventKind.CONTACT_SUBSCRIBED) == 0


async def test_what_the_organization_entered_it_alone_takes_back(reader: Reader) -> None:
    await suppress(reader.running, ANN, Class.OPTOUT, Reason.MANUAL)
    await reader.presses()
    assert "You are still unsubscribed" in await reader.presses(BACK)
    assert not await reader.may_be_mailed()
    kept = reader.running.database.read_now(
        suppression.browse, reader.running.principal, limit=9, classes=[Class.OPTOUT]
    )
    assert [each.source for each in kept] == ["manual"]


@SQLITE
async def test_a_block_is_not_lifted_by_the_way_back(reader: Reader) -> None:
    await suppress(reader.running, ANN, Class.BLOCK, Reason.COMPLAINT)
    await reader.presses()
    assert "You are subscribed again" in await reader.presses(BACK)
    kept = reader.running.database.read_now(suppression.browse, reader.running.principal, limit=9)
    assert [each.class_ for each in kept] == [Class.BLOCK]


@SQLITE
async def test_an_earlier_mails_opt_out_is_taken_back_by_a_later_mails_link(
    reader: Reader, http: httpx2.AsyncClient
) -> None:
    later = Reader(reader.running, http, await send(reader.running, ANN))
    await reader.presses()
    assert "You are unsubscribed" in await later.opens()
    await later.presses(BACK)
    assert await reader.may_be_mailed()


@SQLITE
async def test_a_link_of_nothing_leads_nowhere(reader: Reader, http: httpx2.AsyncClient) -> None:
    for path in ("/track/u/nonsense", reader.path[:-2]):
        for method in ("GET", "POST"):
            answer = await http.request(method, path)
            assert (answer.status_code, "leads nowhere" in answer.text) == (404, True)
    none = RowId(bytes(16))
    organization_id = reader.running.account.organization_id
    assert reader.running.database.write_now(engagement.resubscribe, organization_id, none).name == "UNKNOWN"


@SQLITE
async def test_the_page_wears_the_organizations_name_and_colour(reader: Reader) -> None:
    hostile = '<img src=x onerror="alert(1)">\u202egnp & Söhne'
    brand = Brand(name=hostile.replace("\u202e", ""), color="#FFCC00")
    reader.running.database.write_now(accounts.change_brand, reader.running.principal, brand)
    for page in (await reader.opens(), await reader.presses(), await reader.presses(BACK)):
        assert "<img" not in page
        assert "&lt;img src=x onerror=&#34;alert(1)&#34;&gt;gnp &amp; Söhne" in page
        assert f"--act: #ffcc00; --on-act: {DARK}" in page
        assert '<html lang="en"' in page
        assert page.count("<h1") == 1
        assert len(re.findall(r"<button[^>]*>[^<]+</button>", page)) == page.count("<button") == 1
    answer = await reader.http.get(reader.path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"(?:src|href)=", answer.text.replace("src=x", "")), "it loads nothing"


@SQLITE
async def test_a_colour_that_came_in_by_another_way_is_not_shown(reader: Reader) -> None:
    organization_id = reader.running.account.organization_id
    evil = {"brand_color": "red;} body{background:url(//evil.test)}", "brand_name": ""}
    reader.running.database.write_now(accounts.change_settings, organization_id, evil)
    page = await reader.opens()
    assert "evil.test" not in page
    assert "Shop" in page, "without a name of its own it is who the mail was from"
    assert (await message_row(reader.running, reader.message_id)).recipient in page


@pytest.mark.parametrize(
    ("color", "ink"),
    [("#ffffff", DARK), ("#000000", LIGHT), ("#1f5fd6", LIGHT), ("#ffcc00", DARK), ("#777777", DARK)],
)
def test_text_on_any_colour_can_be_read(color: str, ink: str) -> None:
    assert readable_on(color) == ink
    assert contrast(ink, color) >= 4.5
    assert round(contrast("#000000", "#ffffff"), 2) == 21.0
