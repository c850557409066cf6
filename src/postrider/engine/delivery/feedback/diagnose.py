"""What a mail system said of a failure, taken apart and given a class.

What holds a reply of SMTP is read by `delivery.replies` and judged by classify.toml, as the same reply would
be in a dialogue of ours. What a system says in its own words, without a code, is looked for in bounces.toml
first.
"""

import re
from dataclasses import dataclass

from postrider.engine.delivery.classify import BounceClass, Category, Classified, Verdict, classify
from postrider.engine.delivery.feedback.tables import phrase_for
from postrider.engine.delivery.replies import MalformedReply, ReplyReader, Stage

DIAGNOSTIC_MAX_CHARS = 1_000
LINE_MAX_OCTETS = 1_900  # below what a reply's line may have, with room for its code
UNEXPLAINED = "unexplained"

_ENHANCED = r"#?[245]\.\d{1,3}\.\d{1,3}(?![.\d])"
# Where a reply begins, from the surest sign to the least sure.
_REPLIES = (
    re.compile(rf"(?<![\w.#-])#?([245]\d\d)(?:[ -]|; ?|: ?)(?={_ENHANCED})"),
    re.compile(r"^\W{0,4}([245]\d\d)(?=[\s:;,)-]|$)"),
    re.compile(
        r"(?:said|was|returned|replied|respon\w+|reply|error|error_?code|reason|code|message|problem|smtp|<<<|with)"
        r"\W{1,6}([245]\d\d)(?=[\s:;,)\]'\"-]|$)",
        re.IGNORECASE,
    ),
    re.compile(r"[:\])>\n]\s{0,8}([245]\d\d)(?=[ -]\S)"),
)
_LOOSE_ENHANCED = re.compile(r"(?<![\d.\w-])#?([45]\.[0-7]\.\d{1,3})(?![\d.]*\d)")
_TYPE = re.compile(r"^\s*(?:smtp|x-[\w-]+|dns|unknown|local|\w{1,20}(?=; ?[245]\d\d))\s*;\s*", re.IGNORECASE)
_AFTER = re.compile(r"\s(?:Giving up on \S+|I.m not going to try again\b).*", re.DOTALL)  # qmail's own words
_ASIDE = re.compile(r"\s*\(in reply to [^()]{1,60}\)\s*$|\s*\[RCPT_TO\]\s*$", re.IGNORECASE)
_STAGES = tuple(
    (re.compile(pattern, re.IGNORECASE), stage)
    for pattern, stage in (
        (
            r"end of (?:the )?(?:data|message)|after I sent the message|final data|pipelined|\(state 1[78]\)",
            Stage.END,
        ),
        (
            r"(?:reply to|after|response to|>>>|following|sent:|smtp:|for|\[|error in|like our) ?"
            r"(?:the )?rcpt|does not like recipient|\brcpt to response|\(state 1[34]\)",
            Stage.RCPT,
        ),
        (
            r"(?:reply to|after|response to|>>>|following|sent:|smtp:|for|\[) ?(?:the )?mail.?from|"
            r"sender was rejected",
            Stage.MAIL,
        ),
        (r"(?:reply to|after|response to|following|for) (?:the )?data\b|failed on DATA", Stage.DATA),
        (r"(?:initial|on|upon|after) (?:the )?(?:connection|connect)\b|greeting", Stage.GREETING),
        (r"(?:reply to|after|response to|following) (?:the )?(?:ehlo|helo)|my name was rejected", Stage.EHLO),
    )
)


