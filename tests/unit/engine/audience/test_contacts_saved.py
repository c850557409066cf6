"""What is said of contacts is kept: once for each address, whole or not at all, and told."""

import threading
from typing import Any

import pytest
from tests.unit.engine.audience.people import OURS, READER, THEIRS, get, make, rows, save, told

from postrider.db.database import Database, Tx
from postrider.engine import errors, suppression
from postrider.engine.audience import contacts, lists, properties
from postrider.engine.audience.contacts import rules
from postrider.engine.audience.contacts.save import SAVED_MAX
from postrider.engine.audience.model import (
    Consent,
    ContactInput,
    Kept,
    OnKnown,
    Origin,
    PropertyType,
    Stage,
    Status,
)
from postrider.engine.audience.properties import NewDefinition
from postrider.engine.journal import EventKind
from postrider.engine.suppression import Class, New, Reason, Scope
from postrider.kit import clock
from postrider.kit.ids import new_id

WAIT_S = 10
EVERYTHING: dict[str, Any] = {
    "first_name": "Ann",
    "last_name": "Lee",
    "company": "Acme",
    "phone": "+33 1",
    "city": "Paris",
    "country": "FR",
    "source": "fair 2026",
    "stage": Stage.LEAD,
    "properties": {"plan": "pro", "seats": 3},
    "consent": Consent(email_marketing=True, given_at=5, ip_address="192.0.2.1", user_agent="Firefox"),
    "tags": ["vip", "beta"],
}


def enter(database: Database, address: str, class_: Class, reason: Reason, **more: Any) -> None:
    database.write_now(suppression.put, OURS, New(address_key=address, class_=class_, reason=reason, **more))


def verdicts(database: Database, address: str) -> set[tuple[Class, str]]:
    found = database.read_now(suppression.check, [(1, address)])
    return {(entry.class_, entry.reason) for entry in found.get((1, address), ())}


def test_everything_that_is_said_is_kept(database: Database) -> None:
    clock.set_source(lambda: 1_000)
    contact = get(database, make(database, "Ann.Lee@Example.COM", **EVERYTHING))
    assert (contact.email, contact.address_key) == ("Ann.Lee@example.com", "ann.lee@example.com")
    said = {name: getattr(contact, name) for name in EVERYTHING if name != "tags"}
    assert said == {name: value for name, value in EVERYTHING.items() if name != "tags"}
    assert (list(contact.tags), contact.name, contact.status) == (
        ["beta", "vip"],
        "Ann Lee",
        Status.SUBSCRIBED,
    )
    assert (contact.subscribed_at, contact.created_at, contact.updated_at) == (1_000, 1_000, 1_000)
    assert (contact.score, contact.sent, contact.last_activity_at) == (0, 0, None)


@pytest.mark.parametrize(
    ("name", "names"),
    [("Ann", ("Ann", None)), ("Ann van der Lee", ("Ann", "van der Lee")), ("  ", (None, None))],
)
def test_a_name_in_one_is_its_first_word_and_the_rest(
    database: Database, name: str, names: tuple[str | None, str | None]
) -> None:
    contact = get(database, make(database, name=name))
    assert (contact.first_name, contact.last_name) == names


def test_an_update_leaves_what_is_not_said_and_empties_what_is_empty(database: Database) -> None:
    first = make(database, **EVERYTHING)
    again = make(
        database, "ANN@example.com", first_name="Anne", city="",
        properties={"plan": None, "color": "red"}, tags=["late"],
    )  # fmt: skip
    assert again == first
    contact = get(database, first)
    assert (contact.first_name, contact.last_name, contact.city) == ("Anne", "Lee", None)
    assert contact.properties == {"seats": 3, "color": "red"}
    assert list(contact.tags) == ["beta", "late", "vip"]
    assert (contact.stage, contact.source) == (Stage.LEAD, "fair 2026")
    make(database, properties={"only": 1}, replaces_properties=True, tags=["b", "a"], replaces_tags=True)
    contact = get(database, first)
    assert (contact.properties, list(contact.tags)) == ({"only": 1}, ["a", "b"])


