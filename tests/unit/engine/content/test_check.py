"""A campaign's content is looked over whole: every fault with its place, every field that stays empty."""

import pytest
from tests.unit.engine.content.factories import make_personal

from postrider.engine.content.check import OURS, check_campaign
from postrider.engine.content.compose import variables_of
from postrider.engine.content.model import Parts

KNOWN = {"email", "first_name"}


def test_what_can_be_sent_has_no_faults() -> None:
    parts = Parts(
        "<p>Hi {{ first_name | default: 'you' }} {{unsubscribe}} {{ view_in_browser }}</p>", "{{ email }}"
    )
    checked = check_campaign("Hello {{ first_name }}", parts, known=KNOWN)
    assert (checked.faults, checked.unknown) == ([], [])


def test_all_faults_are_told_with_line_and_column() -> None:
    parts = Parts("<p>\n  {% if x %}</p>", "one\ntwo {{ a | nothing }}")
    checked = check_campaign("Hello {{ name", parts, known=KNOWN)
    told = [(f.code, f.facts["field"], f.facts["line"], f.facts["column"]) for f in checked.faults]
    assert [place[:2] for place in told] == [
        ("template_fault", "subject"), ("template_fault", "html"), ("template_fault", "text"),
    ]  # fmt: skip
    assert [place[2] for place in told] == [1, 2, 2]
    assert all(place[3] >= 1 for place in told)


@pytest.mark.parametrize(
    ("subject", "parts", "fields"),
    [
        ("", Parts("x"), ["subject"]), ("  ", Parts("x"), ["subject"]), ("a\nb", Parts("x"), ["subject"]),
        ("x", Parts(), ["html"]), ("x", Parts(" \n", ""), ["html"]), ("", Parts(), ["subject", "html"]),
        ("x", Parts(None, "text"), []), ("x", Parts("html"), []),
    ],
)  # fmt: skip
def test_a_subject_and_a_body_are_required(subject: str, parts: Parts, fields: list[str]) -> None:
    assert [fault.facts["field"] for fault in check_campaign(subject, parts, known=()).faults] == fields


def test_fields_that_nobody_knows_are_listed_once_and_in_order() -> None:
    parts = Parts(
        "{{ plan }} {{ plan.name }} {% for x in orders %}{{ x.id }}{% endfor %}", "{{ zip }} {{ email }}"
    )
    checked = check_campaign("{{ Plan }}", parts, known=KNOWN)
    assert (checked.faults, checked.unknown) == ([], ["Plan", "orders", "plan", "zip"])


def test_what_every_recipient_has_is_known() -> None:
    assert set(variables_of(make_personal())) == OURS
