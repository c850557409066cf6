"""The tables of patterns hold what they must, and a broken one says where."""

import re

import pytest

from postrider.engine.delivery.feedback.tables import (
    InvalidTables,
    auto_replies,
    bounces,
    phrase_for,
    read_auto_replies,
    read_bounces,
)

REST = """
[returned]
lines = ['^---']
[refused]
receipts = ['rejected']
[delayed]
text = ['delayed']
[failed]
senders = ['mailer-daemon']
subjects = ['failure']
"""
GENERIC = "[[shape]]\nid = 'generic'\nopens = 'failed'\n"
PHRASE = "[[phrase]]\nid = 'p'\ntext = 'full'\nclass = 'soft'\ncategory = 'mailbox_full'\n"


def test_the_shipped_tables_are_read() -> None:
    assert len(bounces().shapes) >= 40
    assert len(bounces().phrases) >= 10
    assert len(auto_replies().signs) == 3


def test_a_small_table_is_read() -> None:
    table = read_bounces(GENERIC + PHRASE + REST)
    assert [shape.id for shape in table.shapes] == ["generic"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("[[shape]", "Expected"),
        (GENERIC + PHRASE, "expected delayed"),
        (GENERIC + PHRASE + REST + "[more]\n", "nothing else"),
        (GENERIC + "colour = 'red'\n" + PHRASE + REST, "generic: a key"),
        ("[[shape]]\nid = 'generic'\n" + PHRASE + REST, "generic: a key"),
        (GENERIC.replace("'failed'", "'(failed'") + PHRASE + REST, "missing \\)"),
        (GENERIC.replace("generic", "other") + PHRASE + REST, "the last shape"),
        (GENERIC + PHRASE.replace("'p'", "'generic'") + REST, "one id"),
        (GENERIC + PHRASE + "before = 'lunch'\n" + REST, "p: before"),
        (GENERIC + PHRASE.replace("'soft'", "'mild'") + REST, "p: "),
        (GENERIC + "action = 'lost'\n" + PHRASE + REST, "generic: "),
    ],
)
def test_a_broken_table_says_where(source: str, words: str) -> None:
    with pytest.raises(InvalidTables, match=words):
        read_bounces(source)


def test_a_broken_table_of_auto_replies_says_so() -> None:
    with pytest.raises(InvalidTables, match="expected challenge"):
        read_auto_replies("[vacation]\nheaders = []\nsubjects = []\n")


def test_a_space_stands_for_any_white_space() -> None:
    shape = next(shape for shape in bounces().shapes if shape.id == "exim")
    wrapped = "A message that you sent could\nnot be delivered to one or\n  more of its recipients."
    assert shape.opens.search(wrapped)


def test_every_pattern_of_a_shape_compiles_with_its_groups_numbered() -> None:
    for shape in bounces().shapes:
        names = {name.rstrip("_0123456789") for name in shape.recipient.groupindex}
        assert names <= {"recipient"}, shape.id
        assert isinstance(shape.opens, re.Pattern)


def test_a_phrase_beside_a_code_counts_only_where_it_goes_before_codes() -> None:
    assert phrase_for("mailbox is full", bare=False) is None
    assert phrase_for("Message expired", bare=False) is not None
