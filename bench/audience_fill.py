"""A million contacts with tags, lists, properties and twenty engagements each, written as set-based SQL.

What each contact has follows from its number, so that both databases hold the same. Indexes of the big tables
are made after their rows.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import accumulate
from typing import Any

from sqlalchemy import Index, Table

from postrider.db import migrate
from postrider.db.database import Database, Tx
from postrider.db.portable import run
from postrider.engine.audience.contacts.store import row_range
from postrider.engine.audience.model import EngagementKind, Stage, Status
from postrider.engine.audience.properties.encode import encode
from postrider.engine.audience.tables import (
    contact_tags,
    contacts,
    engagements,
    list_contacts,
    lists,
    property_keys,
    property_values,
    segment_contacts,
    segments,
    tags,
)
from postrider.kit import clock, json
from postrider.kit.ids import RowId

ORGANIZATION = 1
MESSAGES = 14  # to each contact, the newest two days old, four weeks less two days between them
APART = 26 * clock.DAY
NEWEST = 2 * clock.DAY
KEYS = {"plan": 1, "spent": 2, "company": 3, "hobbies": 4}  # property keys and their numbers
LINK = "https://shop.test/offer/"
# Whom each group holds: every how many-th number, and from which on.
GROUPS = {
    "tags": {
        "half": (2, 0), "tenth": (10, 3), "other tenth": (10, 4), "hundredth": (100, 7), "rare": (5_000, 11),
    },
    "lists": {"third": (3, 0), "rare list": (2_000, 5)},
    "segments": {"quarter": (4, 1)},
}  # fmt: skip
PLANS = ("free", "pro", "team", "enterprise")
HOBBIES = ("chess", "running", "painting", "sailing", "cooking")
FIRST = [f"{a}{b}" for a in ("Ann", "Ben", "Cleo", "Dora", "Emil") for b in ("a", "e", "ik", "o", "us")]
LAST = [f"{a}{b}" for a in ("Smi", "Kowal", "Gar", "Lind", "Ross") for b in ("th", "ski", "cia", "berg", "i")]
DOMAINS = ["gmail.test", "web.test", *(f"company{number}.test" for number in range(300))]
SOURCES = ("api", "import", "import", "signup_form")
_NUMBER = f"(c.search_row - {row_range(ORGANIZATION)[0]})"  # of a contact


def group_id(name: str) -> RowId:
    return name.encode().ljust(16, b".")[:16]


def campaign_id(number: int) -> RowId:
    """Of 4 x MESSAGES campaigns, each sent to a quarter of the contacts."""
    return b"%016d" % number


def fill(db: Database, count: int, now: int) -> None:
    """A new store of so many contacts, as they are at `now` (ms)."""
    migrate.upgrade(db)
    indexes = _drop_indexes(db)
    db.write_now(_fill_contacts, count, now)
    for links, groups in ((contact_tags, tags), (list_contacts, lists), (segment_contacts, segments)):
        db.write_now(_fill_groups, links, groups, count, now)
    for key in KEYS:
        db.write_now(_fill_values, key, count, now)
    for kind in EngagementKind:
        db.write_now(_engage, kind, now)
    for index in indexes:
        db.write_now(index.create)
    if db.is_sqlite:
        db.write_now(_fill_search)
    else:
        db.write_now(lambda tx: run(tx, "ANALYZE"))  # as autovacuum does to tables that have grown


def _drop_indexes(db: Database) -> list[Index]:
    found = [
        index for table in (contacts, contact_tags, list_contacts, engagements) for index in table.indexes
    ]
    for index in found:
        db.write_now(index.drop)
    return found


def _fill_contacts(tx: Tx, count: int, now: int) -> None:
    names = (
        *("organization_id", "id", "email", "address_key", "first_name", "last_name", "company", "city"),
        *("country", "source", "status", "stage", "properties", "search_text", "search_row", "score", "sent"),
        *("opened", "clicked", "last_sent_at", "last_opened_at", "last_clicked_at", "last_activity_at"),
        *("subscribed_at", "created_at", "updated_at"),
    )
    _put(tx, contacts, names, _contacts(count, now))


def _contacts(count: int, now: int) -> Iterator[tuple[Any, ...]]:
    dice = random.Random(count)
    low, _ = row_range(ORGANIZATION)
    of_domains = list(accumulate(1 / rank for rank in range(1, len(DOMAINS) + 1)))
    at_domains = dice.choices(DOMAINS, cum_weights=of_domains, k=count)
    statuses = dice.choices(list(Status), weights=(2, 85, 8, 4, 1), k=count)
    stages = dice.choices(list(Stage), weights=(60, 20, 10, 4, 3, 2, 0.9, 0.1), k=count)
    for number in range(count):
        at = created_ms(number, count, now)
        first, last = FIRST[number % len(FIRST)], LAST[number // 7 % len(LAST)]
        email = f"{first}.{last}{number}@{at_domains[number]}"
        opened, clicked = opened_of(number % 140), clicked_of(number % 70)
        sent_at = sent_ms(number, MESSAGES - 1, now)
        opened_at = sent_ms(number, opened[-1], now) + _delay_ms(number) if opened else None
        clicked_at = sent_ms(number, clicked[-1], now) + 2 * _delay_ms(number) if clicked else None
        yield (
            ORGANIZATION, contact_id(number, at), email, email.lower(), first, last, company_of(number),
            f"City {number % 400}", "PL" if number % 3 else "DE", SOURCES[number % len(SOURCES)],
            int(statuses[number]), int(stages[number]), json.dumps(properties_of(number)),
            f"{email.lower()} {first.lower()} {last.lower()}", low + number, number * 7 % 101, MESSAGES,
            len(opened), len(clicked), sent_at, opened_at, clicked_at,
            max(opened_at or at, clicked_at or at), at, at, now - number * 7_919 % (90 * clock.DAY),
        )  # fmt: skip


def created_ms(number: int, count: int, now: int) -> int:
    return now - clock.DAY - (count - number) * 60_000


def contact_id(number: int, created_at: int) -> RowId:
    return created_at.to_bytes(6, "big") + b"\x70\x00" + number.to_bytes(8, "big")


def company_of(number: int) -> str:
    return f"Company {number * 31 % 100_000} Ltd"


def properties_of(number: int) -> dict[str, Any]:
    return {
        "plan": PLANS[number % 7 % 4],
        "spent": number * 7_919 % 1_000_003 / 100,
        "company": company_of(number),
        "hobbies": [HOBBIES[number % 5], HOBBIES[number // 5 % 5]],
    }


def _delay_ms(number: int) -> int:
    """From the mail to its opening: hours, in full for some, less than a day."""
    return (number % 23 + 1) * clock.HOUR // 2


def sent_ms(number: int, message: int, now: int) -> int:
    ago = (MESSAGES - 1 - message) * APART + number % 4 * 6 * clock.DAY + number * 7_919 % 21_600 * 1_000
    return now - NEWEST - ago


@cache
def opened_of(remainder: int) -> list[int]:
    """Of a number's remainder by 140, its opened messages: none to nine of the fourteen."""
    return [each for each in range(MESSAGES) if (remainder * 7 + each * 13) % 14 < remainder % 10]


