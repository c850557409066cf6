"""Addresses: read what people write, give the one form that is compared (RFC 5321, RFC 5322, RFC 6531)."""

import re
from dataclasses import dataclass
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

ADDRESS_MAX_OCTETS = 254  # RFC 5321 4.5.3.1.3 less the brackets
NAME_MAX_CHARS = 256
MAILBOX_MAX_CHARS = 1_000
_PLAIN = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)


class InvalidAddress(ValueError):
    """The text is not one mail address."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A display name (may be empty) and an address; `address` keeps the writer's case in its local part."""

    address: str
    name: str = ""

    @property
    def domain(self) -> str:
        return domain_of(self.address)


def parse_mailbox(text: str) -> Mailbox:
    """`a@b.example` or `Name <a@b.example>`; raises InvalidAddress, also for CR, LF and NUL anywhere."""
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise InvalidAddress("control character in address")
    text = text.strip()
    if len(text) > MAILBOX_MAX_CHARS:
        raise InvalidAddress("address too long")
    name, bracket, rest = text.partition("<")
    if not bracket:
        return Mailbox(parse_address(text))
    if not rest.endswith(">"):
        raise InvalidAddress("the bracket is not closed")
    name, address = name.strip(), rest[:-1].strip()
    if len(name) >= 2 and name[0] == name[-1] == '"':
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    if len(name) > NAME_MAX_CHARS:
        raise InvalidAddress("display name too long")
    return Mailbox(parse_address(address), name)


def parse_address(text: str) -> str:
    """The address with its domain in lower case; raises InvalidAddress. Syntax only: no look-ups."""
    if len(text.encode("utf-8", "surrogatepass")) > ADDRESS_MAX_OCTETS:
        raise InvalidAddress("address too long")
    if _PLAIN.fullmatch(text):
        local, _, domain = text.rpartition("@")
        if len(local) > 64:
            raise InvalidAddress("local part too long")
        return f"{local}@{domain.lower()}"
    try:
        # test_environment admits .test: whether a domain takes mail is found out when mail is delivered.
        return validate_email(
            text, check_deliverability=False, test_environment=True, allow_smtputf8=True
        ).normalized
    except (EmailNotValidError, ValueError) as error:
        raise InvalidAddress(str(error)) from None


def domain_of(address: str) -> str:
    """The domain in lower case as A-labels (RFC 5891): what DNS and comparison use."""
    return ascii_domain(address.rpartition("@")[2])


@lru_cache(maxsize=16_384)
def ascii_domain(domain: str) -> str:
    if domain.isascii():
        return domain.lower()
    try:
        return ".".join(_ascii_label(label) for label in domain.lower().split("."))
    except UnicodeError:
        raise InvalidAddress(f"not a domain: {domain!r}") from None


def address_key(address: str) -> str:
    """The one form under which an address is compared: casefolded, domain as A-labels."""
    local, _, domain = address.rpartition("@")
    return f"{local.casefold()}@{ascii_domain(domain)}"


def _ascii_label(label: str) -> str:
    return label if label.isascii() else label.encode("idna").decode("ascii")