@pytest.mark.parametrize(
    ("on_known", "kept", "first_name"),
    [
        (OnKnown.REFUSE, None, "Ann"),
        (OnKnown.SKIP, Kept.SKIPPED, "Ann"),
        (OnKnown.UPDATE, Kept.UPDATED, "Eve"),
    ],
)
def test_a_known_address_is_refused_skipped_or_updated(
    database: Database, on_known: OnKnown, kept: Kept | None, first_name: str
) -> None:
    known = make(database, first_name="Ann")
    other = ContactInput(email="ann@example.com", first_name="Eve")
    twice = [ContactInput(email="new@example.com"), ContactInput(email="NEW@example.com", first_name="Eve")]
    saved = save(database, other, *twice, on_known=on_known)
    assert [each.kept for each in saved] == [kept, Kept.CREATED, kept]
    assert get(database, known).first_name == first_name
    if on_known is OnKnown.REFUSE:
        assert [fault.code for each in saved for fault in each.faults] == ["duplicate", "duplicate"]
        return
    assert (saved[0].contact_id, saved[2].contact_id) == (known, saved[1].contact_id)
    expected = "Eve" if on_known is OnKnown.UPDATE else None
    assert get(database, saved[1].contact_id or b"").first_name == expected


def test_a_faulty_input_changes_nothing_and_stops_no_other(database: Database) -> None:
    known = make(database, "known@example.com", first_name="Ann")
    bad = [
        ContactInput(email="nobody"),
        ContactInput(email=""),
        ContactInput(email="a@example.com", first_name="x" * 201),
        ContactInput(email="b@example.com", city="a\nb", phone="\0"),
        ContactInput(email="c@example.com", tags=["ok", ""]),
        ContactInput(email="d@example.com", tags=[f"t{number}" for number in range(101)]),
        ContactInput(email="e@example.com", lists=[new_id()]),
        ContactInput(email="f@example.com", properties={"": 1}),
        ContactInput(email="g@example.com", properties={f"k{number}": 1 for number in range(201)}),
        ContactInput(email="h@example.com", properties={f"k{number}": "x" * 9_000 for number in range(8)}),
        ContactInput(email="i@example.com", source="x" * 101),
        ContactInput(email="j@example.com", consent=Consent(user_agent="x" * 501)),
        ContactInput(email="known@example.com", first_name="Eve", tags=["x" * 101]),
    ]
    saved = save(database, *bad, "good@example.com")
    fields = [[fault.field for fault in each.faults] for each in saved]
    assert fields == [
        ["email"], ["email"], ["first_name"], ["phone", "city"], ["tags"], ["tags"], ["lists"],
        ["properties."], ["properties"], ["properties"], ["source"], ["consent.user_agent"], ["tags"], [],
    ]  # fmt: skip
    assert [each.contact_id for each in saved[:-1]] == [None] * 13
    assert sorted(rows(database, "contacts", "email")) == [("good@example.com",), ("known@example.com",)]
    assert (get(database, known).first_name, rows(database, "tags")) == ("Ann", [])


def test_an_address_refused_once_may_still_come_right(database: Database) -> None:
    first, second = save(
        database, ContactInput(email="ann@example.com", city="a\nb"), ContactInput(email="ann@example.com")
    )
    assert (bool(first.faults), second.kept) == (True, Kept.CREATED)


