"""What real receivers say, and what it must be taken for."""

import pytest

from postrider.engine.delivery.classify import (
    BounceClass,
    Category,
    InvalidRules,
    Verdict,
    classify,
    read_rules,
)
from postrider.engine.delivery.replies import ReplyReader, Stage

HARD, SOFT, BLOCK = BounceClass.HARD, BounceClass.SOFT, BounceClass.BLOCK
# A reply as it stands on the wire, whether it is bounced (!) or deferred (~) or failed (x), class, category.
AT_RCPT = """
550 5.1.1 User unknown | ! hard unknown_user
552 5.2.2 Mailbox full | ! soft mailbox_full
452 4.2.2 Mailbox full | ~ soft mailbox_full
553 5.3.0 Domain does not exist | ! hard domain_invalid
553 5.3.0 Refused | ! hard domain_invalid
554 5.7.1 Message refused | ! block policy
550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking - gsmtp | ! hard unknown_user
550 5.2.1 The email account that you tried to reach is disabled. Learn more at https://support.google.com | ! hard unknown_user
452 4.2.2 The email account that you tried to reach is over quota. Please direct the recipient to - gsmtp | ~ soft mailbox_full
450 4.2.1 The user you are trying to contact is receiving mail too quickly. Please resend later - gsmtp | ~ soft rate
421 4.7.0 Try again later, closing connection. (EHLO) a1si123.4 - gsmtp | ~ block policy
550 5.4.1 Recipient address rejected: Access denied. AS(201806281) [BN8NAM12FT0.outlook.com] | ! hard unknown_user
550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient x@y.example not found by SMTP address lookup | ! hard unknown_user
550 5.7.1 RESOLVER.RST.NotAuthorized; not authorized to send to this group | ! block policy
550 5.7.606 Access denied, banned sending IP [1.2.3.4] | ! block blocklist
550 5.7.64 TenantAttribution; Relay Access Denied | ! block policy
451 4.7.500 Server busy. Please try again later from [1.2.3.4]. (AS77712240) | ~ block rate
550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302). | ! hard unknown_user
550 5.7.1 Unfortunately, messages from [1.2.3.4] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140). | ! block blocklist
421 4.7.0 RP-001 The mail server IP connecting has exceeded the rate limit allowed | ~ block rate
421 4.7.0 [TSS04] Messages from 1.2.3.4 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1 | ~ block reputation
554 5.7.9 Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes | ! block policy
554 delivery error: dd This user doesn't have a yahoo.com account (x@yahoo.com) [0] - mta1.mail.yahoo.com | ! hard unknown_user
554 delivery error: dd Sorry your message to x@aol.com cannot be delivered. This mailbox is disabled (554.30) | ! hard unknown_user
552 1 Requested mail action aborted, mailbox not found | ! hard unknown_user
550 5.1.1 <x@icloud.com>: user does not exist | ! hard unknown_user
552 5.2.2 <x@icloud.com>: user is over quota | ! soft mailbox_full
554 5.7.1 [CS01] Message rejected due to local policy. Please visit https://support.apple.com/en-us/HT204137 | ! block policy
550 5.1.1 Not our Customer | ! hard unknown_user
554 resimta-po-11v.sys.comcast.net comcast 1.2.3.4 Comcast block for spam. Please see http://postmaster.comcast.net/smtp-error-codes.php#BL000000 | ! block blocklist
421 4.1.0 Sender IP has too many concurrent sessions | ~ - rate
550 Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550 [abc] | ! block policy
554 Email rejected due to security policies - https://community.mimecast.com/docs/DOC-1369#554 | ! block policy
451 Internal resources are temporarily unavailable - https://community.mimecast.com/docs/DOC-1369#451 | ~ - greylist
554 Blocked - see https://ipcheck.proofpoint.com/?ip=1.2.3.4 | ! block blocklist
550 5.7.1 Service unavailable; Client host [1.2.3.4] blocked using Barracuda Reputation; http://www.barracudanetworks.com/reputation/?r=1 | ! block blocklist
554 5.7.1 Service unavailable; Client host [1.2.3.4] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/1.2.3.4 | ! block blocklist
550 5.7.1 Mail from 1.2.3.4 refused by blackhole site bl.spamcop.net | ! block blocklist
554 Your access to this mail system has been rejected due to the sending MTA's poor reputation. | ! block reputation
550 5.7.1 1.2.3.4 listed at dnsbl.sorbs.net | ! block blocklist
421 Your IP is listed in our RBL, try later | ~ block blocklist
450 4.2.0 <x@y.example>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/y.example.html | ~ - greylist
451 4.7.1 Greylisting in action, please come back later | ~ - greylist
550 5.7.1 Graylisted, try again in 300 seconds | ~ - greylist
450 4.3.2 Please try again in 5 minutes | ~ - greylist
550 5.7.1 Unauthenticated email from x.example is not accepted due to domain's DMARC policy. | ! block policy
550 5.7.23 The message was rejected because of Sender Policy Framework violation | ! block policy
550 SPF check failed: 1.2.3.4 is not allowed to send mail from x.example | ! block policy
550 5.7.20 No passing DKIM signature found | ! block policy
550 5.7.25 The IP address sending this message does not have a PTR record setup | ! block policy
450 4.7.1 Client host rejected: cannot find your reverse hostname, [1.2.3.4] | ~ block policy
554 5.7.1 <[1.2.3.4]>: Helo command rejected: dynamic IP | ! block policy
421 4.7.0 Too many connections from your IP | ~ - rate
421 4.3.2 Connection rate limit exceeded | ~ - rate
452 4.5.3 Too many recipients | ~ - rate
450 4.7.1 Error: too much mail from 1.2.3.4, you have exceeded the hourly limit | ~ - rate
550 5.7.1 Daily sending quota exceeded | ~ block rate
452 4.3.1 Insufficient system storage | ~ soft mailbox_full
552 Requested mail action aborted: exceeded storage allocation | ! soft mailbox_full
550 Mailbox is full / Blocks limit exceeded / Inode limit exceeded | ! soft mailbox_full
554 5.2.2 Postfach voll | ! soft mailbox_full
550 La boîte aux lettres est pleine: boîte pleine | ! soft mailbox_full
552 Quota exceeded (mailbox for user is full) | ! soft mailbox_full
550 User unknown | ! hard unknown_user
550 No such user here | ! hard unknown_user
550 5.1.1 <x@y.example>: Recipient address rejected: User unknown in local recipient table | ! hard unknown_user
550 Unrouteable address | ! hard unknown_user
553 sorry, no mailbox here by that name. (#5.1.1) | ! hard unknown_user
511 sorry, no mailbox here by that name (#5.1.1 - chkuser) | ! hard unknown_user
550 5.1.1 unknown or illegal alias: x@y.example | ! hard unknown_user
550 Requested action not taken: mailbox unavailable | ! hard unknown_user
550 Address unknown | ! hard unknown_user
550 User x (x@y.example) not listed in Domino Directory | ! hard unknown_user
550 The account has been disabled or discontinued | ! hard unknown_user
551 5.1.6 Recipient has moved, please try elsewhere | ! hard unknown_user
501 5.1.3 Bad recipient address syntax | ! hard unknown_user
550 Empfänger unbekannt | ! hard unknown_user
550 Utilisateur inconnu | ! hard unknown_user
550 El usuario no existe | ! hard unknown_user
550 Utente sconosciuto | ! hard unknown_user
550 Usuário desconhecido | ! hard unknown_user
550 Gebruiker onbekend | ! hard unknown_user
550 Пользователь не найден | ! hard unknown_user
550 用户不存在 | ! hard unknown_user
450 4.1.1 <x@y.example>: Recipient address rejected: User unknown in local recipient table | ~ - unknown_user
450 4.1.1 <x@y.example>: Recipient address rejected: unverified address: connect to mx | ~ - unknown_user
556 5.1.10 Domain accepts no mail | ! hard domain_invalid
550 5.1.2 Bad destination system address | ! hard domain_invalid
550 5.4.4 Unable to route: no mail hosts for domain | ! hard domain_invalid
550 We do not host y.example | ! hard domain_invalid
554 5.7.1 <x@y.example>: Relay access denied | ! block policy
550 relaying denied | ! block policy
553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1) | ! block policy
550 5.1.8 <a@b.example>: Sender address rejected: Domain not found | ! block policy
553 5.1.8 Domain of sender address a@b.example does not exist | ! block policy
550 Sender verify failed | ! block policy
530 5.7.0 Must issue a STARTTLS command first | ~ - tls
530 5.7.0 Authentication required | ~ - auth
421 4.3.0 Service shutting down | ~ - other
421 Service not available, closing transmission channel | ~ - connection
450 4.3.0 Temporary lookup failure | ~ - other
451 Requested action aborted: local error in processing | ~ - other
550 Go away | ! hard unknown_user
503 5.5.1 Bad sequence of commands | x - protocol
554 5.3.0 Transaction failed | ! block other
"""
AT_END = """
550 5.7.26 This mail has been blocked because the sender is unauthenticated. Gmail requires all senders to authenticate - gsmtp | ! block policy
421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address. - gsmtp | ~ block rate
421 4.7.28 [1.2.3.4 15] Our system has detected an unusual rate of unsolicited mail - gsmtp | ~ block rate
550 5.7.1 [1.2.3.4 12] Our system has detected that this message is likely unsolicited mail. - gsmtp | ! block spam
550 5.7.1 [1.2.3.4] Gmail has detected that this message is likely suspicious due to the very low reputation of the sending domain. | ! block reputation
552 5.7.0 This message was blocked because its content presents a potential security issue. - gsmtp | ! block content
552 5.3.4 Message size exceeds fixed maximum message size | ! block too_large
552 5.3.4 Your message exceeded Google's message size limits. | ! block too_large
550 5.7.515 Access denied, sending domain X.EXAMPLE doesn't meet the required authentication level. | ! block policy
550 5.7.1 Message contains a virus | ! block content
554 5.7.1 Message scored too high on spam scale | ! block spam
550 spam message rejected. Please visit http://help.mail.ru/notspam-support/id?c=x | ! block spam
550 5.6.0 Lone CR or LF in headers (see RFC2822 section 2.2) | ! block content
550 High probability of spam | ! block spam
554 5.7.1 The file type .exe is not allowed | ! block content
550 Message rejected | ! block other
451 4.7.1 Message temporarily deferred due to reputation | ~ block reputation
554 Transaction failed | ! block other
"""
AT_GREETING = """
554 mx.y.example ESMTP not accepting connections | ! block reputation
421 mx.y.example too busy | ~ - rate
554 5.7.1 Access denied by Talos, see talosintelligence.com | ! block reputation
"""
SIGNS = {"!": Verdict.BOUNCED, "~": Verdict.DEFERRED, "x": Verdict.FAILED}


