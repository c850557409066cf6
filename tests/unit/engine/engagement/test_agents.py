"""Names that readers, proxies, scanners and tools give themselves, and the devices that are told of them."""

import time

import pytest

from postrider.engine.engagement.agents import Agent, AgentKind, agent_of, device_of

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
ANDROID = "Mozilla/5.0 (Linux; Android 13; {}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/112.0.0.0 {}"
CHROME = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (CHROME, ("desktop", "Windows", "Chrome", None)),
        (f"{CHROME} Edg/120.0.0.0", ("desktop", "Windows", "Edge", None)),
        (f"{MAC} Version/17.1 Safari/605.1.15", ("desktop", "macOS", "Safari", None)),
        (MAC, ("desktop", "macOS", None, "Apple Mail")),
        (f"{IPHONE} Mobile/15E148", ("mobile", "iOS", None, "Apple Mail")),
        (f"{IPHONE} Version/17.1 Mobile/15E148 Safari/604.1", ("mobile", "iOS", "Safari", None)),
        (f"{IPHONE} CriOS/120.0 Mobile/15E148 Safari/604.1", ("mobile", "iOS", "Chrome", None)),
        (
            IPHONE.replace("iPhone;", "iPad;") + " Version/16.1 Safari/604.1",
            ("tablet", "iOS", "Safari", None),
        ),
        (ANDROID.format("SM-S901B", "Mobile Safari/537.36"), ("mobile", "Android", "Chrome", None)),
        (ANDROID.format("SM-X700", "Safari/537.36"), ("tablet", "Android", "Chrome", None)),
        (
            "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0",
            ("desktop", "Linux", "Firefox", None),
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko Thunderbird/115.5.1",
            ("desktop", "Linux", None, "Thunderbird"),
        ),
        (
            "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Microsoft Outlook 16.0.5095; ms-office)",
            ("desktop", "Windows", None, "Outlook"),
        ),
        (
            ANDROID.format("CUBOT NOTE 20", "Mobile Safari/537.36"),
            ("mobile", "Android", "Chrome", None),
        ),
    ],
)
def test_a_readers_device_is_told(user_agent: str, device: tuple[str | None, ...]) -> None:
    agent = agent_of(user_agent)
    assert agent.kind is AgentKind.READER
    assert agent.device is not None
    assert tuple(agent.device[name] for name in ("type", "os", "browser", "client")) == device


@pytest.mark.parametrize(
    ("user_agent", "client"),
    [
        ("Mozilla/5.0", "Apple Mail"),
        (
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            "Gmail",
        ),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "Yahoo Mail"),
    ],
)
def test_a_proxys_device_is_not_its_readers(user_agent: str, client: str) -> None:
    agent = agent_of(user_agent)
    assert (agent.kind, agent.device) == (
        AgentKind.PROXY,
        {"type": None, "os": None, "browser": None, "client": client},
    )


@pytest.mark.parametrize(
    ("user_agent", "kind"),
    [
        ("Proofpoint URL Defense", AgentKind.SCANNER),
        ("BarracudaLinkProtect/1.0", AgentKind.SCANNER),
        ("Mozilla/5.0 (compatible; Mimecast)", AgentKind.SCANNER),
        (f"{CHROME} BingPreview/1.0b", AgentKind.SCANNER),
        ("curl/8.5.0", AgentKind.TOOL),
        ("python-requests/2.31", AgentKind.TOOL),
        ("Go-http-client/2.0", AgentKind.TOOL),
        (CHROME.replace("Chrome/", "HeadlessChrome/"), AgentKind.TOOL),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", AgentKind.TOOL),
        ("Reader/1", AgentKind.STRANGER),
        ("", AgentKind.NOBODY),
        ("  ", AgentKind.NOBODY),
    ],
)
def test_who_is_no_reader_is_known_by_name(user_agent: str, kind: AgentKind) -> None:
    agent: Agent = agent_of(user_agent)
    assert agent.kind is kind
    assert (agent.name is not None) == (kind in (AgentKind.SCANNER, AgentKind.TOOL))
    assert agent.device is None


def test_a_name_is_looked_at_once() -> None:
    names = [f"{CHROME} {number}" for number in range(200)]
    for name in names:
        agent_of(name)
    started = time.perf_counter()
    for _ in range(10):
        for name in names:
            agent_of(name)
    assert (time.perf_counter() - started) / 2_000 < 20e-6


def test_an_event_of_before_has_a_device_of_which_nothing_is_known() -> None:
    assert device_of({}) == {"type": None, "os": None, "browser": None, "client": None}
    assert device_of({"device": {"type": "mobile"}})["type"] == "mobile"


@pytest.mark.parametrize("user_agent", ["(Macintosh" * 40, "Mozilla/5.0 (" * 30, "\x00" * 400, "a" * 400])
def test_no_name_takes_long(user_agent: str) -> None:
    started = time.perf_counter()
    agent_of(user_agent)
    assert time.perf_counter() - started < 0.2