def test_events_tell_what_happened_and_nothing_where_nothing_changed(database: Database) -> None:
    contact_list = database.write_now(lists.create, OURS, "News")
    make(database, source="fair", lists=[contact_list.id])
    assert told(database) == [
        (EventKind.CONTACT_CREATED, {"source": "fair"}),
        (EventKind.CONTACT_SUBSCRIBED, {"source": "fair", "lists": [contact_list.id.hex()]}),
    ]
    make(database, source="fair", lists=[contact_list.id])
    assert len(told(database)) == 2
    make(database, city="Rome", properties={"plan": "pro"}, tags=["vip"])
    assert told(database)[2:] == [
        (EventKind.CONTACT_UPDATED, {"changed": ["city", "properties.plan", "tags"]})
    ]
    save(database, "quiet@example.com", origin=Origin.QUIET)
    assert told(database)[3:] == [(EventKind.CONTACT_CREATED, {"source": "api"})]


def test_true_in_place_of_one_is_a_change(database: Database) -> None:
    contact_id = make(database, properties={"vip": 1, "flags": [0], "plan": "pro"})
    make(database, properties={"vip": True, "flags": [False], "plan": "pro"})
    kept = get(database, contact_id).properties
    assert (kept["vip"], kept["flags"][0]) == (True, False)
    assert [type(each) for each in (kept["vip"], *kept["flags"])] == [bool, bool]
    assert told(database)[2:] == [
        (EventKind.CONTACT_UPDATED, {"changed": ["properties.vip", "properties.flags"]})
    ]
    values = {value for (value,) in rows(database, "property_values", "value")}
    assert values == {value for each in (True, [False], "pro") for value in properties.encode(each)}


def test_properties_are_not_replaced_by_such_as_miss_what_is_required(database: Database) -> None:
    contact_id = make(database, properties={"plan": "pro", "note": "x"})
    required = NewDefinition(name="plan", type=PropertyType.TEXT, is_required=True)
    database.write_now(properties.create_definition, OURS, required)
    anew = ContactInput(email="ann@example.com", properties={"note": "y"}, replaces_properties=True)
    (saved,) = save(database, anew)
    assert [(fault.field, fault.code) for fault in saved.faults] == [("properties.plan", "required")]
    assert get(database, contact_id).properties == {"plan": "pro", "note": "x"}
    make(database, properties={"plan": "free"}, replaces_properties=True)
    assert get(database, contact_id).properties == {"plan": "free"}


@pytest.mark.parametrize(
    ("class_", "reason", "status"),
    [
        (Class.OPTOUT, Reason.UNSUBSCRIBED, Status.UNSUBSCRIBED),
        (Class.BLOCK, Reason.COMPLAINT, Status.COMPLAINED),
        (Class.BLOCK, Reason.HARD_BOUNCE, Status.BOUNCED),
        (Class.BLOCK, Reason.SOFT_BOUNCES, Status.BOUNCED),
        (Class.BLOCK, Reason.MANUAL, Status.SUBSCRIBED),
    ],
)
def test_a_new_contact_has_the_status_its_address_has_earned(
    database: Database, class_: Class, reason: Reason, status: Status
) -> None:
    enter(database, "ann@example.com", class_, reason)
    contact = get(database, make(database, status=Status.SUBSCRIBED))
    assert contact.status is status
    assert (contact.subscribed_at is None) == (status is not Status.SUBSCRIBED)
    make(database, status=Status.SUBSCRIBED)
    assert get(database, contact.id).status is status, "to save takes nothing back"


def test_a_no_to_one_sending_domain_is_a_no(database: Database) -> None:
    scope = {"scope": Scope.DOMAIN, "scope_id": new_id().hex()}
    enter(database, "ann@example.com", Class.OPTOUT, Reason.UNSUBSCRIBED, **scope)
    assert get(database, make(database, "ann@example.com")).status is Status.UNSUBSCRIBED


def test_what_is_of_one_list_or_allowed_leaves_a_contact_free(database: Database) -> None:
    scope = {"scope": Scope.LIST, "scope_id": new_id().hex()}
    enter(database, "ann@example.com", Class.OPTOUT, Reason.UNSUBSCRIBED, **scope)
    enter(database, "ben@example.com", Class.BLOCK, Reason.HARD_BOUNCE)
    enter(database, "ben@example.com", Class.ALLOW, Reason.MANUAL)
    for email in ("ann@example.com", "ben@example.com"):
        assert get(database, make(database, email)).status is Status.SUBSCRIBED


