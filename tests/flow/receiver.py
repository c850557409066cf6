"""A Postfix that keeps what it takes in a Maildir, and OpenDKIM to judge it: neither asks a network."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.peers import MAIN_CF, MASTER_CF
from bench.processes import free_port, listens, wait_until

NEEDED = ("postfix", "opendkim")
PATH = "/usr/sbin:/usr/bin"
TIMEOUT_S = 20.0
UNUSED_PORT = 9  # it relays nothing, unless told to
NOBODY = 65_534
KEPT = f"""
virtual_mailbox_domains = example.com
virtual_mailbox_base = {{folder}}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:{NOBODY}
virtual_gid_maps = static:{NOBODY}
"""
VIRTUAL = "virtual unix - n n - - virtual\n"
OPENDKIM_CONF = """
Mode v
Syslog no
RequireSafeKeys no
TestDNSData file:{folder}/dns
TemporaryDirectory {folder}
"""


def missing() -> list[str]:
    """What this machine lacks to run them."""
    lacks = [name for name in NEEDED if shutil.which(name, path=PATH) is None]
    return lacks + (["root"] if os.geteuid() else [])


class Postfix:
    """`with Postfix() as receiver:` takes mail to example.com on `receiver.port`.

    All other mail goes to `next_hop`, a port; `more` is appended to its main.cf.
    """

    def __init__(self, *, next_hop: int = UNUSED_PORT, more: str = "") -> None:
        self._next_hop = next_hop
        self._more = more

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="postfix-"))
        self._folder.chmod(0o755)
        self.port = free_port()
        for name in ("etc", "spool", "data", "mail"):
            (self._folder / name).mkdir()
        shutil.chown(self._folder / "data", "postfix")
        os.chown(self._folder / "mail", NOBODY, NOBODY)
        settings = (MAIN_CF + KEPT).format(folder=self._folder, sink_port=self._next_hop) + self._more
        (self._folder / "etc/main.cf").write_text(settings)
        (self._folder / "etc/master.cf").write_text(MASTER_CF.format(port=self.port) + VIRTUAL)
        self._postfix("start")
        wait_until(lambda: listens(self.port), "Postfix", timeout_s=TIMEOUT_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._postfix("stop")
        shutil.rmtree(self._folder)

    def wait_for(self, count: int) -> list[bytes]:
        """The mails in the Maildir as Postfix wrote them, once there are `count`."""
        kept = self._folder / "mail/all/new"
        wait_until(lambda: len(list(kept.glob("*"))) >= count, f"{count} mails", timeout_s=TIMEOUT_S)
        return [path.read_bytes() for path in sorted(kept.iterdir())]

    def _postfix(self, verb: str) -> None:
        command = ["/usr/sbin/postfix", "-c", str(self._folder / "etc"), verb]
        subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_S)


def judged_by_opendkim(mail: bytes, records: Mapping[str, bytes], folder: Path) -> str:
    """What OpenDKIM says of a mail with LF line ends, given the TXT records that there are."""
    (folder / "dns").write_text("".join(f"{name} {value.decode()}\n" for name, value in records.items()))
    (folder / "conf").write_text(OPENDKIM_CONF.format(folder=folder))
    (folder / "mail").write_bytes(mail.replace(b"\n", b"\r\n"))
    command = ["/usr/sbin/opendkim", "-x", str(folder / "conf"), "-vvv", "-t", str(folder / "mail")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    return done.stdout + done.stderr
