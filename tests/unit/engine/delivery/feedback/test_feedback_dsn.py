"""The fields of a delivery status, as systems write them and as RFC 3464 and RFC 6533 want them."""

import pytest
from tests.unit.engine.delivery.feedback.reports import at_return_path, report

from postrider.engine.delivery.classify import BounceClass
from postrider.engine.delivery.feedback import Action, Bounce, Delivered
from postrider.engine.delivery.feedback.dsn import (
    RECIPIENTS_MAX,
    find_loose_status,
    read_address,
    read_date,
    read_status,
)

DEAD = "Final-Recipient: rfc822; {}\nAction: failed\nStatus: 5.1.1\n\n"
FULL = "Final-Recipient: rfc822; {}\nAction: failed\nStatus: 5.2.2\n\n"
TAKEN = "Final-Recipient: rfc822; {}\nAction: delivered\nStatus: 2.0.0\n\n"
LATE = "Final-Recipient: rfc822; {}\nAction: delayed\nStatus: 4.4.1\n\n"


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("rfc822; ann@example.org", "ann@example.org"),
        ("RFC822;<ann@example.org>", "ann@example.org"),
        ("rfc822; ann@example.org (Ann)", "ann@example.org"),
        ("ann@example.org", "ann@example.org"),
        ("<ann@example.org>", "ann@example.org"),
        ("rfc822; Ann <ann@example.org>", "ann@example.org"),
        ('rfc822; "ann.lee"@example.org', '"ann.lee"@example.org'),
        ("rfc822; ann+2Btag@example.org", "ann+tag@example.org"),
        ("rfc822; ann+2B+3Dtag@example.org", "ann+=tag@example.org"),
        ("rfc822; ann+20off@example.org", "ann+20off@example.org"),
        ("rfc822; ann+2B+tag@example.org", "ann+2B+tag@example.org"),
        ("utf-8; jörg@bücher.example", "jörg@bücher.example"),
        (r"utf-8; j\x{F6}rg@b\x{FC}cher.example", "jörg@bücher.example"),
        (r"utf-8; \x{1F4EE}@example.org", "📮@example.org"),
        ("X400; c=US;a= ;p=EXAMPLE;s=Ann", None),
        ("EX; /o=Example/ou=Site/cn=Recipients/cn=ann", None),
        ("rfc822;", None),
        ("", None),
    ],
)
def test_an_address_is_read_in_all_its_types(value: str, address: str | None) -> None:
    assert read_address(value) == address


def test_an_embedded_character_that_is_none_is_replaced() -> None:
    assert read_address(r"utf-8; \x{D800}\x{FFFFFF}a@example.org") == "\ufffd\ufffda@example.org"


@pytest.mark.parametrize(
    ("word", "action"),
    [
        ("failed", Action.FAILED),
        ("Failure", Action.FAILED),
        ("failed (permanent)", Action.FAILED),
        ("error", Action.FAILED),
        ("DELAYED", Action.DELAYED),
        ("delivered", Action.DELIVERED),
        ("relayed", Action.RELAYED),
        ("expanded", Action.EXPANDED),
    ],
)
def test_an_action_is_known_by_its_beginning(word: str, action: Action) -> None:
    status = read_status(f"Final-Recipient: rfc822; ann@example.org\nAction: {word}\n".encode())
    assert status is not None
    assert status.recipients[0].action is action


@pytest.mark.parametrize(
    ("field", "action"),
    [
        ("Status: 5.1.1", Action.FAILED),
        ("Status: 4.4.1", Action.DELAYED),
        ("Status: 2.0.0", Action.DELIVERED),
        ("Diagnostic-Code: smtp; 550 gone", Action.FAILED),
    ],
)
def test_without_an_action_the_code_says_it(field: str, action: Action) -> None:
    status = read_status(f"Final-Recipient: rfc822; ann@example.org\n{field}\n".encode())
    assert status is not None
    assert status.recipients[0].action is action


def test_a_group_that_says_nothing_is_no_recipient() -> None:
    assert read_status(b"Final-Recipient: rfc822; ann@example.org\n") is None
    assert read_status(b"Reporting-MTA: dns; mx.example.org\n\nArrival-Date: today\n") is None
    assert read_status(b"") is None


def test_groups_may_lack_their_empty_lines() -> None:
    groups = (DEAD.format("ann@example.org") + LATE.format("bob@example.org")).replace("\n\n", "\n")
    status = read_status(f"Reporting-MTA: dns; mx.example.org\n{groups}".encode())
    assert status is not None
    assert status.reporting_mta == "mx.example.org"
    assert [each.final for each in status.recipients] == ["ann@example.org", "bob@example.org"]
    assert [each.action for each in status.recipients] == [Action.FAILED, Action.DELAYED]


def test_a_diagnostic_goes_on_over_lines_that_are_not_indented() -> None:
    status = read_status(
        DEAD.format("ann@example.org").strip().encode() + b"\nDiagnostic-Code: smtp; 550\nno\n"
    )
    assert status is not None
    assert status.recipients[0].diagnostic == "smtp; 550 no"


def test_a_status_may_stand_in_a_text() -> None:
    text = f"Sorry.\n\nReporting-MTA: dns; mx.example.org\n\n{DEAD.format('ann@example.org')}"
    status = find_loose_status(text)
    assert status is not None
    assert (status.reporting_mta, status.recipients[0].final) == ("mx.example.org", "ann@example.org")
    assert find_loose_status("Your status is unknown.") is None


def test_only_so_many_recipients_are_read() -> None:
    status = read_status("".join(DEAD.format(f"a{n}@example.org") for n in range(100)).encode())
    assert status is not None
    assert len(status.recipients) == RECIPIENTS_MAX


@pytest.mark.parametrize(
    ("groups", "final", "bounce_class"),
    [
        ([DEAD], "a0@example.org", BounceClass.HARD),
        ([DEAD, DEAD], "a0@example.org", BounceClass.HARD),
        ([DEAD, FULL], "a1@example.org", BounceClass.SOFT),
        ([TAKEN, DEAD], "a1@example.org", BounceClass.SOFT),
        ([LATE, DEAD], "a1@example.org", BounceClass.SOFT),
    ],
)
def test_an_address_is_dead_only_where_all_that_it_leads_to_is(
    groups: list[str], final: str, bounce_class: BounceClass
) -> None:
    status = "".join(group.format(f"a{n}@example.org") for n, group in enumerate(groups))
    found = at_return_path(report(status))
    assert isinstance(found, Bounce)
    assert (found.final_recipient, found.bounce_class) == (final, bounce_class)


def test_a_delivery_is_told_where_nothing_failed() -> None:
    found = at_return_path(report(TAKEN.format("ann@example.org")))
    assert isinstance(found, Delivered)
    assert (found.action, found.final_recipient) == (Action.DELIVERED, "ann@example.org")


def test_a_failure_with_a_status_of_success_is_a_failure() -> None:
    found = at_return_path(report("Final-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 2.0.0\n"))
    assert isinstance(found, Bounce)
    assert (found.enhanced, found.bounce_class) == (None, BounceClass.SOFT)


@pytest.mark.parametrize(
    "value", ["", "yesterday", "Sun, 99 Nov 2026 99:12:41 +0000", "1", "Mon, 1 Jan 0000"]
)
def test_what_is_no_date_is_none(value: str) -> None:
    assert read_date(value) is None
