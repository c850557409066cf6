"""AUTH PLAIN and LOGIN (RFC 4954, RFC 4616): reads credentials out of an exchange of lines, judges none."""

import base64
from dataclasses import dataclass, field
from enum import Enum

CANCEL = "*"
_PROMPTS: dict[str, tuple[bytes, ...]] = {
    "PLAIN": (b"334 \r\n",),
    "LOGIN": (b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n"),  # Username: and Password:
}
MECHANISMS = tuple(_PROMPTS)


class Broken(Enum):
    """Why an exchange ended without credentials."""

    CANCELLED = b"501 5.7.0 Authentication cancelled\r\n"
    MALFORMED = b"501 5.5.2 Cannot decode the response\r\n"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the client says it is."""

    username: str
    password: str = field(repr=False)


@dataclass(slots=True)
class Exchange:
    """One AUTH command under way; `mechanism` is one of MECHANISMS."""

    mechanism: str
    _responses: list[str] = field(default_factory=list, repr=False)

    def begin(self, initial: str) -> bytes | Credentials | Broken:
        """With the command's initial response, "" for none; answers as `respond`."""
        if not initial:
            return _PROMPTS[self.mechanism][0]
        return self.respond("" if initial == "=" else initial)

    def respond(self, line: str) -> bytes | Credentials | Broken:
        """The next challenge to send, or the credentials, or why there are none."""
        if line == CANCEL:
            return Broken.CANCELLED
        try:
            self._responses.append(base64.b64decode(line, validate=True).decode("utf-8"))
        except ValueError:
            return Broken.MALFORMED
        prompts = _PROMPTS[self.mechanism]
        if len(self._responses) < len(prompts):
            return prompts[len(self._responses)]
        return self._credentials()

    def _credentials(self) -> Credentials | Broken:
        if self.mechanism == "LOGIN":
            username, password = self._responses
            return Credentials(username, password)
        parts = self._responses[0].split("\0")
        # An identity to act as is taken only when it is the identity that logs in.
        if len(parts) != 3 or parts[0] not in ("", parts[1]):
            return Broken.MALFORMED
        return Credentials(parts[1], parts[2])
