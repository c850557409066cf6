"""Whether what the DNS holds is as it should be. Pure: answers in, verdicts out."""

from collections.abc import Sequence

from postrider.engine.domains.model import Check, DkimKey, Verdict
from postrider.engine.domains.rules import spf_term, verification_value
from postrider.kit.dns import Answer

SPF_LOOKUPS_MAX = 10  # RFC 7208 4.6.4
_SPF_LOOKUPS = ("include", "a", "mx", "ptr", "exists", "redirect")
_DMARC_POLICIES = ("none", "quarantine", "reject")
OK = Check(Verdict.OK)


def ownership(answer: Answer[str], token: str) -> Check:
    """A TXT record holds this domain's token; others beside it do no harm."""
    if verification_value(token) in (text.strip(' "') for text in answer.records):
        return OK
    if not answer.is_known:
        return _unknown(answer)
    if answer.records:
        return _wrong("The verification record holds another value.")
    return _missing("There is no verification record.")


def spf(answer: Answer[str], hostname: str) -> Check:
    """Exactly one SPF record (RFC 7208 4.5), and our include is reached in it."""
    if not answer.is_known:
        return _unknown(answer)
    found = [text.lower() for text in answer.records if text.lower().split(" ", 1)[0] == "v=spf1"]
    if not found:
        return _missing("There is no SPF record.")
    if len(found) > 1:
        return _wrong(f"There are {len(found)} SPF records: receivers accept one only.")
    terms = [term.lstrip("+").rstrip(".") for term in found[0].split()[1:]]
    if sum(_costs_lookup(term) for term in terms) > SPF_LOOKUPS_MAX:
        return _wrong(f"The SPF record needs more than {SPF_LOOKUPS_MAX} DNS look-ups: receivers refuse it.")
    ours = spf_term(hostname.lower())
    if ours not in terms:
        return _wrong(f"The SPF record does not have {ours}.")
    if any(term.lstrip("-~?") == "all" for term in terms[: terms.index(ours)]):
        return _wrong(f"In the SPF record {ours} stands after all, where nobody reads it.")
    return OK


def dkim_key(answer: Answer[str], key: DkimKey) -> Check:
    """One key record, which holds this key and lets it sign mail (RFC 6376 3.6.1)."""
    if not answer.is_known:
        return _unknown(answer)
    found = [tags for text in answer.records if "p" in (tags := _tags(text))]
    at = f"selector {key.selector}"
    if not found:
        return _missing(f"There is no DKIM record at {at}.")
    if len(found) > 1:
        return _wrong(f"There are {len(found)} DKIM records at {at}: receivers may read either.")
    tags = found[0]
    if tags.get("v", "DKIM1") != "DKIM1":
        return _wrong(f"The DKIM record at {at} does not begin with v=DKIM1.")
    if not tags["p"]:
        return _wrong(f"The DKIM record at {at} is revoked: its p= is empty.")
    if tags["p"] != key.public_key or tags.get("k", "rsa") != key.algorithm.key_type:
        return _wrong(f"The DKIM record at {at} holds another key.")
    if "sha256" not in tags.get("h", "sha256").split(":"):
        return _wrong(f"The DKIM record at {at} does not allow sha256 (h=).")
    if not {"*", "email"} & set(tags.get("s", "*").split(":")):
        return _wrong(f"The DKIM record at {at} is not for mail (s=).")
    return OK


def dkim(checks: Sequence[Check]) -> Check:
    """All keys that sign together: what is wrong with one is wrong with all."""
    if not checks:
        return _missing("There is no key that signs.")
    return max(checks, key=lambda check: _GRAVITY.index(check.verdict))


def dmarc(answers: Sequence[Answer[str]]) -> Check:
    """A valid policy at the domain, or else at the nearest parent that has one (RFC 9989: the tree walk).

    `answers` are those for _dmarc.<domain>, _dmarc.<its parent> and so on.
    """
    for answer in answers:
        if not answer.is_known:
            return _unknown(answer)
        found = [tags for text in answer.records if (tags := _tags(text)).get("v") == "DMARC1"]
        if len(found) > 1:
            return _wrong(f"There are {len(found)} DMARC records: receivers accept one only.")
        if found and next(iter(found[0])) != "v":
            return _wrong("The DMARC record does not begin with v=DMARC1.")
        if found and found[0].get("p", "").lower() not in _DMARC_POLICIES:
            return _wrong("The DMARC record has no valid p=.")
        if found:
            return OK
    return _missing("There is no DMARC record.")


def return_path(answer: Answer[str], hostname: str) -> Check:
    """The CNAME leads to this installation."""
    if not answer.is_known:
        return _unknown(answer)
    if not answer.records:
        return _missing("There is no CNAME for the return path.")
    if answer.records != (hostname.lower(),):
        return _wrong(f"The CNAME of the return path leads to {answer.records[0]}.")
    return OK


_GRAVITY = (Verdict.OK, Verdict.UNKNOWN, Verdict.MISSING, Verdict.WRONG)


def _unknown(answer: Answer[str]) -> Check:
    return Check(Verdict.UNKNOWN, f"The DNS did not answer: {answer.reason}.")


def _missing(reason: str) -> Check:
    return Check(Verdict.MISSING, reason)


def _wrong(reason: str) -> Check:
    return Check(Verdict.WRONG, reason)


def _costs_lookup(term: str) -> bool:
    mechanism = term.lstrip("-~?").replace("=", ":").replace("/", ":").partition(":")[0]
    return mechanism in _SPF_LOOKUPS


def _tags(text: str) -> dict[str, str]:
    """A tag list (RFC 6376 3.2) without any white space, which no value that matters here has."""
    pairs = ("".join(tag.split()).partition("=") for tag in text.split(";"))
    return {name: value for name, equals, value in pairs if equals}
