"""The content score: 100 less the points of every rule that found something, with each finding told. Pure."""

from collections import Counter

from postrider.engine.deliverability.content import Content, read
from postrider.engine.deliverability.rules import RULES, Rule
from postrider.kit.record import record

FOUND_MAX_CHARS = 60  # of what was found, as it is told
TOLD_MAX = 10  # findings of one rule
GRADES = ((90, "excellent"), (75, "good"), (50, "fair"), (0, "poor"))


@record
class Issue:
    """A finding; one that comes when its rule has taken all it may costs nothing more."""

    name: str
    location: str
    severity: str  # high, medium, low
    points: int
    message: str


@record
class Score:
    score: int  # 0 to 100, higher is better; no probability
    issues: tuple[Issue, ...]  # the dearest first
    suggestions: tuple[str, ...]  # in the same order, each once

    @property
    def grade(self) -> str:
        return next(word for least, word in GRADES if self.score >= least)


def score(content: Content) -> Score:
    """The same content has the same score, always."""
    facts = read(content)
    found = [(rule, _issues(rule, list(rule.find(facts)))) for rule in RULES]
    held = sorted(((rule, issues) for rule, issues in found if issues), key=lambda each: -_taken(each[1]))
    return Score(
        score=max(0, 100 - sum(_taken(issues) for _, issues in held)),
        issues=tuple(issue for _, issues in held for issue in issues),
        suggestions=tuple(dict.fromkeys(rule.advice for rule, _ in held)),
    )


def _taken(issues: list[Issue]) -> int:
    return sum(issue.points for issue in issues)


def _issues(rule: Rule, found: list[str]) -> list[Issue]:
    """One for each thing found, however often, with the points of all its times."""
    issues, left = [], rule.most
    for one, times in Counter(found[:TOLD_MAX]).items():
        points = min(left, rule.points * times)
        left -= points
        message = rule.message.replace("{found}", one[:FOUND_MAX_CHARS])
        issues.append(Issue(rule.name, rule.location, rule.severity, points, message))
    return issues
