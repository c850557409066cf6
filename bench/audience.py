"""Questions to the audience of one organization: 1,000,000 contacts, 20,000,000 engagements.

Each store is filled once, by set-based SQL, and asked question after question: pages of every filter in every
order, searches by a property, previews of every kind of condition; then a tag is renamed, two are merged, and
a segment is refreshed. A tenth of the contacts on PostgreSQL, whose filling would take too long.
"""

import resource
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import uvloop

from bench import postgres, report
from bench.audience_fill import LINK, MESSAGES, ORGANIZATION, campaign_id, created_ms, fill, group_id
from bench.report import Options, Sample, Verdict
from postrider.db.database import Database, Tx
from postrider.engine.audience import contacts, properties, segments, tags
from postrider.engine.audience.model import ContactFilter, ContactSort, Stage, Status
from postrider.engine.audience.properties import Operator
from postrider.engine.principal import Principal
from postrider.kit import clock

CONTACTS = 1_000_000
ON_POSTGRESQL = 100_000
PAGE = 50
ASKED, ASKED_S = 5, 3.0  # times each at most, of which the median counts; no more once it took so long
PROMISES = {"page": 50, "search": 50, "preview": 1_000, "rename": 50, "merge": 2_000, "refresh": 10_000}  # ms
PRINCIPAL = Principal(ORGANIZATION)
DAYS = (7, 30, 90, 365)
Question = Callable[[Tx], object]


def run(options: Options) -> list[Verdict]:
    count = options.count(CONTACTS)
    contenders: dict[str, Callable[[], Sample]] = {"SQLite": partial(on_sqlite, count)}
    if postgres.programs():
        contenders["PostgreSQL"] = partial(on_postgresql, options.count(ON_POSTGRESQL))
    results = report.interleave(contenders, 1)  # to fill takes minutes, and each question is asked often
    return [
        report.at_most(f"{name}: {question}", PROMISES[question.partition(" ")[0]], samples[0][question])
        for name, samples in results.items()
        for question in samples[0]
        if question.partition(" ")[0] in PROMISES
    ]


def on_sqlite(count: int) -> Sample:
    with TemporaryDirectory() as folder:
        return measure(f"sqlite:///{folder}/postrider.db", count)


def on_postgresql(count: int) -> Sample:
    with postgres.Cluster() as cluster:
        return measure(cluster.url, count, cluster.cpu_seconds)


def measure(url: str, count: int, server_cpu: Callable[[], float] = lambda: 0.0) -> Sample:
    """Medians in ms; CPU of the process and the server, which others do not change, is told beside them."""
    db, now = Database(url), clock.now_ms()
    try:
        fill(db, count, now)
        return ask(db, count, now, server_cpu)
    finally:
        db.close()


def ask(db: Database, count: int, now: int, server_cpu: Callable[[], float]) -> Sample:
    sample: Sample = {}
    before = _peak_mb()

    def cpu() -> float:
        return time.process_time() + server_cpu()

    for name, question in (*pages(count, now), *searches(), *previews()):
        taken = list(_asked(db, question, cpu))
        wall, used = (statistics.median(each) * 1_000 for each in zip(*taken, strict=True))
        print(f"    {name:<66} {wall:9,.1f} ms  CPU {used:9,.1f} ms", flush=True)
        sample[name] = wall
    for name, change in changes().items():
        started, used = time.monotonic(), cpu()
        told = change(db)
        sample[name] = (time.monotonic() - started) * 1_000
        print(f"    {name:<66} {sample[name]:9,.1f} ms  CPU {(cpu() - used) * 1_000:9,.1f} ms  {told}")
    sample["MB more than before"] = _peak_mb() - before
    return sample


def pages(count: int, now: int) -> Iterator[tuple[str, Question]]:
    """Of every filter in every order, and their totals."""
    for name, asked in filters(count, now).items():
        for sort in ContactSort:
            found = partial(contacts.page, principal=PRINCIPAL, asked=asked, sort=sort, limit=PAGE)
            yield f"page of {name} by {sort.name.lower()}", found
        yield f"page of {name}: total", partial(contacts.count, principal=PRINCIPAL, asked=asked)