def _rows() -> list[tuple[str, Stage, Verdict, BounceClass | None, Category]]:
    rows = []
    for stage, table in ((Stage.RCPT, AT_RCPT), (Stage.END, AT_END), (Stage.GREETING, AT_GREETING)):
        for line in table.strip().splitlines():
            wire, _, meaning = line.rpartition(" | ")
            sign, name, category = meaning.split()
            bounce_class = None if name == "-" else BounceClass(name)
            rows.append((wire, stage, SIGNS[sign], bounce_class, Category(category)))
    return rows


ROWS = _rows()


@pytest.mark.parametrize(("wire", "stage", "verdict", "bounce_class", "category"), ROWS)
def test_a_reply_is_taken_for_what_it_means(
    wire: str, stage: Stage, verdict: Verdict, bounce_class: BounceClass | None, category: Category
) -> None:
    reply = ReplyReader().feed(wire.encode() + b"\r\n")[0]
    found = classify(reply.code, reply.enhanced, reply.text, stage)
    assert (found.verdict, found.bounce_class, found.category) == (verdict, bounce_class, category), (
        found.rule
    )


def test_the_table_is_large_enough_to_mean_something() -> None:
    assert len(ROWS) >= 80
    assert {row[4] for row in ROWS} >= set(Category) - {Category.CONNECTION, Category.PROTOCOL}