@pytest.mark.parametrize("is_known", [False, True])
def test_a_status_that_stops_mail_is_entered_where_senders_look(database: Database, is_known: bool) -> None:
    asked = {
        "out@example.com": (Status.UNSUBSCRIBED, Class.OPTOUT, "unsubscribed"),
        "gone@example.com": (Status.BOUNCED, Class.BLOCK, "hard_bounce"),
        "angry@example.com": (Status.COMPLAINED, Class.BLOCK, "complaint"),
    }
    if is_known:
        save(database, *asked)
    for email, (status, class_, reason) in asked.items():
        contact = get(database, make(database, email, status=status))
        assert (contact.status, verdicts(database, email)) == (status, {(class_, reason)})
    kinds = [kind for kind, _ in told(database)]
    assert kinds.count(EventKind.UNSUBSCRIBED) == int(is_known), "a new contact left nobody"


def test_a_pending_contact_is_confirmed_by_a_save(database: Database) -> None:
    pending = make(database, status=Status.PENDING)
    assert get(database, pending).subscribed_at is None
    make(database, status=Status.PENDING)
    make(database, city="Rome")
    assert get(database, pending).status is Status.PENDING
    make(database, status=Status.SUBSCRIBED)
    assert (get(database, pending).status, told(database)[-1][0]) == (
        Status.SUBSCRIBED,
        EventKind.CONTACT_SUBSCRIBED,
    )


def test_an_address_may_change_to_one_that_is_free(database: Database) -> None:
    ann, ben = make(database), make(database, "ben@example.com")

    def change(contact_id: bytes, email: str, **said: Any) -> None:
        given = ContactInput(email=email, **said)
        database.write_now(lambda tx: contacts.change(tx, OURS, contact_id, given))

    change(ann, "Anne@example.com", city="Rome")
    contact = get(database, ann)
    assert (contact.email, contact.address_key, contact.city) == (
        "Anne@example.com",
        "anne@example.com",
        "Rome",
    )
    assert told(database)[-1] == (EventKind.CONTACT_UPDATED, {"changed": ["email", "city"]})
    assert database.read_now(contacts.by_address, OURS, "ANNE@EXAMPLE.COM").id == ann
    with pytest.raises(errors.Conflict):
        change(ann, "ben@example.com")
    with pytest.raises(errors.Invalid):
        change(ann, "nobody")
    with pytest.raises(errors.NotFound):
        change(new_id(), "nobody")
    with pytest.raises(errors.NotFound):
        change(new_id(), "ben@example.com")
    change(ben, "ben@example.com", first_name="Ben")
    assert get(database, ben).first_name == "Ben"


def test_of_two_that_take_one_address_at_once_the_later_is_refused(database: Database) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite has one writer")
    ann, ben = make(database, "ann@example.com"), make(database, "ben@example.com")
    wanted = ContactInput(email="new@example.com")
    taken, finish = threading.Event(), threading.Event()
    refusals: list[Exception] = []

    def take(tx: Tx) -> None:
        contacts.change(tx, OURS, ann, wanted)
        taken.set()
        finish.wait(WAIT_S)

    def take_too() -> None:
        try:
            database.write_now(contacts.change, OURS, ben, wanted)
        except errors.EngineError as refusal:
            refusals.append(refusal)

    first = threading.Thread(target=database.write_now, args=(take,))
    first.start()
    assert taken.wait(WAIT_S)
    second = threading.Thread(target=take_too)
    second.start()
    second.join(0.3)  # it waits for the first
    finish.set()
    first.join()
    second.join()
    assert [type(refusal) for refusal in refusals] == [errors.Conflict]
    assert {email for (email,) in rows(database, "contacts", "email")} == {
        "new@example.com",
        "ben@example.com",
    }