@cache
def clicked_of(remainder: int) -> list[int]:
    """By 70: two of the fourteen at most."""
    return [each for each in range(MESSAGES) if (remainder + each * 5) % 14 < remainder % 10 // 4]


def _fill_groups(tx: Tx, links: Table, groups: Table, count: int, now: int) -> None:
    column = next(name for name in ("tag_id", "list_id", "segment_id") if name in links.c)
    timed = {"created_at": str(now)} if "created_at" in links.c else {}
    for number, (name, (by, remainder)) in enumerate(GROUPS[groups.name].items(), start=1):
        octets = group_id(name).hex()
        its_id = f"x'{octets}'" if tx.dialect.name == "sqlite" else f"'\\x{octets}'::bytea"
        values = {"organization_id": "c.organization_id", "contact_id": "c.id", column: its_id, **timed}
        _write(
            tx,
            f"INSERT INTO {links.name} ({', '.join(values)}) SELECT {', '.join(values.values())} "
            f"FROM contacts c WHERE ({_NUMBER} % {by}) = {remainder} ORDER BY c.id",
        )
        facts = {
            "organization_id": ORGANIZATION, "id": group_id(name), "name": name, "created_at": now,
            "contacts": len(range(remainder, count, by)), "number": number, "updated_at": now,
            "is_dynamic": 0, "round": 0,
        }  # fmt: skip
        tx.execute(groups.insert().values({name: value for name, value in facts.items() if name in groups.c}))


def _fill_values(tx: Tx, key: str, count: int, now: int) -> None:
    ids = (contact_id(number, created_ms(number, count, now)) for number in range(count))
    rows = sorted(
        (ORGANIZATION, KEYS[key], value, each)
        for number, each in enumerate(ids)
        for value in encode(properties_of(number)[key])
    )
    _put(tx, property_values, ("organization_id", "key_number", "value", "contact_id"), rows)
    tx.execute(
        property_keys.insert().values(
            organization_id=ORGANIZATION, number=KEYS[key], name=key, contacts=count
        )
    )


def _engage(tx: Tx, kind: EngagementKind, now: int) -> None:
    """The rows of one kind in the order of their key; of a fourth of the opened messages two."""
    octets = "CAST(printf('%016d', {}) AS BLOB)"
    if tx.dialect.name == "postgresql":
        octets = "convert_to(lpad(({})::text, 16, '0'), 'UTF8')"
    sent_at = (
        f"{now - NEWEST} - ({MESSAGES - 1} - k) * {APART} - (n % 4) * {6 * clock.DAY} "
        f"- ((n * 7919) % 21600) * 1000"
    )
    delay = f"((n % 23) + 1) * {clock.HOUR // 2}"
    link = f"'{LINK}' || (k % 5)"
    where, at, is_human, repeats, link = {
        EngagementKind.SENT: ("0 = 0", sent_at, "NULL", "0", "NULL"),
        EngagementKind.OPENED: (
            "(((n % 140) * 7 + k * 13) % 14) < (n % 10)", f"{sent_at} + {delay} + r * 60000",
            "CASE ((n + k) % 6) WHEN 0 THEN 0 WHEN 1 THEN 1 END",
            "CASE ((n + k) % 4) WHEN 0 THEN 1 ELSE 0 END", "NULL",
        ),
        EngagementKind.CLICKED: (
            "(((n % 70) + k * 5) % 14) < (n % 10) / 4", f"{sent_at} + 2 * {delay}",
            "CASE ((n + k) % 9) WHEN 0 THEN 0 ELSE 1 END", "0", link,
        ),
    }[kind]  # fmt: skip
    # Nothing is sorted: contacts go by in the order of ids, messages and repeats are the inner loops.
    _write(
        tx,
        f"""INSERT INTO engagements (organization_id, kind, contact_id, event_id, at, message_id, campaign_id,
              is_human, link)
            WITH RECURSIVE messages(k) AS
                (SELECT 0 UNION ALL SELECT k + 1 FROM messages WHERE k < {MESSAGES - 1}),
              repeats(r) AS (SELECT 0 UNION ALL SELECT 1),
              numbered AS (SELECT c.id, {_NUMBER} AS n FROM contacts c)
            SELECT {ORGANIZATION}, {kind.value}, id, {octets.format("n * 1000 + k * 10 + r")}, {at},
              {octets.format("n * 100 + k")}, {octets.format("k * 4 + (n % 4)")}, {is_human}, {link}
            FROM numbered CROSS JOIN messages CROSS JOIN repeats
            WHERE {where} AND r <= {repeats}""",
    )


def _write(tx: Tx, statement: str) -> None:
    """PostgreSQL's driver takes a single % for the mark of a parameter."""
    run(tx, statement if tx.dialect.name == "sqlite" else statement.replace("%", "%%"))


def _fill_search(tx: Tx) -> None:
    run(
        tx,
        "INSERT INTO contact_search (rowid, body, organization_id, contact_id) "
        "SELECT search_row, search_text, organization_id, id FROM contacts ORDER BY organization_id, id",
    )


def _put(tx: Tx, table: Table, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Straight through the driver, as it takes most rows at once."""
    driver: Any = tx.connection.driver_connection
    listed = ", ".join(names)
    if tx.dialect.name == "sqlite":
        marks = ", ".join("?" * len(names))
        driver.executemany(f"INSERT INTO {table.name} ({listed}) VALUES ({marks})", rows)
        return
    with driver.cursor().copy(f"COPY {table.name} ({listed}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
