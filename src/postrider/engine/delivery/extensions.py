"""What a peer announced after EHLO, and what can be asked of it; what it lacks is refused for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from postrider.engine.delivery.replies import Answer, Stage
from postrider.kit.address import InvalidAddress, ascii_domain


@dataclass(frozen=True, slots=True)
class Extensions:
    """`size` is the largest mail in bytes (RFC 1870), None where no limit was named."""

    size: int | None = None
    announces_size: bool = False
    eightbitmime: bool = False
    smtputf8: bool = False
    pipelining: bool = False
    starttls: bool = False
    auth: frozenset[str] = frozenset()

    @classmethod
    def read(cls, lines: Sequence[str]) -> "Extensions":
        """From the lines of an EHLO reply, the first of which is the peer's name."""
        said: dict[str, list[str]] = {}
        for line in lines[1:]:
            keyword, *parameters = line.upper().replace("AUTH=", "AUTH ").split() or [""]
            said.setdefault(keyword, []).extend(parameters)
        limit = "".join(said.get("SIZE", [])[:1])
        return cls(
            size=int(limit) or None if limit.isdecimal() and len(limit) < 20 else None,
            announces_size="SIZE" in said,
            eightbitmime="8BITMIME" in said,
            smtputf8="SMTPUTF8" in said,
            pipelining="PIPELINING" in said,
            starttls="STARTTLS" in said,
            auth=frozenset(said.get("AUTH", [])),
        )

    def refuse(self, size_bytes: int, *, smtputf8: bool, body_8bit: bool) -> Answer | None:
        """Why a mail cannot be offered to this peer at all (RFC 1870, 6152, 6531), or None."""
        if self.size is not None and size_bytes > self.size:
            return Answer(
                Stage.MAIL, 552, "5.3.4", f"{size_bytes} bytes are over the peer's limit of {self.size}"
            )
        if smtputf8 and not self.smtputf8:
            return NO_SMTPUTF8
        if body_8bit and not self.eightbitmime:
            return NO_8BITMIME
        return None

    def mail_parameters(self, size_bytes: int, *, smtputf8: bool, body_8bit: bool) -> str:
        """What follows MAIL FROM:<…>, with a space before each."""
        parameters = f" SIZE={size_bytes}" if self.announces_size else ""
        if body_8bit:
            parameters += " BODY=8BITMIME"
        return parameters + " SMTPUTF8" if smtputf8 else parameters


def wire_address(address: str) -> str:
    """The address with its domain as A-labels: ASCII unless its local part is not, which needs SMTPUTF8."""
    if address.isascii():
        return address
    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{ascii_domain(domain)}"
    except InvalidAddress:
        return address


NONE = Extensions()
NO_SMTPUTF8 = Answer(Stage.MAIL, 553, "5.6.7", "the peer takes no internationalized addresses")
NO_8BITMIME = Answer(
    Stage.MAIL, 554, "5.6.3", "the peer takes no 8-bit mail and this one cannot be converted"
)
