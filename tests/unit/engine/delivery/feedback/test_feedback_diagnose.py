"""What a failure means by mail is what the same words mean in a dialogue of ours."""

from pathlib import Path

import pytest
from tests.unit.engine.delivery.feedback.reports import at_return_path, report

from postrider.engine.delivery.classify import BounceClass, Category, Classified, Verdict, classify
from postrider.engine.delivery.feedback import Bounce, Delayed
from postrider.engine.delivery.feedback.diagnose import UNEXPLAINED, diagnose, says_nothing
from postrider.engine.delivery.replies import ReplyReader, Stage

HARD, SOFT, BLOCK = BounceClass.HARD, BounceClass.SOFT, BounceClass.BLOCK
COMMANDS = {Stage.RCPT: "RCPT TO", Stage.MAIL: "MAIL FROM", Stage.DATA: "DATA", Stage.END: "end of DATA"}


def _receivers() -> list[tuple[str, Stage]]:
    rows, stage = [], Stage.RCPT
    for line in (Path(__file__).parents[1] / "receivers.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            stage = Stage(line.strip("[]"))
        elif " | " in line and not line.startswith("#"):
            rows.append((line.rpartition(" | ")[0], stage))
    return rows


RECEIVERS = [(wire, stage) for wire, stage in _receivers() if stage in COMMANDS]


def _in_session(wire: str, stage: Stage) -> Classified:
    reply = ReplyReader().feed(wire.encode() + b"\r\n")[0]
    return classify(reply.code, reply.enhanced, reply.text, stage)


@pytest.mark.parametrize(("wire", "stage"), RECEIVERS)
def test_a_reply_in_a_report_means_what_it_means_in_session(wire: str, stage: Stage) -> None:
    status = f"Final-Recipient: rfc822; x@y.example\nAction: failed\nDiagnostic-Code: smtp; {wire}\n"
    text = f"<x@y.example>: host mx.y.example said: {wire} (in reply to {COMMANDS[stage]} command)"
    found = at_return_path(report(status, text))
    meant = _in_session(wire, stage)
    assert isinstance(found, Bounce)
    assert (found.rule, found.category) == (meant.rule, meant.category)
    silent = BLOCK if meant.verdict is Verdict.FAILED else SOFT
    assert found.bounce_class == (meant.bounce_class or silent)


@pytest.mark.parametrize(("wire", "stage"), RECEIVERS)
def test_a_reply_that_exim_quotes_means_what_it_means_in_session(wire: str, stage: Stage) -> None:
    command = {Stage.RCPT: "RCPT TO:<x@y.example>", Stage.MAIL: "MAIL FROM:<>"}.get(stage, COMMANDS[stage])
    raw = (
        "From: Mailer-Daemon@mx.example\nSubject: Mail delivery failed\n\n"
        "A message that you sent could not be delivered to one or more of its\nrecipients. "
        "This is a permanent error. The following address(es) failed:\n\n  x@y.example\n"
        f"    SMTP error from remote mail server after {command}:\n    host mx.y.example: {wire}\n"
    )
    found = at_return_path(raw)
    assert isinstance(found, Bounce)
    assert (found.rule, found.final_recipient) == (_in_session(wire, stage).rule, "x@y.example")


def test_the_receivers_table_is_what_is_compared_with() -> None:
    assert len(RECEIVERS) >= 60


@pytest.mark.parametrize(
    ("text", "code", "enhanced"),
    [
        ("smtp; 550 5.1.1 <ann@example.org>... User unknown", 550, "5.1.1"),
        ("550-5.1.1 The account 550-5.1.1 you tried 550 5.1.1 does not exist", 550, "5.1.1"),
        ("smtp;550 #5.1.0 Address rejected", 550, "5.1.0"),
        ("#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##", 550, "5.1.1"),
        ("#< #5.1.1 smtp;550 5.1.1 <ann@example.org>: User unknown> #SMTP#", 550, "5.1.1"),
        ("host mx.example.org [192.0.2.25] said: 452 no room (in reply to RCPT TO command)", 452, None),
        ("5.1.0 - Unknown address error 550-'5.1.1 no such user' (delivery attempts: 0)", 550, "5.1.1"),
        ("Remote host said: 421 try later. Giving up on 192.0.2.25.", 421, None),
        ("ERROR_CODE :550, ERROR_CODE :5.1.1 <ann@example.org>... User Unknown", 550, "5.1.1"),
        ("Sorry, no mailbox here by that name. (#5.1.1)", None, "5.1.1"),
        ("<ex01.example.org #5.1.1>", None, "5.1.1"),
        ("smtp; 250 2.1.5 fine", None, None),
        ("connect to mx.example.org[192.0.2.25]:25: Connection timed out", None, None),
        ("sent by Exim 4.94.2 on port 587, after 500 seconds and 451 kB", None, None),
        ("see https://mx.example.org/550/5.1.1.550", None, None),
    ],
)
def test_codes_are_found_where_they_stand_and_nowhere_else(
    text: str, code: int | None, enhanced: str | None
) -> None:
    found = diagnose(text)
    assert (found.code, found.enhanced) == (code, enhanced)


@pytest.mark.parametrize(
    ("text", "bounce_class", "category"),
    [
        ("Unrouteable address", HARD, Category.UNKNOWN_USER),
        ("User ann (ann@example.org) not listed in Domino Directory", HARD, Category.UNKNOWN_USER),
        ("Utilisateur inconnu", HARD, Category.UNKNOWN_USER),
        ("Empfänger unbekannt", HARD, Category.UNKNOWN_USER),
        ("宛先不明", HARD, Category.UNKNOWN_USER),
        ("Domain name example.org not found", HARD, Category.DOMAIN_INVALID),
        ("Host not found, try again", SOFT, Category.CONNECTION),
        ("Quota exceeded for the user ann", SOFT, Category.MAILBOX_FULL),
        ("retry timeout exceeded", SOFT, Category.CONNECTION),
        ("connection refused", SOFT, Category.CONNECTION),
        ("all hosts for 'example.org' have been failing for a long time", SOFT, Category.CONNECTION),
        ("A virus was found in the attachment", BLOCK, Category.CONTENT),
        ("The message is too large", BLOCK, Category.TOO_LARGE),
        ("The group only accepts mail from its members", BLOCK, Category.POLICY),
        ("Something else went wrong", SOFT, Category.OTHER),
        ("", SOFT, Category.OTHER),
    ],
)
def test_a_systems_own_words_have_a_meaning(text: str, bounce_class: BounceClass, category: Category) -> None:
    found = diagnose(text)
    assert (found.bounce_class, found.category) == (bounce_class, category), found.rule


def test_a_status_alone_is_judged_by_the_same_rules() -> None:
    assert diagnose("", "5.1.1").bounce_class is HARD
    assert diagnose("", "5.2.2").bounce_class is SOFT
    assert diagnose("", "5.7.1").bounce_class is BLOCK
    assert diagnose("", "4.4.7").bounce_class is SOFT


def test_a_code_within_the_text_goes_before_the_status_beside_it() -> None:
    found = diagnose("smtp; 552 5.2.2 mailbox full", "5.1.1")
    assert (found.enhanced, found.bounce_class) == ("5.2.2", SOFT)


def test_what_nobody_can_explain_is_never_hard() -> None:
    for text, status in (("", None), ("", "5.0.0"), ("bla", "5.0.0"), ("smtp; ", None)):
        found = diagnose(text, status)
        assert (found.rule, found.bounce_class) == (UNEXPLAINED, SOFT)


def test_a_temporary_refusal_of_an_address_that_lasted_is_no_dead_address() -> None:
    assert (
        diagnose("450 4.1.1 <ann@example.org>: Recipient address rejected: User unknown").bounce_class is SOFT
    )


def test_a_bare_refusal_condemns_an_address_only_where_it_was_said_of_the_address() -> None:
    assert diagnose("550 no").bounce_class is BLOCK
    assert diagnose("550 no", beside="(in reply to RCPT TO command)").bounce_class is HARD
    assert diagnose("550 no", beside="(in reply to end of DATA command)").bounce_class is BLOCK
    assert diagnose("550 no", beside=">>> RCPT To:<ann@example.org>").bounce_class is HARD


def test_a_code_that_a_relay_made_up_when_it_gave_up_blames_nobody() -> None:
    found = diagnose("smtp;550 5.4.316 Message expired, cannot connect to server(ConnectionRefused)")
    assert (found.code, found.bounce_class) == (550, SOFT)


@pytest.mark.parametrize(
    ("diagnostic", "is_empty"),
    [
        *(("", True), ("smtp;", True), ("X-Unix; 77", True), ("X-Unix; 255", True)),
        *(("smtp; 550", False), ("X-Notes; gone", False)),
    ],
)
def test_a_diagnostic_may_say_nothing(diagnostic: str, is_empty: bool) -> None:
    assert says_nothing(diagnostic) is is_empty


def test_a_delay_keeps_what_was_said() -> None:
    status = (
        "Final-Recipient: rfc822; ann@example.org\nAction: delayed\nStatus: 4.2.2\n"
        "Diagnostic-Code: smtp; 452 4.2.2 full\nWill-Retry-Until: Sun, 22 Nov 2026 09:12:41 +0000\n"
    )
    found = at_return_path(report(status))
    assert isinstance(found, Delayed)
    assert (found.code, found.enhanced, found.retried_until) == (452, "4.2.2", 1_795_338_761_000)
