"""A mail as a page: what its recipient got, while it is kept, and of no mail that does not offer it."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from tests.factories import DOMAIN, Running
from tests.flow.reader import path_of
from tests.flow.world import events, send, until
from tests.flow.world import message as message_row

from postrider.engine import content
from postrider.engine.accounts import Brand, change_brand
from postrider.engine.content.model import Attachment
from postrider.engine.delivery import control
from postrider.engine.journal import EventKind
from postrider.engine.messages import Stream, personal
from postrider.engine.sending import SendCommand, Submission, prepare
from postrider.engine.sending.prepare import prepare_raw
from postrider.kit.address import Mailbox
from postrider.kit.ids import RowId

ANN = "ann@example.com"
OFFER = '<a href="{{view_in_browser}}">Look at it in a browser</a>'
HTML = f'<body><p>Hello</p>{OFFER}<a href="https://shop.example/?a=1&amp;b=2">Shop</a></body>'
TAGS = {"utm_source": "news", "utm_medium": "email", "utm_campaign": "May"}
SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
PIXEL_PNG = bytes.fromhex("89504e470d0a1a0a") + bytes(8)


class Reader:
    """Who holds the link of one mail."""

    def __init__(self, running: Running, http: httpx2.AsyncClient) -> None:
        self.running = running
        self.http = http

    def token(self, message_id: RowId) -> str:
        return self.running.sealer.message_token(self.running.account.organization_id, message_id)

    async def opens(self, message_id: RowId, method: str = "GET") -> httpx2.Response:
        return await self.http.request(method, f"/track/v/{self.token(message_id)}")

    async def sends(self, command: SendCommand, values: dict[str, Any] | None = None, **facts: Any) -> RowId:
        """A mail whose content is a template; `facts` stand among its content's headers."""
        prepared, recipients = prepare(command, merge=True)
        prepared.headers.update(facts)  # as campaigns do
        submission = Submission(self.running.principal, prepared, recipients, values=values)
        receipt = await self.running.node.sender.send(submission)
        return receipt.accepted[0].message_id

    async def got(self, message_id: RowId) -> str:
        """The mail as it was captured."""
        organization_ids = [self.running.account.organization_id]

        async def is_there() -> bool:
            return bool((await message_row(self.running, message_id)).first_delivered_at)

        await until(is_there, "delivered")
        mails = await self.running.database.read(
            lambda tx: control.list_captured(tx, organization_ids, limit=9)
        )
        found = next(mail for mail in mails if mail.message_id == message_id)
        kept = await self.running.database.read(control.one_captured, organization_ids, found.id)
        assert kept is not None
        return kept[1].decode()

    def loses_bodies(self) -> None:
        self.running.database.write_now(lambda tx: tx.execute(text("DELETE FROM content_bodies")))


def command(html: str | None = HTML, **given: Any) -> SendCommand:
    defaults = {"to": [Mailbox(ANN)], "subject": "Hello", "html": html, "from_": Mailbox(f"a@{DOMAIN}")}
    return SendCommand(**{**defaults, **given})


@pytest.fixture
async def reader(node: Running) -> AsyncIterator[Reader]:
    async with httpx2.AsyncClient(base_url=node.base_url) as http:
        yield Reader(node, http)


async def test_the_page_is_the_recipients_own_copy(reader: Reader) -> None:
    greeting = "<p>Hello {{ name }}{% if vip %}, you{% endif %}</p>"
    html = f"{greeting}{OFFER}<a href='https://a.test/{{{{ sku }}}}'>"
    message_id = await reader.sends(command(html), {"name": "<Ann>", "vip": True, "sku": 7})
    other = await reader.sends(command(html), {"name": "Bob"})
    page = (await reader.opens(message_id)).text
    assert "Hello &lt;Ann&gt;, you" in page
    assert "Hello Bob</p>" in (await reader.opens(other)).text
    base = f"{reader.running.node.settings.base_url}/track"
    assert f'href="{base}/v/{reader.token(message_id)}"' in page
    assert f'href="{base}/c/{reader.token(message_id)}.0"' in page
    mail = await reader.got(message_id)
    assert f"/track/v/{reader.token(message_id)}" in mail.replace("=\r\n", "")


async def test_looking_is_no_opening_and_a_click_there_is_a_click(reader: Reader) -> None:
    message_id = await send(reader.running, ANN, html=HTML, track_opens=True, track_clicks=True)
    await reader.got(message_id)
    page = (await reader.opens(message_id)).text
    assert "/track/o/" not in page
    click = re.findall(r'href="(http[^"]+/track/c/[^"]+\.0)"', page)[0]
    assert (await reader.http.get(path_of(click))).headers["location"] == "https://shop.example/?a=1&b=2"

    async def is_clicked() -> bool:
        return len(await events(reader.running, message_id, EventKind.CLICKED)) == 1

    await until(is_clicked, "the click")
    assert await events(reader.running, message_id, EventKind.OPENED) == []


@SQLITE
async def test_a_browser_may_do_nothing_but_show_it(reader: Reader) -> None:
    hostile = f"<script>alert(1)</script><meta http-equiv=refresh content='0;url=//evil.test'><form>{OFFER}"
    answer = await reader.opens(await reader.sends(command(hostile)))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "private" in answer.headers["cache-control"]
    assert answer.headers["x-robots-tag"] == "noindex"
    assert answer.headers["referrer-policy"] == "no-referrer"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; ")
    for word in ("allow-scripts", "allow-forms", "allow-same-origin", "script-src"):
        assert word not in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search("<script|<meta http-equiv", answer.text)


