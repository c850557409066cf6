"""The dialogue alone, without sockets."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrider.surfaces.common.smtp.auth import Credentials
from postrider.surfaces.common.smtp.commands import Close, Dialogue, Receive, StartTls
from postrider.surfaces.common.smtp.options import SmtpOptions

from .office import Office


def dialogue(
    *lines: str, trusted: bool = True, tls: bool = False, options: SmtpOptions | None = None
) -> Dialogue[str]:
    talk = Dialogue(
        Office(),
        options or SmtpOptions(hostname="mx.test"),
        tls_available=True,
        trusted="trusted" if trusted else None,
    )
    if tls:
        talk.secured()
    for line in lines:
        talk.answer(line.encode())
    return talk


def said(talk: Dialogue[str], line: str | bytes) -> str:
    """The code and enhanced code of a reply; of the reply that closes, with a full stop."""
    answer = talk.answer(line.encode() if isinstance(line, str) else line)
    match answer:
        case bytes():
            return " ".join(answer.decode("ascii").split()[:2])
        case Close(reply):
            return " ".join(reply.decode("ascii").split()[:2]) + "."
        case _:
            return type(answer).__name__


OPEN = ("EHLO c.test", "MAIL FROM:<a@x.test>")


def test_ehlo_announces_what_is_there() -> None:
    answer = dialogue(trusted=False).answer(b"EHLO c.test")
    assert isinstance(answer, bytes)
    assert answer.decode().splitlines() == [
        "250-mx.test",
        "250-PIPELINING",
        "250-SIZE 26214400",
        "250-STARTTLS",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250 ENHANCEDSTATUSCODES",
    ]


def test_auth_is_announced_only_after_tls() -> None:
    answer = dialogue(trusted=False, tls=True).answer(b"EHLO c.test")
    assert isinstance(answer, bytes)
    assert b"250-AUTH PLAIN LOGIN\r\n" in answer
    assert b"STARTTLS" not in answer


@pytest.mark.parametrize(
    ("before", "line", "reply"),
    [
        ((), "MAIL FROM:<a@x.test>", "503 5.5.1"),
        ((), "RCPT TO:<b@y.test>", "503 5.5.1"),
        ((), "DATA", "503 5.5.1"),
        ((), "AUTH PLAIN", "503 5.5.1"),
        ((), "NOOP with words", "250 2.0.0"),
        ((), "RSET", "250 2.0.0"),
        ((), "VRFY b", "252 2.0.0"),
        ((), "HELP", "214 2.0.0"),
        ((), "QUIT", "221 2.0.0."),
        ((), "BDAT 5 LAST", "500 5.5.1"),
        ((), "", "500 5.5.1"),
        ((), "GET / HTTP/1.1", "421 4.7.0."),
        ((), "EHLO", "501 5.5.4"),
        ((), "EHLO two words", "501 5.5.4"),
        ((), "HELO " + "x" * 256, "501 5.5.4"),
        ((), "STARTTLS", "StartTls"),
        ((), "STARTTLS now", "501 5.5.4"),
        (("EHLO c",), "RCPT TO:<b@y.test>", "503 5.5.1"),
        (("EHLO c",), "mail from:<a@x.test>", "250 2.1.0"),
        (("EHLO c",), "MAIL FROM:<>", "553 5.7.1"),
        (("EHLO c",), "MAIL FROM:<other@x.test>", "553 5.7.1"),
        (("EHLO c",), "MAIL FROM:<a@[127.0.0.1]>", "501 5.1.3"),
        (("EHLO c",), "MAIL FROM:a@x.test", "501 5.5.4"),
        (("EHLO c",), "MAIL FROM:<a@x.test> SIZE=100 BODY=8bitmime SMTPUTF8 AUTH=<>", "250 2.1.0"),
        (("EHLO c",), "MAIL FROM:<a@x.test> SIZE=26214401", "552 5.3.4"),
        (("EHLO c",), "MAIL FROM:<a@x.test> SIZE=-1", "501 5.5.4"),
        (("EHLO c",), "MAIL FROM:<a@x.test> SIZE", "501 5.5.4"),
        (("EHLO c",), "MAIL FROM:<a@x.test> SIZE=" + "9" * 999, "501 5.5.4"),
        (("EHLO c",), "MAIL FROM:<a@x.test> BODY=BINARYMIME", "501 5.5.4"),
        (("EHLO c",), "MAIL FROM:<a@x.test> RET=HDRS", "555 5.5.4"),
        (("EHLO c",), "MAIL FROM:<ä@x.test>", "553 5.6.7"),
        (("EHLO c",), "MAIL FROM:<ä@x.test> SMTPUTF8", "250 2.1.0"),
        (("EHLO c",), b"MAIL FROM:<\xff@x.test> SMTPUTF8", "500 5.5.2"),
        (("EHLO c",), "MAIL FROM:<a\0@x.test>", "500 5.5.2"),
        (("EHLO c",), "MAIL FROM:<a@x.test>\rRSET", "500 5.5.2"),
        (("EHLO c",), "MAIL FROM:<a@x.test> X=" + "x" * 2_048, "500 5.5.6"),
        (OPEN, "MAIL FROM:<a@x.test>", "503 5.5.1"),
        (OPEN, "AUTH PLAIN", "503 5.5.1"),
        (OPEN, "DATA", "554 5.5.1"),
        (OPEN, "RCPT TO:<b@y.test>", "250 2.1.5"),
        (OPEN, "RCPT TO:<nobody@y.test>", "550 5.1.1"),
        (OPEN, "RCPT TO:<b@y.test> NOTIFY=NEVER", "555 5.5.4"),
        (OPEN, "RCPT TO:<ä@y.test>", "553 5.6.7"),
        ((*OPEN, "RCPT TO:<b@y.test>"), "DATA", "Receive"),
        ((*OPEN, "RCPT TO:<b@y.test>"), "DATA x", "501 5.5.4"),
        ((*OPEN, "RCPT TO:<b@y.test>", "RSET"), "DATA", "503 5.5.1"),
        ((*OPEN, "RCPT TO:<b@y.test>", "EHLO again"), "DATA", "503 5.5.1"),
    ],
)
def test_command_is_answered(before: tuple[str, ...], line: str | bytes, reply: str) -> None:
    assert said(dialogue(*before), line) == reply


def test_mail_before_auth_is_refused() -> None:
    assert said(dialogue("EHLO c", trusted=False), "MAIL FROM:<a@x.test>") == "530 5.7.0"


@pytest.mark.parametrize("tls", [False, True])
def test_where_nothing_is_submitted_auth_is_neither_announced_nor_taken(tls: bool) -> None:
    options = SmtpOptions(is_submission=False, auth_without_tls=True)
    talk = dialogue(tls=tls, options=options)
    greeting = talk.answer(b"EHLO c.test")
    assert isinstance(greeting, bytes)
    assert b"AUTH" not in greeting
    assert said(talk, "AUTH PLAIN AGFubmEAc2VjcmV0") == "502 5.5.1"
    assert said(talk, "MAIL FROM:<a@x.test> AUTH=<>") == "555 5.5.4"
    assert said(talk, "MAIL FROM:<a@x.test>") == "250 2.1.0"


def test_auth_without_tls_is_refused_unless_allowed() -> None:
    assert said(dialogue("EHLO c", trusted=False), "AUTH PLAIN") == "538 5.7.11"
    allowed = SmtpOptions(auth_without_tls=True)
    assert said(dialogue("EHLO c", trusted=False, options=allowed), "AUTH PLAIN") == "334"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "lines",
    [
        ("AUTH PLAIN " + b64("\0anna\0secret"),),
        ("auth plain " + b64("anna\0anna\0secret"),),
        ("AUTH PLAIN", b64("\0anna\0secret")),
        ("AUTH LOGIN", b64("anna"), b64("secret")),
        ("AUTH LOGIN " + b64("anna"), b64("secret")),
    ],
)
def test_credentials_are_read(lines: tuple[str, ...]) -> None:
    talk = dialogue(
        "EHLO c", *lines[:-1], trusted=False, tls=False, options=SmtpOptions(auth_without_tls=True)
    )
    assert talk.answer(lines[-1].encode()) == Credentials("anna", "secret")


def test_login_asks_for_username_and_password() -> None:
    talk = dialogue("EHLO c")
    assert talk.answer(b"AUTH LOGIN") == b"334 " + b64("Username:").encode() + b"\r\n"
    assert talk.answer(b64("anna").encode()) == b"334 " + b64("Password:").encode() + b"\r\n"


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        (("AUTH PLAIN", "*"), "501 5.7.0"),
        (("AUTH LOGIN", b64("anna"), "*"), "501 5.7.0"),
        (("AUTH PLAIN !!!",), "501 5.5.2"),
        (("AUTH PLAIN =",), "501 5.5.2"),
        (("AUTH PLAIN", "ä"), "501 5.5.2"),
        (("AUTH PLAIN", "x" * 12_288), "501 5.5.2"),
        (("AUTH PLAIN " + b64("\0anna"),), "501 5.5.2"),
        (("AUTH PLAIN " + b64("bert\0anna\0secret"),), "501 5.5.2"),
        (("AUTH PLAIN " + "/w==",), "501 5.5.2"),
        (("AUTH CRAM-MD5",), "504 5.5.4"),
        (("AUTH",), "504 5.5.4"),
        (("AUTH PLAIN", "*", "NOOP"), "250 2.0.0"),
    ],
)
def test_broken_auth_is_answered(lines: tuple[str, ...], reply: str) -> None:
    assert said(dialogue("EHLO c", *lines[:-1]), lines[-1]) == reply


def test_auth_line_may_be_long() -> None:
    talk = dialogue("EHLO c")
    assert talk.answer(b"AUTH PLAIN " + b64("\0anna\0" + "x" * 8_000).encode()) == Credentials(
        "anna", "x" * 8_000
    )


def test_third_failed_auth_hangs_up() -> None:
    talk = dialogue("EHLO c")
    assert [type(talk.authenticated(None)) for _ in range(3)] == [bytes, bytes, Close]


def test_second_auth_is_refused() -> None:
    talk = dialogue("EHLO c")
    talk.authenticated("anna")
    assert said(talk, "AUTH PLAIN") == "503 5.5.1"


def test_tls_forgets_everything_said_before() -> None:
    talk = dialogue(*OPEN, trusted=False, options=SmtpOptions(auth_without_tls=True))
    talk.authenticated("anna")
    talk.secured()
    assert (talk.session, talk.transaction, talk.helo) == (None, None, "")
    assert said(talk, "MAIL FROM:<a@x.test>") == "503 5.5.1"
    assert said(talk, "STARTTLS") == "503 5.5.1"


def test_starttls_without_a_certificate_is_refused() -> None:
    talk = Dialogue(Office(), SmtpOptions(), tls_available=False, trusted=None)
    assert said(talk, "STARTTLS") == "502 5.5.1"


def test_recipients_beyond_the_limit_are_put_off() -> None:
    talk = dialogue(*OPEN, options=SmtpOptions(recipients_max=2))
    assert [said(talk, "RCPT TO:<b@y.test>") for _ in range(3)] == ["250 2.1.5", "250 2.1.5", "452 4.5.3"]
    assert isinstance(talk.answer(b"DATA"), Receive)


def test_too_many_errors_hang_up() -> None:
    talk = dialogue()
    assert [said(talk, "WHAT") for _ in range(20)] == ["500 5.5.1"] * 19 + ["421 4.7.0."]


def test_bad_recipients_do_not_count_as_errors() -> None:
    talk = dialogue(*OPEN)
    for _ in range(50):
        assert said(talk, "RCPT TO:<a..b@y.test>") == "501 5.1.3"
        assert said(talk, "RCPT TO:<nobody@y.test>") == "550 5.1.1"


def test_messages_on_one_connection_are_limited() -> None:
    talk = dialogue(*OPEN, options=SmtpOptions(messages_max=1))
    talk.take_transaction()
    assert said(talk, "MAIL FROM:<a@x.test>") == "421 4.7.0."


_WORDS = st.sampled_from(
    [
        b"EHLO",
        b"MAIL",
        b"RCPT",
        b"DATA",
        b"AUTH",
        b"PLAIN",
        b"LOGIN",
        b" ",
        b"FROM:<",
        b"TO:<",
        b">",
        b"a@x.test",
    ]
)


@given(st.lists(st.lists(_WORDS | st.binary(max_size=9), max_size=8).map(b"".join), max_size=12))
def test_no_bytes_raise(lines: list[bytes]) -> None:
    talk = dialogue("EHLO c", options=SmtpOptions(errors_max=1_000))
    for line in lines:
        answer = talk.answer(line)
        assert isinstance(answer, bytes | Close | Receive | StartTls | Credentials)
        if isinstance(answer, bytes):
            assert answer.endswith(b"\r\n")
            assert answer.isascii()
