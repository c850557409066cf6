"""Questions to DNS blocklists, and what their answers mean (RFC 5782)."""

import pytest

from postrider.kit.dnsbl import is_listed, question


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("192.0.2.99", "99.2.0.192.bl.test"),
        ("Mail.Example.test.", "mail.example.test.bl.test"),
        (
            "2001:db8:1:2:3:4:567:89ab",
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.test",
        ),
    ],
)
def test_the_question_is_the_address_backwards_or_the_name(subject: str, name: str) -> None:
    assert question(subject, "bl.test") == name


@pytest.mark.parametrize(
    ("records", "listed"),
    [
        (["127.0.0.2"], True),
        (["127.0.0.4", "127.0.0.10"], True),
        (["127.0.1.2"], True),
        ([], False),
        (["127.255.255.254"], False),  # asked by a public resolver
        (["127.0.1.255"], False),  # an address asked of a list of names
        (["127.0.0.2", "127.255.255.252"], True),
        (["203.0.113.7"], False),  # the zone is gone and its name is for sale
        (["127.0.0.2", "203.0.113.7"], False),
    ],
)
def test_an_answer_lists_unless_it_says_something_else(records: list[str], listed: bool) -> None:
    assert is_listed(records) is listed