@SQLITE
async def test_looking_changes_nothing(reader: Reader) -> None:
    message_id = await reader.sends(command())
    await reader.got(message_id)
    before = await message_row(reader.running, message_id)
    assert (await reader.opens(message_id, "HEAD")).text == ""
    assert (await reader.opens(message_id)).status_code == 200
    assert (await reader.opens(message_id, "POST")).status_code == 405
    assert await message_row(reader.running, message_id) == before


async def test_a_mail_that_is_kept_no_longer_says_so(reader: Reader) -> None:
    message_id = await reader.sends(command())
    await reader.got(message_id)
    brand = Brand(name="Bäckerei <b>", color="#FFCC00")
    reader.running.database.write_now(change_brand, reader.running.principal, brand)
    reader.loses_bodies()
    answer = await reader.opens(message_id)
    assert (answer.status_code, "no longer kept" in answer.text) == (410, True)
    assert "Bäckerei &lt;b&gt;" in answer.text
    assert "--act: #ffcc00" in answer.text
    assert answer.headers["x-robots-tag"] == "noindex"


@SQLITE
async def test_of_somebody_forgotten_nothing_is_shown(reader: Reader) -> None:
    message_id = await reader.sends(command("<p>{{ name }}</p>" + OFFER), {"name": "Ann"})
    await reader.got(message_id)
    organization_id = reader.running.account.organization_id
    reader.running.database.write_now(personal.anonymise, organization_id, [message_id])
    assert (await reader.opens(message_id)).status_code == 410


@SQLITE
async def test_a_link_of_nothing_leads_nowhere(reader: Reader) -> None:
    offered, silent = await reader.sends(command()), await reader.sends(command("<p>Your code is 4711</p>"))
    paths = ["nonsense", reader.token(offered)[:-2], reader.token(RowId(bytes(16))), reader.token(silent)]
    for path in paths:
        answer = await reader.http.get(f"/track/v/{path}")
        assert (answer.status_code, "leads nowhere" in answer.text) == (404, True), path
        assert "4711" not in answer.text


@SQLITE
async def test_a_mail_handed_in_as_mime_offers_no_page(reader: Reader) -> None:
    raw = f"From: a@{DOMAIN}\r\nTo: {ANN}\r\nContent-Type: text/html\r\n\r\n{OFFER}\r\n".encode()
    adopted = content.adopt(raw, group_id=RowId(bytes(16)), date_ms=0)
    prepared, recipients = prepare_raw(adopted, [ANN], Stream.SHARED)
    receipt = await reader.running.node.sender.send(
        Submission(reader.running.principal, prepared, recipients)
    )
    assert (await reader.opens(receipt.accepted[0].message_id)).status_code == 404


@SQLITE
async def test_a_text_with_the_link_is_shown_as_text(reader: Reader) -> None:
    message_id = await reader.sends(
        command(None, text="1 < 2, {{ name }}\n{{view_in_browser}}"), {"name": "Ann"}
    )
    page = (await reader.opens(message_id)).text
    assert "1 &lt; 2, Ann\n" in page
    assert f"/track/v/{reader.token(message_id)}" in page


@SQLITE
async def test_images_that_came_with_the_mail_are_shown(reader: Reader) -> None:
    files = [
        Attachment("a.png", "image/png", PIXEL_PNG, "logo"), Attachment("b.png", "text/html", b"<p>", "evil"),
        Attachment("c.pdf", "application/pdf", b"%PDF", None),
    ]  # fmt: skip
    html = f'<img src="cid:logo"><img src="cid:evil"><img src="cid:none">{OFFER}'
    page = (await reader.opens(await reader.sends(command(html, attachments=files)))).text
    assert 'src="data:image/png;base64,' in page
    assert 'src="cid:evil"' in page
    assert 'src="cid:none"' in page


@SQLITE
async def test_what_cannot_be_composed_cannot_be_looked_at(reader: Reader) -> None:
    html = "{% for x in list %}{% for y in list %}{{ y }}{% endfor %}{% endfor %}" + OFFER
    message_id = await reader.sends(command(html), {"list": list(range(1_000))})
    assert (await reader.opens(message_id)).status_code == 404


async def test_analytics_tags_reach_the_site_by_every_way(reader: Reader) -> None:
    html = f"{OFFER}<a href='https://a.test/?q=1#x'>A</a><a data-no-track href='https://b.test/'>B</a>"
    tracked = await reader.sends(command(html), analytics_tags=TAGS)
    plain = await reader.sends(command(html, track_clicks=False), analytics_tags=TAGS)
    tagged = "https://a.test/?q=1&utm_source=news&utm_medium=email&utm_campaign=May#x"
    page = (await reader.opens(tracked)).text
    click = re.findall(r'href="(http[^"]+/track/c/[^"]+\.0)"', page)[0]
    assert (await reader.http.get(path_of(click))).headers["location"] == tagged
    assert f'href="{tagged.replace("&", "&amp;")}"' in (await reader.opens(plain)).text
    mail = (await reader.got(plain)).replace("=\r\n", "").replace("=3D", "=")
    assert f"href='{tagged.replace('&', '&amp;')}'" in mail
    assert "https://b.test/'" in mail
    row = await message_row(reader.running, tracked)
    assert row.links == ["https://a.test/?q=1#x"], "reports name links as the sender wrote them"