@pytest.mark.parametrize(
    ("text", "stage", "category"),
    [
        ("connection refused", Stage.CONNECT, Category.CONNECTION),
        ("timed out", Stage.RCPT, Category.CONNECTION),
        ("connection closed by the peer", Stage.END, Category.CONNECTION),
        ("TLS handshake failed: WRONG_VERSION_NUMBER", Stage.STARTTLS, Category.TLS),
        ("neither AUTH PLAIN nor LOGIN is offered", Stage.AUTH, Category.AUTH),
        ("not a reply: HTTP/1.1 400 Bad Request", Stage.GREETING, Category.PROTOCOL),
    ],
)
def test_silence_defers_and_blames_nobody(text: str, stage: Stage, category: Category) -> None:
    found = classify(None, "4.4.2", text, stage)
    assert (found.verdict, found.bounce_class, found.category) == (Verdict.DEFERRED, None, category)


def test_only_an_accepted_end_of_data_is_delivered() -> None:
    assert classify(250, "2.0.0", "queued", Stage.END).verdict is Verdict.DELIVERED
    assert classify(250, "2.1.5", "ok", Stage.RCPT).verdict is Verdict.DEFERRED


def test_a_refused_login_at_a_relay_costs_no_mail() -> None:
    found = classify(535, "5.7.8", "Authentication credentials invalid", Stage.AUTH)
    assert (found.verdict, found.category) == (Verdict.DEFERRED, Category.AUTH)


