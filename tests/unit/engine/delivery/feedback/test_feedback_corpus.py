"""Every report of the corpus is read as its table says, and others who read it find the same recipient."""

import email
import email.policy
from collections import Counter
from typing import Any

import pytest
from flufl.bounce import all_failures
from tests.unit.engine.delivery.feedback.reports import CORPUS, MESSAGE_ID, SEALER, TOKEN, Sample, samples

from postrider.engine.delivery.feedback import (
    AutoReply,
    Bounce,
    Complaint,
    Delayed,
    Delivered,
    Report,
    Unknown,
    Unsubscribe,
    read,
)
from postrider.kit import clock

SAMPLES = samples()
UNDELIVERED = [sample for sample in SAMPLES if sample.expected["is"] in ("bounce", "delayed")]
UNDECODED = "dsn-with-xtext"  # flufl.bounce leaves xtext (RFC 3461 4) as it stands
REPORTS = [sample for sample in SAMPLES if b"message/delivery-status" in sample.raw]


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_a_report_is_read_as_the_table_says(sample: Sample) -> None:
    found = read(sample.local_part, sample.raw, SEALER)
    assert facts(found) == sample.expected, found


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_a_report_names_its_message(sample: Sample) -> None:
    found = read(sample.local_part, sample.raw, SEALER)
    if isinstance(found, Bounce | Delayed | Delivered | Unsubscribe):
        assert found.token == TOKEN


@pytest.mark.parametrize("sample", UNDELIVERED, ids=str)
def test_a_report_that_came_to_no_address_of_ours_finds_its_message_in_what_it_returns(
    sample: Sample,
) -> None:
    found = read("postmaster", sample.raw, SEALER)
    assert isinstance(found, Bounce | Delayed)
    assert (found.token is None) == (
        TOKEN.encode() not in sample.raw.partition(b"\n\n")[0] + returned(sample)
    )


def test_the_corpus_is_large_enough_to_mean_something() -> None:
    assert {path.stem for path in CORPUS.glob("*.eml")} == {sample.name for sample in SAMPLES}
    kinds = Counter(sample.expected["is"] for sample in SAMPLES)
    assert len(SAMPLES) >= 130
    assert kinds["bounce"] >= 80
    assert min(kinds.values()) >= 3
    classes = Counter(sample.expected.get("class") for sample in SAMPLES)
    assert min(classes["hard"], classes["soft"], classes["block"]) >= 15


def test_flufl_bounce_names_the_same_recipient_wherever_it_finds_one() -> None:
    agreed = 0
    for sample in UNDELIVERED:
        temporary, permanent = all_failures(email.message_from_bytes(sample.raw))
        theirs = {address.decode().lower() for address in permanent or temporary}
        if theirs and sample.name != UNDECODED:
            found = read(sample.local_part, sample.raw, SEALER)
            assert isinstance(found, Bounce | Delayed)
            ours = {found.final_recipient, found.original_recipient}
            assert theirs & {str(address).lower() for address in ours}, (sample.name, theirs, ours)
            agreed += 1
    assert agreed >= 60


def test_the_standard_library_reads_the_same_status() -> None:
    compared = 0
    for sample in REPORTS:
        found = read(sample.local_part, sample.raw, SEALER)
        for group in status_groups(sample.raw):
            mta = str(group.get("reporting-mta", "")).partition(";")[2].strip().partition(" (")[0]
            if mta and isinstance(found, Bounce | Delayed | Delivered):
                assert found.reporting_mta == mta, sample.name
                compared += 1
    assert compared >= 40


def test_the_standard_library_reads_the_same_complaint() -> None:
    compared = 0
    for sample in SAMPLES:
        found = read(sample.local_part, sample.raw, SEALER)
        for part in email.message_from_bytes(sample.raw).walk():
            if part.get_content_type() == "message/feedback-report":
                assert isinstance(found, Complaint)
                fields = email.message_from_string(str(part.get_payload(0)))
                assert found.user_agent == fields["user-agent"]
                assert found.feedback_type == fields["feedback-type"] or found.feedback_type == "other"
                compared += 1
    assert compared >= 8


def returned(sample: Sample) -> bytes:
    """What of the sample a search for tokens sees, as the standard library decodes it."""
    leaves = [part for part in email.message_from_bytes(sample.raw).walk() if not part.is_multipart()]
    payloads = b"".join(bytes(part.get_payload(decode=True) or b"") for part in leaves)
    heads = email.message_from_bytes(sample.raw).as_bytes()
    return payloads + heads


def status_groups(raw: bytes) -> list[Any]:
    parts = email.message_from_bytes(raw).walk()
    reports = [part for part in parts if part.get_content_type() == "message/delivery-status"]
    return [group for part in reports for group in part.get_payload() if not isinstance(group, str)]


def facts(found: Report) -> dict[str, Any]:
    """The report in the words of expected.toml."""
    match found:
        case Bounce():
            said = {"is": "bounce", "class": found.bounce_class, "action": None, **_of_recipient(found)}
        case Delayed():
            said = {"is": "delayed", "until": _time(found.retried_until), **_of_recipient(found)}
        case Delivered():
            said = {
                "is": "delivered",
                "action": found.action,
                "final": found.final_recipient,
                "original": found.original_recipient,
                "mta": found.reporting_mta,
            }
        case Complaint():
            said = {
                "is": "complaint",
                "type": found.feedback_type,
                "agent": found.user_agent,
                "ip": found.source_ip,
                "original": found.original_recipient,
                "at": _time(found.arrival_date),
                "objection": None if found.is_objection else False,
                "token": None if found.token == TOKEN else False,
                "message_id": None if found.message_id == MESSAGE_ID else False,
            }
        case AutoReply():
            said = {"is": "auto-reply", "kind": found.kind}
        case Unsubscribe():
            said = {"is": "unsubscribe"}
        case Unknown():
            said = {"is": "unknown", "reason": found.reason}
    return {name: value for name, value in said.items() if value is not None}


def _of_recipient(found: Bounce | Delayed) -> dict[str, Any]:
    return {
        "code": found.code,
        "enhanced": found.enhanced,
        "rule": found.rule,
        "final": found.final_recipient,
        "original": found.original_recipient,
        "mta": found.reporting_mta,
    }


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else clock.to_iso(at_ms).replace(".000Z", "Z")