def filters(count: int, now: int) -> dict[str, ContactFilter]:
    common = {
        "all": ContactFilter(),
        "a common status": ContactFilter(status=(Status.SUBSCRIBED,)),
        "a rare status": ContactFilter(status=(Status.COMPLAINED,)),
        "two statuses": ContactFilter(status=(Status.BOUNCED, Status.UNSUBSCRIBED)),
        "a common source": ContactFilter(source="import"),
        "no such source": ContactFilter(source="nowhere"),
        "a rare stage": ContactFilter(stage=(Stage.EVANGELIST,)),
        "two stages": ContactFilter(stage=(Stage.LEAD, Stage.CUSTOMER)),
        "a common part": ContactFilter(search="gmail"),
        "a part of some": ContactFilter(search="cleoa.smith"),
        "a rare part": ContactFilter(search="berg123470@"),
        "no such part": ContactFilter(search="zzzyx"),
        "two letters": ContactFilter(search="an"),
        "a common tag": ContactFilter(tags=("half",)),
        "a rare tag": ContactFilter(tags=("rare",)),
        "two tags": ContactFilter(tags=("half", "tenth")),
        "tags of nobody": ContactFilter(tags=("tenth", "other tenth")),
        "a list": ContactFilter(list_id=group_id("third")),
        "a segment": ContactFilter(segment_id=group_id("quarter")),
        "the first days": ContactFilter(created_before=created_ms(0, count, now) + clock.DAY),
        "the last days": ContactFilter(created_after=now - 3 * clock.DAY),
        "addresses": ContactFilter(emails=tuple(f"nobody{number}@far.test" for number in range(100))),
    }
    together = {
        "a tag and a part": ContactFilter(tags=("half",), search="gmail"),
        "a tag and a part of some": ContactFilter(tags=("tenth",), search="cleoa.smith"),
        "a tag and a status": ContactFilter(tags=("half",), status=(Status.PENDING,)),
        "a list, a tag and a status": ContactFilter(
            list_id=group_id("third"), tags=("tenth",), status=(Status.SUBSCRIBED,)
        ),
        "a part and a status": ContactFilter(search="gmail", status=(Status.BOUNCED,)),
        "a source and a part": ContactFilter(source="api", search="gmail"),
        "the first days and a tag": ContactFilter(
            created_before=created_ms(0, count, now) + clock.DAY, tags=("half",)
        ),
    }
    return common | together


def searches() -> Iterator[tuple[str, Question]]:
    """By a property, with its total."""
    asked: tuple[tuple[str, Operator, Any], ...] = (
        ("plan", Operator.EQUAL, "pro"),
        ("plan", Operator.UNEQUAL, "pro"),
        ("plan", Operator.EXISTS, None),
        ("plan", Operator.CONTAINS, "r"),
        ("plan", Operator.EQUAL, "nothing"),
        ("spent", Operator.ABOVE, 5_000),
        ("spent", Operator.AT_LEAST, 9_999),
        ("spent", Operator.BELOW, 5),
        ("spent", Operator.AT_MOST, 5_000),
        ("spent", Operator.UNEQUAL, 5_000),
        ("company", Operator.EQUAL, "company 77 ltd"),
        ("company", Operator.CONTAINS, "12345 "),
        ("company", Operator.CONTAINS, "company"),
        ("company", Operator.CONTAINS, "zzz"),
        ("hobbies", Operator.EQUAL, "chess"),
        ("hobbies", Operator.UNEQUAL, "chess"),
        ("hobbies", Operator.CONTAINS, "ing"),
    )
    for key, operator, value in asked:
        told = "" if value is None else str(value)
        found = partial(
            properties.search, principal=PRINCIPAL, name=key, operator=operator, value=value, limit=PAGE
        )
        yield f"search {key} {operator.value} {told}".rstrip(), found


def previews() -> Iterator[tuple[str, Question]]:
    for name, items in conditions().items():
        criteria = segments.parse({"match": "all", "items": items})
        yield f"preview {name}", partial(segments.preview, principal=PRINCIPAL, criteria=criteria)