def test_who_opted_out_stays_out_under_another_address_and_who_bounced_does_not(database: Database) -> None:
    out, gone = make(database, "out@example.com"), make(database, "gone@example.com")
    make(database, "out@example.com", status=Status.UNSUBSCRIBED)
    make(database, "gone@example.com", status=Status.BOUNCED)
    for contact_id, email in ((out, "new.out@example.com"), (gone, "new.gone@example.com")):
        given = ContactInput(email=email, status=Status.SUBSCRIBED)
        database.write_now(lambda tx: contacts.change(tx, OURS, contact_id, given))  # noqa: B023
    assert (get(database, out).status, get(database, gone).status) == (Status.UNSUBSCRIBED, Status.SUBSCRIBED)
    assert verdicts(database, "new.out@example.com") == {(Class.OPTOUT, "unsubscribed")}
    assert verdicts(database, "new.gone@example.com") == set()


def test_to_subscribe_takes_back_the_opt_out_of_one_sending_domain(database: Database) -> None:
    scope = {"scope": Scope.DOMAIN, "scope_id": new_id().hex()}
    enter(database, "ann@example.com", Class.OPTOUT, Reason.UNSUBSCRIBED, **scope)
    contact_id = make(database)
    contact = database.write_now(lambda tx: contacts.subscribe(tx, OURS, contact_id))
    assert (contact.status, verdicts(database, "ann@example.com")) == (Status.SUBSCRIBED, set())


def test_to_subscribe_takes_back_an_opt_out_and_a_bounce_but_no_complaint(database: Database) -> None:
    contact_id = make(database)

    def act(what: Any, **said: Any) -> Status:
        status: Status = database.write_now(lambda tx: what(tx, OURS, contact_id, **said)).status
        return status

    said = {"reason": "too many", "feedback": "weekly is enough"}
    for _ in range(2):
        assert act(contacts.unsubscribe, **said) is Status.UNSUBSCRIBED
    assert verdicts(database, "ann@example.com") == {(Class.OPTOUT, "unsubscribed")}
    assert told(database)[2:] == [(EventKind.UNSUBSCRIBED, {"source": "api", **said})]
    assert get(database, contact_id).unsubscribed_at is not None
    enter(database, "ann@example.com", Class.BLOCK, Reason.HARD_BOUNCE)
    for _ in range(2):
        assert act(contacts.subscribe) is Status.SUBSCRIBED
    assert verdicts(database, "ann@example.com") == set()
    assert told(database)[3:] == [(EventKind.CONTACT_SUBSCRIBED, {"source": "api", "lists": []})]
    contact = get(database, contact_id)
    assert (contact.subscribed_at is not None, contact.unsubscribed_at) == (True, None)
    enter(database, "ann@example.com", Class.BLOCK, Reason.COMPLAINT)
    with pytest.raises(errors.NotAllowedNow):
        act(contacts.subscribe)


def test_a_deleted_contact_leaves_nothing_but_what_is_entered_on_its_address(database: Database) -> None:
    contact_list = database.write_now(lists.create, OURS, "News")
    contact_id = make(database, status=Status.UNSUBSCRIBED, lists=[contact_list.id], **EVERYTHING)
    make(database, "ben@example.com", tags=["vip"], lists=[contact_list.id])

    def meet(tx: Tx) -> None:
        for number in range(3):
            tx.exec_driver_sql(
                "INSERT INTO engagements (organization_id, kind, contact_id, event_id, at, message_id) "
                f"SELECT organization_id, {number + 1}, id, id, 1, id FROM contacts"
            )

    database.write_now(meet)
    with pytest.raises(errors.NotFound):
        database.write_now(contacts.delete, THEIRS, contact_id)
    assert not database.write_now(contacts.empty, OURS, contact_id)
    assert database.write_now(contacts.delete, OURS, contact_id).email == "ann@example.com"
    with pytest.raises(errors.NotFound):
        get(database, contact_id)
    for table in ("contacts", "contact_tags", "list_contacts"):
        assert len(rows(database, table)) == 1, table
    assert (rows(database, "property_values"), len(rows(database, "engagements"))) == ([], 3)
    assert sorted(rows(database, "tags", "name, contacts")) == [("beta", 0), ("vip", 1)]
    assert rows(database, "lists", "contacts") == [(1,)]
    assert set(rows(database, "property_keys", "contacts")) == {(0,)}
    if database.is_sqlite:
        assert rows(database, "contact_search", "body") == [("ben@example.com",)]
    assert told(database)[-1] == (EventKind.CONTACT_DELETED, {})
    assert verdicts(database, "ann@example.com") == {(Class.OPTOUT, "unsubscribed")}