def test_trouble_with_our_address_rests_the_whole_site() -> None:
    assert classify(421, "4.7.28", "unusual rate of unsolicited mail", Stage.END).back_off_s == 3600
    assert classify(421, "4.7.0", "[TSS04] temporarily deferred", Stage.MAIL).back_off_s == 14400
    assert classify(550, "5.1.1", "user unknown", Stage.RCPT).back_off_s is None


def test_an_enhanced_prefix_covers_whole_numbers_only() -> None:
    rules = read_rules(
        '[[rule]]\nid = "a"\nenhanced = ["5.7.1"]\nclass = "block"\ncategory = "policy"\n'
        '[[rule]]\nid = "b"\nclass = "none"\ncategory = "other"\n'
    )
    assert rules[0].matches("550", "5.7.1.", "", Stage.RCPT)
    assert not rules[0].matches("550", "5.7.10.", "", Stage.RCPT)


LAST = '[[rule]]\nid = "z"\nclass = "none"\ncategory = "other"\n'


@pytest.mark.parametrize(
    "source",
    [
        "",
        "rule = 3",
        "not toml",
        LAST + LAST,
        "other = 1\n" + LAST,
        '[[rule]]\nid = "a"\nclass = "none"\ncategory = "other"\ntext = "("\n' + LAST,
        '[[rule]]\nid = "a"\nclass = "sour"\ncategory = "other"\n' + LAST,
        '[[rule]]\nid = "a"\nclass = "none"\ncategory = "weather"\n' + LAST,
        '[[rule]]\nid = "a"\nclass = "none"\n' + LAST,
        '[[rule]]\nid = "a"\nclass = "none"\ncategory = "other"\ncolour = "red"\n' + LAST,
        '[[rule]]\nid = "a"\nclass = "none"\ncategory = "other"\ncode = ["250"]\n' + LAST,
        '[[rule]]\nid = "a"\nclass = "none"\ncategory = "other"\ncode = [550]\n' + LAST,
        '[[rule]]\nid = "a"\nclass = "none"\ncategory = "other"\ncode = []\n' + LAST,
        '[[rule]]\nid = "a"\nclass = "none"\ncategory = "other"\nstage = ["lunch"]\n' + LAST,
        '[[rule]]\nid = "a"\nclass = "none"\ncategory = "other"\nverdict = "bounced"\n' + LAST,
        '[[rule]]\nid = "a"\nclass = "none"\ncategory = "other"\ncode = ["5"]\n',
    ],
)
def test_faulty_rules_are_refused_on_load(source: str) -> None:
    with pytest.raises(InvalidRules):
        read_rules(source)


def test_a_long_reply_is_classified_quickly() -> None:
    text = "user " * 4_000 + "x" * 4_000
    assert classify(550, None, text, Stage.RCPT).verdict is Verdict.BOUNCED
