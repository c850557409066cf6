"""Tags are rows: counted, renamed, merged whole or not at all. Lists: made, joined, left, deleted."""

from functools import partial

import pytest
from tests.unit.engine.audience.people import OURS, READER, THEIRS, get, make, rows, save, told

from postrider.db.database import Database
from postrider.engine import errors
from postrider.engine.audience import contacts, lists, tags
from postrider.engine.audience.lists import change
from postrider.engine.audience.model import ContactInput, ListSort
from postrider.engine.audience.tags import Merged
from postrider.engine.journal import EventKind
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import new_id


def counts(database: Database) -> dict[str, int]:
    found = database.read_now(tags.list_tags, OURS)
    assert sum(tag.contacts for tag in found) == len(
        [row for row in rows(database, "contact_tags") if row[0] == 1]
    )
    return {tag.name: tag.contacts for tag in found}


def merge(database: Database, *sources: str, into: str) -> Merged:
    return database.write_now(tags.merge, OURS, sources, into)


def test_a_tag_is_given_and_taken(database: Database) -> None:
    ann = make(database, tags=["vip"])
    assert database.write_now(tags.add, OURS, ann, [" beta ", "vip", "beta"]) == ["beta", "vip"]
    assert counts(database) == {"beta": 1, "vip": 1}
    assert told(database)[-1] == (EventKind.CONTACT_UPDATED, {"changed": ["tags"]})
    before = len(told(database))
    assert database.write_now(tags.add, OURS, ann, ["vip"]) == ["beta", "vip"]
    assert len(told(database)) == before, "nothing changed"
    assert database.write_now(tags.remove, OURS, ann, "vip") == ["beta"]
    assert counts(database) == {"beta": 1, "vip": 0}
    for name in ("vip", "never"):
        with pytest.raises(errors.NotFound):
            database.write_now(tags.remove, OURS, ann, name)
    for bad in ([""], ["x" * 101], ["a\nb"], [f"t{number}" for number in range(100)]):
        with pytest.raises(errors.Invalid):
            database.write_now(tags.add, OURS, ann, bad)
    assert get(database, ann).tags == ["beta"]


def test_a_tag_is_renamed_for_all_who_carry_it(database: Database) -> None:
    save(database, *(ContactInput(email=f"{name}@example.com", tags=["newsleter"]) for name in "abc"))
    make(database, "d@example.com", tags=["other"])
    renamed = database.write_now(tags.rename, OURS, "newsleter", "newsletter")
    assert (renamed.name, renamed.contacts) == ("newsletter", 3)
    assert counts(database) == {"newsletter": 3, "other": 1}
    assert database.write_now(tags.rename, OURS, "newsletter", "newsletter").contacts == 3
    with pytest.raises(errors.NotFound):
        database.write_now(tags.rename, OURS, "newsleter", "again")
    with pytest.raises(errors.Conflict):
        database.write_now(tags.rename, OURS, "newsletter", "other")
    with pytest.raises(errors.Invalid):
        database.write_now(tags.rename, OURS, "other", " ")


@pytest.mark.parametrize("target", ["newsletter", "Newsletter", "brand new"])
def test_a_merge_leaves_one_tag_on_all_who_had_any(database: Database, target: str) -> None:
    make(database, "a@example.com", tags=["Newsletter"])
    make(database, "b@example.com", tags=["newsletter", "Newsletter"])
    make(database, "c@example.com", tags=["NEWSLETTER", "vip"])
    make(database, "d@example.com", tags=["newsletter"])
    make(database, "e@example.com", tags=["vip"])
    make(database, "f@example.com", by=THEIRS, tags=["NEWSLETTER"])
    merged = merge(database, "Newsletter", "newsletter", "NEWSLETTER", "unknown", into=target)
    going = [name for name in ("Newsletter", "newsletter", "NEWSLETTER") if name != target]
    carriers = {"newsletter": 3, "Newsletter": 3, "brand new": 4}[target]
    assert merged == Merged(target, going, carriers)
    assert counts(database) == {target: 4, "vip": 2}
    their_tags = database.read_now(tags.list_tags, THEIRS)
    assert [(tag.name, tag.contacts) for tag in their_tags] == [("NEWSLETTER", 1)]
    again = merge(database, "Newsletter", "NEWSLETTER", "unknown", into=target)
    assert (again.affected, counts(database)) == (0, {target: 4, "vip": 2})


def test_a_merge_of_nothing_or_too_much_is_refused(database: Database) -> None:
    assert merge(database, "unknown", into="new") == Merged("new", [], 0)
    assert counts(database) == {}, "no tag is made of nothing"
    for sources, target in (([], "a"), (["a"] * 101, "b"), (["a"], "")):
        with pytest.raises(errors.Invalid):
            merge(database, *sources, into=target)


def test_tags_of_another_organization_are_not_there(database: Database) -> None:
    make(database, by=THEIRS, tags=["vip"])
    ann = make(database)
    theirs = database.read_now(contacts.by_address, THEIRS, "ann@example.com").id
    with pytest.raises(errors.NotFound):
        database.write_now(tags.rename, OURS, "vip", "mine")
    with pytest.raises(errors.NotFound):
        database.write_now(tags.add, OURS, theirs, ["mine"])
    with pytest.raises(errors.NotFound):
        database.write_now(tags.remove, OURS, theirs, "vip")
    with pytest.raises(errors.NotFound):
        database.read_now(tags.by_name, OURS, "vip")
    assert counts(database) == {}
    with pytest.raises(errors.Forbidden):
        database.write_now(tags.add, READER, ann, ["vip"])


