"""Custom headers: what senders may set, in which forms, within which limits."""

from typing import Any

import pytest

from postrider.engine.content.headers import check_custom_headers, check_subject
from postrider.engine.errors import Invalid


@pytest.mark.parametrize(
    "given",
    [{"X-A": "1", "X-B": "ü"}, [["X-A", "1"], ["X-B", "ü"]], [{"name": "X-A", "value": "1"}, ("X-B", "ü")]],
)
def test_every_form_gives_name_and_value(given: Any) -> None:
    assert check_custom_headers(given) == [["X-A", "1"], ["X-B", "ü"]]


def test_none_is_no_headers_and_list_unsubscribe_is_allowed() -> None:
    assert check_custom_headers(None) == []
    assert check_custom_headers({"List-Unsubscribe": "<https://u.test>"})


@pytest.mark.parametrize(
    "given",
    [
        {name: "x"}
        for name in ("From", "sender", "TO", "Cc", "Bcc", "Subject", "Date", "Message-ID", "Return-Path")
    ]
    + [
        {name: "x"}
        for name in ("Received", "DKIM-Signature", "Content-Type", "MIME-Version", "ARC-Seal", "Resent-To")
    ]
    + [{"X A": "x"}, {"X:": "x"}, {"": "x"}, {"X" * 78: "x"}, {"X-Ü": "x"}]
    + [
        {"X": "a\r\nBcc: b@c.test"},
        {"X": "a\n"},
        {"X": "\0"},
        {"X": 1},
        {"X": None},
        [["X"]],
        ["X: y"],
        {"X": "a" * 2_001},
    ]
    + [{f"X-{number}": "x" for number in range(51)}],
)
def test_what_may_not_be_set_is_refused(given: Any) -> None:
    with pytest.raises(Invalid):
        check_custom_headers(given)


def test_a_subject_holds_no_line_break() -> None:
    assert check_subject("Grüße aus Köln") == "Grüße aus Köln"
    with pytest.raises(Invalid) as caught:
        check_subject("a\r\nBcc: x@y.test")
    assert caught.value.facts["field"] == "subject"
