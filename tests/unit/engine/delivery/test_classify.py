"""What real receivers say, and what it must be taken for."""

import time
from pathlib import Path

import pytest

from postrider.engine.delivery.classify import (
    BounceClass,
    Category,
    InvalidRules,
    Verdict,
    classify,
    read_rules,
)
from postrider.engine.delivery.replies import ReplyReader, Stage

HARD, SOFT, BLOCK = BounceClass.HARD, BounceClass.SOFT, BounceClass.BLOCK
SIGNS = {"!": Verdict.BOUNCED, "~": Verdict.DEFERRED, "x": Verdict.FAILED}


def _rows() -> list[tuple[str, Stage, Verdict, BounceClass | None, Category]]:
    rows, stage = [], Stage.RCPT
    for line in Path(__file__).with_name("receivers.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            stage = Stage(line.strip("[]"))
        elif " | " in line and not line.startswith("#"):
            wire, _, meaning = line.rpartition(" | ")
            sign, name, category = meaning.split()
            bounce_class = None if name == "-" else BounceClass(name)
            rows.append((wire, stage, SIGNS[sign], bounce_class, Category(category)))
    return rows


ROWS = _rows()


@pytest.mark.parametrize(("wire", "stage", "verdict", "bounce_class", "category"), ROWS)
def test_a_reply_is_taken_for_what_it_means(
    wire: str, stage: Stage, verdict: Verdict, bounce_class: BounceClass | None, category: Category
) -> None:
    reply = ReplyReader().feed(wire.encode() + b"\r\n")[0]
    found = classify(reply.code, reply.enhanced, reply.text, stage)
    assert (found.verdict, found.bounce_class, found.category) == (verdict, bounce_class, category), (
        found.rule
    )


@pytest.mark.parametrize("wire", [row[0] for row in ROWS])
@pytest.mark.parametrize("stage", [Stage.GREETING, Stage.EHLO, Stage.MAIL])
def test_no_reply_condemns_an_address_that_was_not_named_yet(wire: str, stage: Stage) -> None:
    reply = ReplyReader().feed(wire.encode() + b"\r\n")[0]
    assert classify(reply.code, reply.enhanced, reply.text, stage).bounce_class is not HARD


@pytest.mark.parametrize(
    "text",
    ["Message expired", "Message expired -> 451 4.4.0 the host did not respond", "Message has expired"],
)
@pytest.mark.parametrize("enhanced", [None, "5.0.0", "5.4.7", "5.4.300", "5.4.316"])
@pytest.mark.parametrize("stage", [Stage.RCPT, Stage.END])
def test_a_550_for_a_message_that_expired_elsewhere_is_soft(
    text: str, enhanced: str | None, stage: Stage
) -> None:
    found = classify(550, enhanced, text, stage)
    assert (found.verdict, found.bounce_class, found.category) == (Verdict.BOUNCED, SOFT, Category.CONNECTION)


@pytest.mark.parametrize("words", ["Mailbox has expired", "The account x@y.example expired"])
def test_a_mailbox_that_expired_is_gone(words: str) -> None:
    assert classify(550, None, words, Stage.END).bounce_class is HARD


def test_the_table_is_large_enough_to_mean_something() -> None:
    assert len(ROWS) >= 80
    assert {row[4] for row in ROWS} >= set(Category) - {Category.CONNECTION, Category.PROTOCOL}


@pytest.mark.parametrize(
    ("text", "stage", "category"),
    [
        ("connection refused", Stage.CONNECT, Category.CONNECTION),
        ("timed out", Stage.RCPT, Category.CONNECTION),
        ("connection closed by the peer", Stage.END, Category.CONNECTION),
        ("TLS handshake failed: WRONG_VERSION_NUMBER", Stage.STARTTLS, Category.TLS),
        ("neither AUTH PLAIN nor LOGIN is offered", Stage.AUTH, Category.AUTH),
        ("not a reply: HTTP/1.1 400 Bad Request", Stage.GREETING, Category.PROTOCOL),
    ],
)
def test_silence_defers_and_blames_nobody(text: str, stage: Stage, category: Category) -> None:
    found = classify(None, "4.4.2", text, stage)
    assert (found.verdict, found.bounce_class, found.category) == (Verdict.DEFERRED, None, category)


def test_only_an_accepted_end_of_data_is_delivered() -> None:
    assert classify(250, "2.0.0", "queued", Stage.END).verdict is Verdict.DELIVERED
    assert classify(250, "2.1.5", "ok", Stage.RCPT).verdict is Verdict.DEFERRED


def test_a_refused_login_at_a_relay_costs_no_mail() -> None:
    found = classify(535, "5.7.8", "Authentication credentials invalid", Stage.AUTH)
    assert (found.verdict, found.category) == (Verdict.DEFERRED, Category.AUTH)


def test_trouble_with_our_address_rests_the_whole_site() -> None:
    assert classify(421, "4.7.28", "unusual rate of unsolicited mail", Stage.END).back_off_s == 3600
    assert classify(421, "4.7.0", "[TSS04] temporarily deferred", Stage.MAIL).back_off_s == 14400
    assert classify(550, "5.1.1", "user unknown", Stage.RCPT).back_off_s is None


def test_an_enhanced_prefix_covers_whole_numbers_only() -> None:
    rules = read_rules(
        '[[rule]]\nid = "a"\nenhanced = ["5.7.1"]\nclass = "block"\ncategory = "policy"\n'
        '[[rule]]\nid = "b"\nclass = "none"\ncategory = "other"\n'
    )
    assert rules[0].matches("550", "5.7.1.", "", Stage.RCPT)
    assert not rules[0].matches("550", "5.7.10.", "", Stage.RCPT)


LAST = '[[rule]]\nid = "z"\nclass = "none"\ncategory = "other"\n'


@pytest.mark.parametrize(
    "source",
    [
        "",
        "rule = 3",
        "not toml",
        LAST + LAST,
        "other = 1\n" + LAST,
        '[[rule]]\nid = "a"\nclass = "none"\ncategory = "other"\ntext = "("\n' + LAST,
        '[[rule]]\nid = "a"\nclass = "sour"\ncategory = "other"\n' + LAST,
        '[[rule]]\nid = "a"\nclass = "none"\ncategory = "weather"\n' + LAST,
        '[[rule]]\nid = "a"\nclass = "none"\n' + LAST,
        '[[rule]]\nid = "a"\nclass = "none"\ncategory = "other"\ncolour = "red"\n' + LAST,
        '[[rule]]\nid = "a"\nclass = "none"\ncategory = "other"\ncode = ["250"]\n' + LAST,
        '[[rule]]\nid = "a"\nclass = "none"\ncategory = "other"\ncode = [550]\n' + LAST,
        '[[rule]]\nid = "a"\nclass = "none"\ncategory = "other"\ncode = []\n' + LAST,
        '[[rule]]\nid = "a"\nclass = "none"\ncategory = "other"\nstage = ["lunch"]\n' + LAST,
        '[[rule]]\nid = "a"\nclass = "none"\ncategory = "other"\nverdict = "bounced"\n' + LAST,
        '[[rule]]\nid = "a"\nclass = "none"\ncategory = "other"\ncode = ["5"]\n',
    ],
)
def test_faulty_rules_are_refused_on_load(source: str) -> None:
    with pytest.raises(InvalidRules):
        read_rules(source)


def test_a_long_reply_is_classified_quickly() -> None:
    text = "user " * 4_000 + "x" * 4_000
    assert classify(550, None, text, Stage.RCPT).verdict is Verdict.BOUNCED


@pytest.mark.parametrize(
    "words",
    [
        *("user ", "absender", "utente ", "empfänger", "sender ", "your domain a.b ", "mailbox temporarily "),
        *("user x@y.example ", "recipient x@", "helo name ", "message ", "message size exceeds "),
    ],
)
def test_no_reply_can_keep_the_classifier_busy(words: str) -> None:
    classify(550, None, "warm", Stage.RCPT)
    began = time.process_time()
    classify(550, None, words * 1_000, Stage.RCPT)
    assert time.process_time() - began < 0.2