def test_a_list_is_made_changed_and_deleted_and_its_contacts_stay(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change, "EMPTIED_AT_ONCE", 2)
    news = database.write_now(
        lambda tx: lists.create(tx, OURS, " News ", description="Weekly", is_public=True)
    )
    assert (news.name, news.number, news.description, news.is_public) == ("News", 1, "Weekly", True)
    other = database.write_now(lists.create, OURS, "Other")
    with pytest.raises(errors.Conflict):
        database.write_now(lists.create, OURS, "News")
    with pytest.raises(errors.Conflict):
        database.write_now(lambda tx: lists.update(tx, OURS, other.id, name="News"))
    for bad in ("", "x" * 256, "a\nb"):
        with pytest.raises(errors.Invalid):
            database.write_now(lists.create, OURS, bad)
    changed = database.write_now(lambda tx: lists.update(tx, OURS, news.id, name="Newer", description=None))
    assert (changed.name, changed.description, changed.is_public) == ("Newer", None, True)
    assert [each.name for each in database.read_now(lists.page, OURS)] == ["Newer", "Other"]
    public = database.read_now(lambda tx: lists.page(tx, OURS, public=True, after=0, limit=5))
    assert [each.id for each in public] == [news.id]
    assert database.read_now(lists.by_number, OURS, 2).id == other.id
    save(database, *(ContactInput(email=f"{name}@example.com", lists=[news.id]) for name in "abcde"))
    assert database.read_now(lists.get, OURS, news.id).contacts == 5
    assert database.write_now(lists.empty, OURS, news.id)
    assert database.read_now(lists.get, OURS, news.id).contacts == 3
    assert database.write_now(lists.delete, OURS, news.id).name == "Newer"
    assert (rows(database, "list_contacts"), len(rows(database, "contacts"))) == ([], 5)
    assert database.read_now(lists.count, OURS) == 1
    with pytest.raises(errors.NotFound):
        database.read_now(lists.get, OURS, news.id)


def test_contacts_join_and_leave_a_list(database: Database) -> None:
    news = database.write_now(lists.create, OURS, "News")
    ann, ben = make(database), make(database, "ben@example.com")
    theirs = make(database, by=THEIRS)
    assert database.write_now(lists.add, OURS, news.id, [ann, ben, theirs, new_id()]) == 2
    assert database.write_now(lists.add, OURS, news.id, [ann]) == 0
    assert (get(database, ann).lists, database.read_now(lists.get, OURS, news.id).contacts) == ([news.id], 2)
    assert told(database)[-1] == (EventKind.CONTACT_UPDATED, {"changed": ["lists"]})
    assert database.write_now(lists.remove, OURS, news.id, [ben, theirs]) == 1
    assert database.read_now(lists.get, OURS, news.id).contacts == 1
    for function in (lists.add, lists.remove):
        with pytest.raises(errors.NotFound):
            database.write_now(function, THEIRS, news.id, [theirs])
        with pytest.raises(errors.Forbidden):
            database.write_now(function, READER, news.id, [ann])
        with pytest.raises(errors.Invalid):
            database.write_now(function, OURS, news.id, [ann] * 1_001)
    with pytest.raises(errors.NotFound):
        database.read_now(lists.get, THEIRS, news.id)
    with pytest.raises(errors.NotFound):
        database.write_now(lists.delete, THEIRS, news.id)


def test_lists_are_found_by_a_part_of_their_names_in_every_order(database: Database) -> None:
    start = clock.now_ms()
    made = []
    for number, name in enumerate(("News", "100%", "a news_letter", "Old")):
        clock.set_source(partial(int, start + number))
        made.append(database.write_now(lists.create, OURS, name))
    database.write_now(lists.create, THEIRS, "News")
    save(database, *(ContactInput(email=f"{name}@example.com", lists=[made[1].id]) for name in "ab"))
    expected = {
        ListSort.CREATED: ["News", "100%", "a news_letter", "Old"],
        ListSort.NAME: ["100%", "News", "Old", "a news_letter"],
        ListSort.CONTACTS: ["News", "a news_letter", "Old", "100%"],
    }
    for sort, names in expected.items():
        for descending in (False, True):
            walked: list[str] = []
            after = None
            while page := database.read_now(
                partial(lists.browse, sort=sort, descending=descending, limit=3, after=after), OURS
            ):
                walked += [each.name for each in page]
                after = lists.Place(getattr(page[-1], sort.value), page[-1].id)
            assert walked == (names[::-1] if descending else names), (sort, descending)
    for part, names in {
        "NEWS": ["a news_letter", "News"],
        "%": ["100%"],
        "s_l": ["a news_letter"],
        "x": [],
    }.items():
        found = database.read_now(partial(lists.browse, search=part), OURS)
        assert [each.name for each in found] == names, part
        assert database.read_now(partial(lists.count, search=part), OURS) == len(names)
    theirs = database.read_now(lists.page, THEIRS)[0]
    asked = [made[2].id, theirs.id, made[0].id, made[0].id, new_id()]
    assert [each.name for each in database.read_now(lists.many, 1, asked)] == ["News", "a news_letter"]
    with pytest.raises(errors.Forbidden):
        database.read_now(lists.browse, Principal(1, scopes=frozenset({"lists:read"})))