@dataclass(frozen=True, slots=True)
class Said:
    """A diagnostic taken apart; `text` is without codes where there is a reply in it."""

    code: int | None
    enhanced: str | None
    text: str
    stage: Stage


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a failure comes to. `bounce_class` is what it means where the sending system has given up."""

    code: int | None
    enhanced: str | None
    text: str
    rule: str
    category: Category
    bounce_class: BounceClass


def diagnose(diagnostic: str, status: str | None = None, *, beside: str = "") -> Diagnosis:
    """The diagnosis of a text in any of the usual shapes, and of a status (RFC 3463) said with it.

    `beside` is what else tells at which command it was said.
    """
    text = " ".join(diagnostic.split())[:DIAGNOSTIC_MAX_CHARS]
    said = take_apart(text, _stage(text) or _stage(beside[:DIAGNOSTIC_MAX_CHARS]) or Stage.END)
    enhanced = said.enhanced or status
    is_bare = said.code is None and (enhanced is None or enhanced.endswith(".0.0"))
    found = _phrase(said.text, bare=is_bare) or _classified(said, enhanced)
    return Diagnosis(said.code, enhanced, text, found.rule, found.category, _class_of(found))


def says_nothing(diagnostic: str) -> bool:
    """Whether a diagnostic is a type without words: `smtp;`, or `x-unix; 77`, which is an exit status."""
    told = _TYPE.sub("", f"{diagnostic} ").strip()
    return not told or (told.isdecimal() and not 400 <= int(told[:4]) < 600)


def take_apart(text: str, stage: Stage = Stage.END) -> Said:
    """The reply in a diagnostic. A stage that nobody names is END: there a bare 550 condemns no address."""
    told = _ASIDE.sub("", _TYPE.sub("", text))
    for pattern in _REPLIES:
        for found in pattern.finditer(told):
            if found[1] >= "400":
                return _reply(found[1], _AFTER.sub("", told[found.end() :]), stage)
    loose = _LOOSE_ENHANCED.search(told)
    return Said(None, loose[1] if loose else None, told, stage)


def _stage(text: str) -> Stage | None:
    return next((stage for pattern, stage in _STAGES if pattern.search(text)), None)


def _reply(code: str, rest: str, stage: Stage) -> Said:
    """As the dialogue reads it; a reply of several lines repeats its code in a diagnostic of one."""
    rest = re.sub(rf"\s{code}[ -](?:{_ENHANCED}\s?|(?<=-))", " ", rest.lstrip(" :;-,'\")"))
    line = f"{code} {rest}".encode()[:LINE_MAX_OCTETS].decode("utf-8", "ignore")
    try:
        reply = ReplyReader().feed(line.encode() + b"\r\n")[0]
    except (MalformedReply, IndexError):
        return Said(None, None, rest, stage)
    enhanced = reply.enhanced if reply.enhanced and reply.enhanced[0] == code[0] else None
    if enhanced is None and (loose := _LOOSE_ENHANCED.search(rest)) and loose[1][0] == code[0]:
        enhanced = loose[1]
    return Said(reply.code, enhanced, reply.text.strip(" '\""), stage)


def _phrase(text: str, *, bare: bool) -> Classified | None:
    phrase = phrase_for(text, bare=bare)
    if phrase is None:
        return None
    return Classified(Verdict.BOUNCED, phrase.bounce_class, phrase.id, phrase.category)


def _classified(said: Said, enhanced: str | None) -> Classified:
    """By classify.toml; where no code was said, by the one that the status stands for."""
    if said.code is not None:
        return classify(said.code, enhanced, said.text, said.stage)
    code = 450 if enhanced and enhanced.startswith("4") else 550
    found = classify(code, enhanced, said.text, said.stage)
    if found.rule == classify(code, None, "", said.stage).rule:
        # Neither text nor status decided anything, and the code was not theirs.
        return Classified(Verdict.DEFERRED, None, UNEXPLAINED, Category.OTHER)
    return found


def _class_of(found: Classified) -> BounceClass:
    """What says nothing of the address is no dead address: it is the mail where it was refused, else soft."""
    if found.bounce_class is not None:
        return found.bounce_class
    return BounceClass.BLOCK if found.verdict is Verdict.FAILED else BounceClass.SOFT
