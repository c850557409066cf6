"""The corpus: mail as it comes back from many systems, and the installation whose tokens stand in it."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postrider.engine.delivery.feedback import Report, read
from postrider.kit.seal import Sealer

CORPUS = Path(__file__).with_name("corpus")
SEALER = Sealer(bytes(range(32)))
STRANGER = Sealer(bytes(32))
TOKEN = SEALER.message_token(7, bytes(range(16)))
MESSAGE_ID = "<0192f0a1-7c3e-7d5a-9b1c-3a4b5c6d7e8f@news.sender.example>"
LOCAL_PARTS = {"return-path": f"b+{TOKEN}", "opt-out": f"unsubscribe+{TOKEN}", "fbl": "fbl"}


@dataclass(frozen=True)
class Sample:
    """A file of the corpus, with what it must be read as."""

    name: str
    raw: bytes
    local_part: str
    expected: dict[str, Any]

    def __str__(self) -> str:
        return self.name


def samples() -> list[Sample]:
    table = tomllib.loads((CORPUS / "expected.toml").read_text("utf-8"))
    return [
        Sample(
            name,
            (CORPUS / f"{name}.eml").read_bytes(),
            LOCAL_PARTS[expected.pop("to", "return-path")],
            expected,
        )
        for name, expected in table.items()
    ]


def report(status: str, text: str = "", *, subject: str = "Undelivered", returned: str = "") -> bytes:
    """A report by RFC 3464 with the status part given."""
    return (
        f"From: MAILER-DAEMON@mx.example.org\nSubject: {subject}\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        f"--b\nContent-Type: text/plain; charset=utf-8\n\n{text}\n"
        f"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.org\n\n{status}\n"
        f"--b\nContent-Type: message/rfc822\n\n{returned}\n--b--\n"
    ).encode()


def at_return_path(raw: bytes | str) -> Report:
    return read(f"b+{TOKEN}", raw.encode() if isinstance(raw, str) else raw, SEALER)
