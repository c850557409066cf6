"""Rows of a file as what is said of contacts: fields, words, consent, and what is refused."""

import pytest

from postrider.engine.audience.model import Consent, ContactFilter, ContactInput, Fault, Stage, Status
from postrider.engine.audience.transfer.inputs import check_mapping, reading
from postrider.engine.audience.transfer.model import Column, ExportFormat, ExportPlan, ImportPlan
from postrider.engine.audience.transfer.render import harmless
from postrider.engine.errors import Invalid
from postrider.kit import clock, json
from postrider.kit.ids import new_id


def read(mapping: dict[str, int], *cells: str, tags: tuple[str, ...] = ()) -> ContactInput | Fault:
    check_mapping(mapping)
    return reading(ImportPlan(mapping=mapping, tags=tags))(cells)


def told(mapping: dict[str, int], *cells: str) -> str:
    found = read({"email": 0, **mapping}, "ann@example.com", *cells)
    assert isinstance(found, Fault)
    return found.field


def test_an_empty_cell_and_a_missing_one_say_nothing() -> None:
    mapping = {"email": 0, "first_name": 1, "city": 2, "properties.plan": 3, "tags": 4, "status": 5}
    assert read(mapping, " ann@example.com ", "  ", "") == ContactInput(
        email="ann@example.com", properties={}
    )


def test_words_are_read_in_any_case() -> None:
    mapping = {"email": 0, "status": 1, "stage": 2, "tags": 3}
    found = read(
        mapping, "ann@example.com", "Unsubscribed", "Sales qualified-lead", " a; b,c ;;", tags=("d",)
    )
    assert found == ContactInput(
        email="ann@example.com",
        status=Status.UNSUBSCRIBED,
        stage=Stage.SALES_QUALIFIED_LEAD,
        tags=("a", "b", "c", "d"),
    )


def test_consent_is_read_from_its_columns() -> None:
    mapping = {"email": 0, "consent.email_marketing": 1, "consent.given_at": 2, "consent.ip_address": 3}
    found = read(mapping, "ann@example.com", "Yes", "2026-01-18T12:00:00Z", "192.0.2.1")
    assert isinstance(found, ContactInput)
    at = clock.from_iso("2026-01-18T12:00:00Z")
    assert found.consent == Consent(email_marketing=True, given_at=at, ip_address="192.0.2.1")
    silent = read(mapping, "ann@example.com")
    assert isinstance(silent, ContactInput)
    assert silent.consent is None


def test_a_row_that_may_not_be_so_names_its_field() -> None:
    assert told({"status": 1}, "bounced") == "status"
    assert told({"stage": 1}, "emperor") == "stage"
    assert told({"consent.tracking": 1}, "perhaps") == "consent.tracking"
    assert told({"consent.given_at": 1}, "yesterday") == "consent.given_at"
    nobody = read({"email": 1}, "Ann")
    assert isinstance(nobody, Fault)
    assert (nobody.field, nobody.code) == ("email", "required")


@pytest.mark.parametrize("text", ["=1+1", "+49 30 1", "-5", "@SUM(A1)", "'=1"])
def test_the_apostrophe_of_an_export_is_taken_away_by_an_import(text: str) -> None:
    found = read({"email": 0, "phone": 1}, "ann@example.com", harmless(text))
    assert isinstance(found, ContactInput)
    assert found.phone == text or text == "'=1"  # this one alone cannot be told from an export's
    assert harmless("plain") == "plain"
    assert harmless("\tx") == "'\tx"


@pytest.mark.parametrize(
    "mapping",
    [
        {},
        {"first_name": 0},
        {"email": 0, "shoe": 1},
        {"email": 0, "properties.": 1},
        {"email": 0, "properties.a\0b": 1},
        {"email": True},
        {"email": "0"},
        {"email": -1},
        {"email": 0, **{f"properties.k{number}": number for number in range(1_001)}},
    ],
)
def test_a_mapping_that_cannot_be_is_refused(mapping: dict[str, int]) -> None:
    with pytest.raises(Invalid) as refused:
        check_mapping(mapping)
    assert refused.value.facts["field"].startswith("mapping")


def test_a_plan_of_an_export_comes_back_as_it_was_kept() -> None:
    plan = ExportPlan(
        format=ExportFormat.JSON,
        columns=[Column("E-mail", "email"), Column("plan", "properties.plan")],
        statuses={Status.COMPLAINED: "bounced"},
        filter=ContactFilter(
            status=[Status.SUBSCRIBED], source="api", search="ann", tags=["a"], list_id=new_id(),
            segment_id=new_id(), stage=[Stage.LEAD], created_after=1, created_before=2, emails=["a@b.test"],
        ),
    )  # fmt: skip
    assert ExportPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
