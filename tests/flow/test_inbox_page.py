"""The inbox's page in a browser: waiting for the first mail, reading, searching, deleting, on a phone too."""

import os
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Page, Request, async_playwright, expect
from tests.factories import Running

from postrider.engine import sending
from postrider.engine.sending import SendCommand, Submission
from postrider.kit.address import Mailbox

CHROMIUM = os.environ.get("POSTRIDER_TEST_CHROMIUM") or shutil.which("chromium")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium"),
    pytest.mark.parametrize("store_url", ["sqlite"], indirect=True),
]
HTML = """<h1 id="title">Good news</h1><script>document.title = "run"</script>
<form action="https://evil.example"><button>Send</button></form><img src="https://pictures.example/a.png">"""


@pytest.fixture
async def page(node: Running) -> AsyncIterator[Page]:
    """The open page. An error in its script fails the test, as does what leaves it for other hosts."""
    faults: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("requestfailed", lambda asked: faults.extend(left(asked, node.base_url)))
        page.on("requestfinished", lambda asked: faults.extend(left(asked, node.base_url)))
        await page.goto(f"{node.base_url}/inbox/")
        yield page
        await browser.close()
    assert faults == []


async def test_the_first_mail_opens_by_itself_and_runs_nothing(node: Running, page: Page) -> None:
    await expect(page.get_by_role("heading", name="Waiting for the first mail")).to_be_visible()
    await expect(page.locator(".try pre").last).to_contain_text(f"smtp://localhost:{node.smtp_port}")
    await send(node, "ann@example.com", "Your order", html=HTML, text="Good news")
    await expect(page.get_by_role("heading", name="Your order")).to_be_visible()
    await expect(page.frame_locator("#frame").locator("#title")).to_have_text("Good news")
    await expect(page.locator("#remote")).to_be_visible()
    await expect(page).to_have_title("Inbox · Postrider")

    await page.get_by_role("tab", name="Delivery").click()
    await expect(page.locator(".events li b")).to_have_text(["accepted", "sent", "delivered"])
    await page.get_by_role("tab", name="Headers").click()
    await expect(page.locator("#headers")).to_contain_text("DKIM-Signature")
    await page.get_by_role("tab", name="Raw").click()
    await expect(page.locator("#raw")).to_contain_text("Content-Type: multipart/alternative")
    await page.get_by_role("tab", name="Raw").press("ArrowLeft")
    await expect(page.get_by_role("tab", name="Headers")).to_be_focused()


async def test_the_keyboard_is_enough(node: Running, page: Page) -> None:
    for number in range(3):
        await send(node, f"user{number}@example.com", f"Mail {number}", text="Hello")
        await expect(page.locator(".row")).to_have_count(number + 1)
    await page.keyboard.press("Escape")
    await page.keyboard.press("j")
    await expect(page.locator("#subject")).to_have_text("Mail 2")
    await page.keyboard.press("j")
    await expect(page.locator("#subject")).to_have_text("Mail 1")
    await page.keyboard.press("d")
    await expect(page.locator(".row")).to_have_count(2)
    await expect(page.locator("#subject")).to_have_text("Mail 0")
    await page.keyboard.press("/")
    await page.keyboard.type("user2@example.com")
    await expect(page.locator(".row .about")).to_have_text(["Mail 2"])
    await page.keyboard.press("Escape")
    await expect(page.locator(".row")).to_have_count(2)


async def test_deleting_all_asks_first(node: Running, page: Page) -> None:
    await send(node, "ann@example.com", "A mail", text="Hello")
    await expect(page.locator(".row")).to_have_count(1)
    await page.get_by_role("button", name="Delete all mails").click()
    await page.get_by_role("button", name="Keep them").click()
    await expect(page.locator(".row")).to_have_count(1)
    await page.get_by_role("button", name="Delete all mails").click()
    await page.get_by_role("button", name="Delete all", exact=True).click()
    await expect(page.get_by_role("heading", name="Waiting for the first mail")).to_be_visible()


async def test_on_a_phone_a_mail_fills_the_screen_and_back_leads_on(node: Running, page: Page) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await send(node, "ann@example.com", "A mail", text="Hello")
    await page.locator(".row").click()
    await expect(page.locator("#text")).to_have_text("Hello\n")
    await expect(page.locator("#mails")).to_be_hidden()
    await page.get_by_role("button", name="Back to the list").click()
    await expect(page.locator(".row")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390


def left(asked: Request, base_url: str) -> list[str]:
    """The request's address if it went to another host; the page's policy stops them before they are made."""
    return [asked.url] if not asked.url.startswith(base_url) and asked.failure != "csp" else []


async def send(node: Running, to: str, subject: str, **given: Any) -> None:
    prepared, recipients = sending.prepare(SendCommand(to=[Mailbox(to)], subject=subject, **given))
    await node.node.sender.send(Submission(node.principal, prepared, recipients))