def conditions() -> dict[str, list[dict[str, Any]]]:
    """One of each kind, common and rare, and some together."""
    half = [campaign_id(number).hex() for number in range(0, 4 * MESSAGES, 2)]
    singles: dict[str, dict[str, Any]] = {
        "status": {"field": "status", "op": "equals", "value": "subscribed"},
        "address contains": {"field": "email", "op": "contains", "value": "gmail"},
        "address ends with": {"field": "email", "op": "ends_with", "value": "@gmail.test"},
        "city contains": {"field": "city", "op": "contains", "value": "y 39"},
        "first name is": {"field": "first_name", "op": "equals", "value": "anna"},
        "source": {"field": "source", "op": "equals", "value": "api"},
        "score": {"field": "score", "op": "greater", "value": 50},
        "sent count": {"field": "opened_count", "op": "greater_or_equal", "value": 5},
        "created within": {"field": "created_at", "op": "within_days", "value": 30},
        "last opened within": {"field": "last_opened_at", "op": "within_days", "value": 30},
        "a common tag": {"field": "tags", "op": "in", "value": ["half"]},
        "no tag": {"field": "tags", "op": "is_empty"},
        "not a common tag": {"field": "tags", "op": "not_in", "value": ["half"]},
        "all tags": {"field": "tags", "op": "has_all", "value": ["half", "tenth"]},
        "part of a tag": {"field": "tags", "op": "contains", "value": ["t"]},
        "a list": {"field": "lists", "op": "in", "value": [group_id("third").hex()]},
        "not a segment": {"field": "segments", "op": "not_in", "value": [group_id("quarter").hex()]},
        "property is": {"field": "property", "key": "plan", "op": "equals", "value": "pro"},
        "property is not": {"field": "property", "key": "plan", "op": "not_equals", "value": "pro"},
        "property range": {"field": "property", "key": "spent", "op": "greater", "value": 2_000},
        "property narrow range": {"field": "property", "key": "spent", "op": "less", "value": 100},
        "property contains": {"field": "property", "key": "company", "op": "contains", "value": "y 12"},
        "property exists": {"field": "property", "key": "company", "op": "exists"},
        "element of a list": {"field": "property", "key": "hobbies", "op": "contains", "value": "ing"},
        "opened ever": {"field": "opened", "op": "at_least", "value": 1},
        "clicked a link": {"field": "clicked", "op": "at_least", "value": 1, "link": f"{LINK}1"},
        "opened a campaign": {
            "field": "opened", "op": "at_least", "value": 1, "campaigns": [campaign_id(40).hex()],
        },
        "not opened a campaign": {
            "field": "opened", "op": "exactly", "value": 0, "campaigns": [campaign_id(40).hex()],
        },
        "opened 2 of half of the campaigns": {
            "field": "opened", "op": "at_least", "value": 2, "campaigns": half,
        },
        "sent half of the campaigns in a year": {
            "field": "sent", "op": "at_least", "value": 3, "campaigns": half, "days": 365,
        },
    }  # fmt: skip
    singles |= windows()
    together = {
        "a tag, a property and opened": [
            singles["a common tag"], singles["property is"], singles["opened by people in 90 days"],
        ],
        "subscribed, sent 3, opened none": [
            singles["status"], singles["sent 3 in 90 days"],
            {"field": "opened", "op": "exactly", "value": 0, "days": 90, "humans_only": True},
        ],
    }  # fmt: skip
    return {name: [item] for name, item in singles.items()} | together


def windows() -> dict[str, dict[str, Any]]:
    """Conditions on what happened in the last days."""
    singles: dict[str, dict[str, Any]] = {}
    for days in DAYS:
        for field in ("sent", "opened", "clicked"):
            asked = {"field": field, "op": "at_least", "days": days}
            singles[f"{field} in {days} days"] = {**asked, "value": 1}
            singles[f"{field} 3 in {days} days"] = {**asked, "value": 3}
            if field != "sent":
                singles[f"{field} by people in {days} days"] = {**asked, "value": 1, "humans_only": True}
                singles[f"{field} 2 by people in {days} days"] = {**asked, "value": 2, "humans_only": True}
    return singles


def changes() -> dict[str, Callable[[Database], object]]:
    """What writes, each once; what they answer."""
    criteria = segments.parse({"items": [conditions()["opened by people in 90 days"][0]]})

    def refresh(db: Database) -> object:
        made = db.write_now(segments.create, PRINCIPAL, "Readers", criteria)
        return uvloop.run(segments.refresh(db, PRINCIPAL, made.id))

    return {
        "rename of a tag": lambda db: db.write_now(tags.rename, PRINCIPAL, "half", "one half").contacts,
        "merge of two tags": lambda db: (
            db.write_now(tags.merge, PRINCIPAL, ["tenth", "other tenth"], "fifth").affected
        ),
        "refresh of a segment": refresh,
    }


def _asked(db: Database, question: Question, cpu: Callable[[], float]) -> Iterator[tuple[float, float]]:
    """Seconds of the wall and of the CPU, each time."""
    first = time.monotonic()
    for _ in range(ASKED):
        started, used = time.monotonic(), cpu()
        db.read_now(question)
        yield time.monotonic() - started, cpu() - used
        if time.monotonic() - first > ASKED_S:
            return


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
