"""A report finds its message: by its address, else by any trace of us in what came back."""

from typing import Any

import pytest
from tests.unit.engine.content.factories import compose_parts, make_personal
from tests.unit.engine.delivery.feedback.reports import SEALER, STRANGER, TOKEN, report

from postrider.engine.content.model import Parts
from postrider.engine.delivery.feedback import Bounce, Complaint, Reason, Report, Unknown, Unsubscribe, read
from postrider.kit.seal import Sealer

STATUS = "Final-Recipient: rfc822; ann@example.org\nAction: failed\nStatus: 5.1.1\n"
OTHER = SEALER.message_token(7, bytes(16))
FOREIGN = STRANGER.message_token(7, bytes(range(16)))
COMPLAINT = (
    "From: fbl@provider.example\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\n\n"
    "--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n{}\n"
    "--b\nContent-Type: message/rfc822\n\n{}\n--b--\n"
)


def token_of(found: Report) -> str | None:
    assert isinstance(found, Bounce | Complaint)
    return found.token


def test_the_address_goes_before_what_came_back() -> None:
    raw = report(STATUS, returned=f"Return-Path: <b+{OTHER}@post.example>\nSubject: x\n\n")
    assert token_of(read(f"b+{TOKEN}", raw, SEALER)) == TOKEN
    assert token_of(read("b+nonsense", raw, SEALER)) == OTHER
    assert token_of(read("postmaster", raw, SEALER)) == OTHER


@pytest.mark.parametrize("local_part", [f"b+{TOKEN}", f"B+{TOKEN.upper()}", f" b+{TOKEN}"])
def test_servers_may_change_the_case_of_an_address(local_part: str) -> None:
    assert token_of(read(local_part, report(STATUS), SEALER)) == TOKEN


@pytest.mark.parametrize(
    "returned",
    [
        f"Return-Path: <b+{TOKEN}@post.example>\n\n",
        f"Return-Path: <SRS0=x1Yz=AB=post.example=b+{TOKEN}@forward.example>\n\n",
        f"Received-SPF: pass client-ip=192.0.2.1; envelope-from=b+{TOKEN}@post.example;\n\n",
        f"List-Unsubscribe: <https://post.example/track/u/{TOKEN}>\n\n",
        f"List-Unsubscribe: <mailto:unsubscribe+{TOKEN}@post.example>\n\n",
        f"List-Unsubscribe: <mailto:UNSUBSCRIBE%2B{TOKEN.upper()}@post.example>\n\n",
        f"X-Forwarded-Envelope: b+{TOKEN}@post.example\n\n",
        f"Subject: x\n\nSee https://post.example/track/c/{TOKEN}.3 for more.\n",
        f'Subject: x\n\n<img src=3D"https://post.example/track/o/{TOKEN[:20]}=\n{TOKEN[20:]}">\n',
    ],
)
def test_any_trace_of_us_in_the_returned_mail_will_do(returned: str) -> None:
    assert token_of(read("fbl", COMPLAINT.format("", returned).encode(), SEALER)) == TOKEN


def test_a_feedback_report_may_name_our_return_path_itself() -> None:
    raw = COMPLAINT.format(f"Original-Mail-From: <b+{TOKEN}@post.example>\n", "Subject: x\n\n").encode()
    assert token_of(read("fbl", raw, SEALER)) == TOKEN


def test_our_own_composer_leaves_a_trace() -> None:
    personal = make_personal(token=TOKEN, unsubscribe_mailto=f"unsubscribe+{TOKEN}@post.example")
    html = "<p>Hi <a href='https://shop.example/'>shop</a></p>"
    for switch in ("unsubscribe_header", "track_clicks", "track_opens"):
        given: dict[str, Any] = {switch: True}
        mail = compose_parts(Parts(html, None), personal, **given).as_bytes()
        raw = COMPLAINT.format("", "@").encode().replace(b"@\n", mail + b"\n")
        found = read("fbl", raw, SEALER)
        assert token_of(found) == TOKEN, switch
        assert isinstance(found, Complaint)
        assert found.message_id == "<00010203-0405-0607-0809-0a0b0c0d0e0f@example.test>"


@pytest.mark.parametrize("sealer", [SEALER, None])
def test_a_token_in_the_opt_out_address_opens_no_other_door(sealer: Sealer | None) -> None:
    assert token_of(read(f"unsubscribe+{TOKEN}", report(STATUS), sealer)) is None


def test_a_foreign_token_names_nothing() -> None:
    raw = report(STATUS, returned=f"Return-Path: <b+{FOREIGN}@post.example>\n\n")
    assert token_of(read(f"b+{FOREIGN}", raw, SEALER)) is None
    assert token_of(read(f"b+{FOREIGN}", raw, None)) == FOREIGN


def test_a_foreign_token_before_ours_does_not_hide_it() -> None:
    returned = f"Return-Path: <b+{FOREIGN}@post.example>\nX-Sender: <b+{TOKEN}@post.example>\n\n"
    assert token_of(read(f"b+{FOREIGN}", report(STATUS, returned=returned), SEALER)) == TOKEN


@pytest.mark.parametrize("local_part", [f"unsubscribe+{TOKEN}", f"Unsubscribe+{TOKEN.upper()}"])
def test_a_mail_to_the_opt_out_address_opts_out(local_part: str) -> None:
    assert read(local_part, b"", SEALER) == Unsubscribe(TOKEN)


@pytest.mark.parametrize(
    "local_part",
    ["unsubscribe", "unsubscribe+", "unsubscribe+x", f"unsubscribe+{FOREIGN}", f"unsubscribe+{TOKEN}a"],
)
def test_an_opt_out_needs_a_token_of_ours_in_its_address(local_part: str) -> None:
    raw = f"From: ann@example.org\nSubject: unsubscribe\n\nunsubscribe+{TOKEN}@post.example\n".encode()
    assert read(local_part, raw, SEALER) == Unknown(Reason.NOT_OURS)