def test_organizations_do_not_share_contacts(database: Database) -> None:
    ours, theirs = make(database), make(database, by=THEIRS)
    assert ours != theirs
    for function in (contacts.get, contacts.empty, contacts.delete, contacts.subscribe, contacts.unsubscribe):
        with pytest.raises(errors.NotFound):
            database.write_now(function, OURS, theirs)
    assert database.read_now(contacts.many, 1, [ours, theirs]).keys() == {ours}


def test_each_act_wants_its_scope(database: Database) -> None:
    contact_id = make(database)
    with pytest.raises(errors.Forbidden):
        save(database, "ben@example.com", by=READER)
    for function in (contacts.empty, contacts.delete, contacts.subscribe, contacts.unsubscribe):
        with pytest.raises(errors.Forbidden):
            database.write_now(function, READER, contact_id)
    with pytest.raises(errors.Invalid):
        save(database, *["a@example.com"] * (SAVED_MAX + 1))


def test_a_thousand_contacts_are_one_save(database: Database) -> None:
    given = [
        ContactInput(email=f"user{number}@example.com", tags=[f"t{number % 7}"], properties={"n": number})
        for number in range(1_000)
    ]
    assert {each.kept for each in save(database, *given)} == {Kept.CREATED}
    assert {each.kept for each in save(database, *given, on_known=OnKnown.SKIP)} == {Kept.SKIPPED}
    assert sum(count for (count,) in rows(database, "tags", "contacts")) == 1_000
    assert rows(database, "property_keys", "name, contacts") == [("n", 1_000)]


def test_two_nodes_that_make_one_contact_at_once_make_one(database: Database, monkeypatch: Any) -> None:
    """The address becomes known between the look and the insert, as it does on PostgreSQL."""
    from postrider.engine.audience.contacts import store

    quicker: list[str] = ["ann@example.com"]
    insert = store.insert

    def late(tx: Tx, organization_id: int, given: Any) -> Any:
        if quicker:
            email = quicker.pop()
            contacts.save(tx, OURS, [ContactInput(email=email)], on_known=OnKnown.REFUSE, source="other")
        return insert(tx, organization_id, given)

    monkeypatch.setattr(store, "insert", late)
    ann, ben = save(
        database, ContactInput(email="ann@example.com", city="Rome", tags=["vip"]), "ben@example.com"
    )
    assert (ann.kept, ben.kept, ann.index) == (Kept.UPDATED, Kept.CREATED, 0)
    contact = get(database, ann.contact_id or b"")
    assert (contact.source, contact.city, list(contact.tags)) == ("other", "Rome", ["vip"])
    assert len(rows(database, "contacts")) == 2


def test_the_stronger_reason_shows() -> None:
    assert rules.moved(Status.BOUNCED, Status.UNSUBSCRIBED) is Status.UNSUBSCRIBED
    assert rules.moved(Status.UNSUBSCRIBED, Status.BOUNCED) is Status.UNSUBSCRIBED
    assert rules.moved(Status.SUBSCRIBED, Status.PENDING) is Status.SUBSCRIBED
    assert rules.moved(Status.COMPLAINED, Status.SUBSCRIBED) is Status.COMPLAINED
