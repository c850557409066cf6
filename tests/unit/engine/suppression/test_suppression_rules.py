"""The matrix: what an entry stops, and what an allow entry frees."""

import pytest

from postrider.engine.suppression import Class, Entry, Reason, Scope, Verdict, decide
from postrider.engine.suppression.rules import Going, is_allowed
from postrider.kit.ids import new_id

DOMAIN, OTHER = new_id(), new_id()
HERE, THERE = (Scope.DOMAIN, DOMAIN.hex()), (Scope.DOMAIN, OTHER.hex())
EVERYWHERE = (Scope.ORGANIZATION, "")
GOING = Going(DOMAIN, "shared")


def entry(class_: Class, scope: tuple[Scope, str] = EVERYWHERE, reason: Reason = Reason.MANUAL) -> Entry:
    return Entry(1, "ann@example.com", scope[0], scope[1], class_, reason.value, "manual")


@pytest.mark.parametrize(
    ("entries", "verdict"),
    [
        ([], Verdict.FREE),
        ([entry(Class.BLOCK)], Verdict.SUPPRESSED),
        ([entry(Class.BLOCK, HERE)], Verdict.SUPPRESSED),
        ([entry(Class.BLOCK, THERE)], Verdict.FREE),
        ([entry(Class.BLOCK, (Scope.STREAM, "shared"))], Verdict.SUPPRESSED),
        ([entry(Class.BLOCK, (Scope.STREAM, "broadcast"))], Verdict.FREE),
        ([entry(Class.ALLOW)], Verdict.FREE),
        ([entry(Class.BLOCK), entry(Class.ALLOW)], Verdict.FREE),
        ([entry(Class.BLOCK), entry(Class.ALLOW, THERE)], Verdict.SUPPRESSED),
        ([entry(Class.OPTOUT), entry(Class.ALLOW)], Verdict.UNSUBSCRIBED),
        ([entry(Class.OPTOUT, THERE)], Verdict.FREE),
        ([entry(Class.BLOCK, reason=Reason.OPERATOR), entry(Class.ALLOW)], Verdict.SUPPRESSED),
        ([entry(Class.ALLOW), entry(Class.BLOCK, reason=Reason.OPERATOR)], Verdict.SUPPRESSED),
    ],
)
def test_the_matrix_decides(entries: list[Entry], verdict: Verdict) -> None:
    assert decide(entries, GOING, optouts_stop_transactional=True)[0] is verdict


def test_an_opt_out_spares_transactional_mail_where_the_organization_says_so() -> None:
    going = Going(DOMAIN, "transactional", is_transactional=True)
    for stops, verdict in ((True, Verdict.UNSUBSCRIBED), (False, Verdict.FREE)):
        assert decide([entry(Class.OPTOUT)], going, optouts_stop_transactional=stops)[0] is verdict


def test_a_block_is_allowed_by_an_allow_that_reaches_as_far() -> None:
    for block, allow, allowed in (
        (EVERYWHERE, EVERYWHERE, True),
        (HERE, EVERYWHERE, True),
        (HERE, HERE, True),
        (HERE, THERE, False),
        (EVERYWHERE, HERE, False),
    ):
        assert is_allowed(entry(Class.BLOCK, block), [entry(Class.ALLOW, allow)]) is allowed
    assert not is_allowed(entry(Class.OPTOUT), [entry(Class.ALLOW)])
