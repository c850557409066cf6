"""What machines send for people never counts as a bounce, and people who answer are not machines."""

import pytest
from tests.unit.engine.delivery.feedback.reports import at_return_path

from postrider.engine.delivery.feedback import AutoReply, AutoReplyKind, Bounce, Reason, Unknown

BODY = "My mailbox is full, the user is unknown: 550 5.1.1 <ann@example.org>\n"
VACATION, CHALLENGE, OTHER = AutoReplyKind.VACATION, AutoReplyKind.CHALLENGE, AutoReplyKind.OTHER


def mail(header: str, body: str = BODY, sender: str = "Ann <ann@example.org>") -> str:
    return f"From: {sender}\nContent-Type: text/plain; charset=utf-8\n{header}\n\n{body}"


@pytest.mark.parametrize(
    "subject",
    [
        "Out of office: hello",
        "Automatic reply: hello",
        "Auto Reply: hello",
        "I am on vacation",
        "Automatische Antwort: hello",
        "Abwesenheitsnotiz",
        "Réponse automatique : hello",
        "Absence du bureau",
        "Respuesta automática: hello",
        "Fuera de la oficina",
        "Resposta automática: hello",
        "Risposta automatica: hello",
        "Automatisch antwoord: hello",
        "Autosvar: hello",
        "Frånvaro: hello",
        "Automatisk svar: hello",
        "Automaattinen vastaus: hello",
        "Autoodpowiedź: hello",
        "Automatická odpověď: hello",
        "Automatikus válasz: hello",
        "Otomatik Yanıt: hello",
        "Αυτόματη απάντηση: hello",
        "Автоматический ответ: hello",
        "Автоматична відповідь: hello",
        "自动答复: hello",
        "自動回覆: hello",
        "自動応答: hello",
        "자동 회신: hello",
        "رد تلقائي: hello",
        "מענה אוטומטי: hello",
        "Trả lời tự động: hello",
    ],
)
def test_a_vacation_is_known_in_many_languages(subject: str) -> None:
    assert at_return_path(mail(f"Subject: {subject}")) == AutoReply(VACATION)


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("Subject: Re: hello\nAuto-Submitted: auto-replied", OTHER),
        ("Subject: Re: hello\nAuto-Submitted: auto-generated", OTHER),
        ("Subject: Re: hello\nX-Autoreply: yes", OTHER),
        ("Subject: Re: hello\nX-Autorespond: hello", OTHER),
        ("Subject: Re: hello\nPrecedence: auto_reply", OTHER),
        ("Subject: Re: hello\nPrecedence: Bulk", OTHER),
        ("Subject: Re: hello\nX-Precedence: junk", OTHER),
        ("Subject: Re: hello\nX-Auto-Response-Suppress: All", OTHER),
        ("Subject: Re: hello\nX-POST-MessageClass: 9; Autoresponder", OTHER),
        ("Subject: Re: hello\nReturn-Path: <>\nAuto-Submitted: auto-replied", OTHER),
        ("Subject: hello\nX-Vacation: yes", VACATION),
        ("Subject: Please confirm your message\nAuto-Submitted: auto-replied", CHALLENGE),
        ("Subject: hello\nX-BoxTrapper-Queue: 1", CHALLENGE),
        ("Subject: Thank you for contacting us", OTHER),
    ],
)
def test_a_header_tells_a_machine(header: str, kind: AutoReplyKind) -> None:
    assert at_return_path(mail(header)) == AutoReply(kind)


@pytest.mark.parametrize(
    "header",
    [
        "Subject: Re: hello",
        "Subject: Re: hello\nAuto-Submitted: no",
        "Subject: AW: Urlaub im Süden",
        "Subject: Re: Undelivered Mail Returned to Sender",
        "Subject: Fwd: failure notice",
        "Subject: hello",
        "",
    ],
)
def test_a_person_who_answers_is_a_person(header: str) -> None:
    assert at_return_path(mail(header)) == Unknown(Reason.REPLY)


def test_a_bounce_is_a_bounce_though_it_calls_itself_an_automatic_reply() -> None:
    header = "Subject: Mail delivery failed\nAuto-Submitted: auto-replied\nPrecedence: bulk"
    found = at_return_path(mail(header, "<ann@example.org>: 550 5.1.1 unknown\n", "MAILER-DAEMON@mx.example"))
    assert isinstance(found, Bounce)


def test_a_null_sender_alone_makes_no_bounce() -> None:
    assert at_return_path(mail("Subject: hello\nReturn-Path: <>", "Hello!\n")) == Unknown(Reason.REPLY)


def test_a_null_sender_and_talk_of_deliveries_make_none_either() -> None:
    body = "Thank you! If the delivery of your parcel has failed, our policy is to try again.\n"
    assert at_return_path(mail("Subject: hello\nReturn-Path: <>", body)) == Unknown(Reason.REPLY)


def test_a_null_sender_and_the_words_of_a_failure_do() -> None:
    header = "Subject: hello\nReturn-Path: <>"
    found = at_return_path(mail(header, "Your mail could not be delivered.\n\n550 5.1.1 unknown\n"))
    assert isinstance(found, Bounce)
