"""The content score: its order over real kinds of mail, each rule by a mail that only it minds."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.engine.deliverability.mails import CORPUS, FARM, NEWSLETTER, PHISH, PROSE, RECEIPT, SHOP

from postrider.engine.content.nesting import DEPTH_MAX
from postrider.engine.deliverability import Content, score
from postrider.engine.deliverability.rules import RULES
from postrider.engine.deliverability.score import GRADES
from postrider.kit.address import parse_mailbox

GUIDE = Path(__file__).parents[4] / "docs" / "guide" / "deliverability.md"
PAGE = f'<html lang="en"><body><p>{PROSE}</p>%s<a href="{{{{unsubscribe}}}}">Unsubscribe</a></body></html>'


def page(extra: str) -> Content:
    return Content("This week", PAGE % extra, from_=FARM)


def said(subject: str) -> Content:
    return replace(page(""), subject=subject)


def written(text: str) -> Content:
    return page(f"<p>{text}</p>")


def link(href: str, shown: str = "The box") -> Content:
    return page(f'<a href="{href}">{shown}</a>')


def from_(sender: str) -> Content:
    return replace(page(""), from_=parse_mailbox(sender))


IMAGE = '<img src="a.png" alt="Apples">'
# A mail that the rule, and no other, finds something in.
ONLY = {
    ("no_subject", "subject"): said(" "),
    ("spam_word", "subject"): said("Act now"),
    ("promotional_word", "subject"): said("A bargain of a box"),
    ("capitals", "subject"): said("WHAT IS IN THE BOX"),
    ("exclamation", "subject"): said("Apples! Pears!"),
    ("money", "subject"): said("Boxes for $$$"),
    ("pretended_reply", "subject"): said("Re: the box"),
    ("emoji", "subject"): said("🍎🍎🍐🍐 this week"),
    ("long_subject", "subject"): said("this week " * 11),
    ("spam_word", "body"): written("You have been\n selected."),
    ("promotional_word", "body"): written("It is a bargain."),
    ("capitals", "body"): written("BEAN CHARD APPLE PEAR " * 6),
    ("exclamation", "body"): written("Come! " * 4),
    ("money", "body"): written("We won $5 million."),
    ("disguised_word", "body"): written("Buy V.I.A.G.R.A here."),
    ("invisible_letters", "body"): written("app\u200bles"),
    ("no_text", "body"): Content(
        "This week", '<html lang="en"><img src="a.png" alt=""></html>', "unsubscribe"
    ),
    ("little_text", "body"): Content(
        "This week", f'<html lang="en">Apples.{IMAGE}<a href="{SHOP}/u">Unsubscribe</a></html>'
    ),
    ("many_images", "html"): page(IMAGE * 12),
    ("hidden_text", "html"): page(f'<div style="color:#fff; background:#FFF">{PROSE * 2}</div>'),
    ("active_content", "html"): page("<form></form>"),
    ("unreadable", "html"): page("<div>" * (DEPTH_MAX + 1)),
    ("too_large", "html"): page("<!-- " + "x" * 102_000 + " -->"),
    ("no_alt", "html"): page('<img src="a.png">'),
    ("no_language", "html"): Content("This week", f"<p>{PROSE}</p><p>unsubscribe</p>"),
    ("differing_link", "links"): link("https://evil.example/x", "www.bank.example"),
    ("ip_link", "links"): link("https://203.0.113.7/x"),
    ("user_in_link", "links"): link("https://bank@evil.example/x"),
    ("script_link", "links"): link("javascript:go()"),
    ("shortener", "links"): link("https://bit.ly/x"),
    ("insecure_link", "links"): link("http://shop.example/x"),
    ("many_links", "links"): page(f'<a href="{SHOP}"></a>' * 11),
    ("no_unsubscribe", "body"): Content("This week", f'<html lang="en"><p>{PROSE}</p></html>'),
    ("free_sender", "from"): from_("Ann <ann@gmail.com>"),
    ("posing_sender", "from"): from_('"ann@bank.example" <ann@mail.fieldfarm.example>'),
    ("free_reply_to", "headers"): replace(page(""), headers={"Reply-To": "Ann <ann@gmail.com>"}),
}


def test_better_mail_has_the_higher_score() -> None:
    scores = [score(mail).score for mail in CORPUS]
    assert scores[:2] == [100, 100]
    assert scores[1:] == sorted(set(scores), reverse=True), scores
    grades = [score(mail).grade for mail in CORPUS]
    assert grades[0] == grades[1] == "excellent", grades
    assert grades[-2:] == ["poor", "poor"], grades


def test_a_receipt_is_free_of_findings() -> None:
    assert score(RECEIPT).issues == ()
    assert score(RECEIPT).score == 100


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.name}-{rule.location}")
def test_each_rule_alone_takes_its_points_and_tells_why(rule: object) -> None:
    its = next(each for each in RULES if each is rule)
    scored = score(ONLY[its.name, its.location])
    assert [(issue.name, issue.location) for issue in scored.issues] == [(its.name, its.location)]
    (issue,) = scored.issues
    assert its.points <= issue.points <= its.most
    assert scored.score == 100 - issue.points
    assert scored.suggestions == (its.advice,)
    assert "{found}" not in issue.message


@pytest.mark.parametrize(
    "mail",
    [
        Content("Re: the box", PAGE % "", headers={"References": "<a@b>"}),
        link(f"{SHOP}/box", "fieldfarm.example/box"),
        link("https://www.shop.co.uk/x", "shop.co.uk"),
        link("{{shop_url}}", "www.fieldfarm.example"),
        page(f'<div style="display:none">{PROSE[:100]}</div>'),
        page("<ul>" + "<li>Apple" * 300 + "</ul>"),
        from_('"Ann @ Field Farm" <ann@mail.fieldfarm.example>'),
        Content("This week", "", f"{PROSE} Unsubscribe: {SHOP}/u", FARM),
    ],
)  # fmt: skip
def test_what_only_looks_like_a_fault_costs_nothing(mail: Content) -> None:
    assert score(mail).issues == ()


def test_a_rule_takes_no_more_than_its_most() -> None:
    many = " ".join(["act now", "no risk", "you won", "free gift", "fast cash", "make money", "no catch"])
    issues = [issue for issue in score(written(many)).issues if issue.name == "spam_word"]
    assert len(issues) == 7
    assert sum(issue.points for issue in issues) == 25


def test_a_phrase_is_not_its_words_once_more() -> None:
    (issue,) = score(said("Free  money")).issues
    assert issue.message == 'Contains "Free money"'


def test_the_dearest_comes_first_and_the_same_mail_scores_the_same() -> None:
    scored = score(PHISH)
    assert scored.issues[0].severity == "high"
    assert score(PHISH) == scored
    assert scored.score == 0  # points beyond 100 take nothing more


def test_the_score_has_a_grade_at_each_step() -> None:
    assert [replace(score(RECEIPT), score=least).grade for least, _ in GRADES] == [word for _, word in GRADES]


@pytest.mark.parametrize(
    "html",
    ["<div>" * 50_000, "<p>" + "".join(f"<b id={n}>" for n in range(900)) + "<p>x" * 60_000,
     "<svg>" + "<td>" * 30_000,
     '<i style="display:none">' * 20_000, "$1" * 200_000, "a." * 200_000, "<a href='//[" * 20_000],
    ids=["deep", "formats", "foreign", "hidden", "sums", "dots", "hrefs"],
)  # fmt: skip
def test_hostile_html_is_scored_in_time(html: str) -> None:
    began = time.process_time()
    score(Content("x", html))
    assert time.process_time() - began < 2


def test_the_guide_names_every_rule() -> None:
    guide = GUIDE.read_text()
    assert [
        rule.name for rule in RULES if f"| `{rule.name}` | {rule.location} | {rule.points}" not in guide
    ] == []


def test_a_newsletter_differs_from_itself_with_one_bad_link() -> None:
    html = NEWSLETTER.html.replace("</body>", '<a href="http://203.0.113.7">www.bank.example</a></body>')
    assert score(replace(NEWSLETTER, html=html)).score < score(NEWSLETTER).score
