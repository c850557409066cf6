"""Exim and OpenSMTPD as receivers, each in a root of its own: nothing of the system's is read or touched.

Both have their users and folders compiled in, and neither can be installed beside Postfix. So their packages
are only unpacked, and run by chroot where those users and folders are.
"""

import os
import re
import shutil
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from tests.processes import wait_until

CACHE = Path(__file__).parents[2] / ".pytest_cache" / "receivers"
UNPACKED = Path(os.environ.get("POSTRIDER_TEST_RECEIVERS", CACHE))  # where dpkg-deb -x has put the packages
PAIR_DOMAIN = "pair.test"  # both take its mail
TIMEOUT_S = 20.0
_LIBRARY = re.compile(r"(/\S+) \(0x")


def missing() -> list[str]:
    """What this machine lacks to run them."""
    lacks = [jail.BINARIES[0] for jail in (Exim, OpenSmtpd) if _find(jail.BINARIES[0]) is None]
    return lacks + (["root"] if os.geteuid() else [])


class Jail(ABC):
    """A program below `root`, with the libraries it needs and the users it knows, and a Maildir at /mail."""

    BINARIES: ClassVar[tuple[str, ...]]
    COMMAND: ClassVar[tuple[str, ...]]
    DOMAIN: ClassVar[str]
    USERS: ClassVar[dict[str, int]]  # by name; the first owns the mail
    FOLDERS: ClassVar[dict[str, int]]  # those it must find, by mode

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    def __enter__(self) -> Self:
        assert not missing(), f"lacks {missing()}: neither installed nor in {UNPACKED}"
        self.root = Path(tempfile.mkdtemp(prefix=f"{type(self).__name__.lower()}-"))
        self.root.chmod(0o755)
        for binary in self.BINARIES:
            self._put(binary)
        self._furnish()
        self.configure()
        command = ["chroot", str(self.root), *self.COMMAND]
        with (self.root / "out").open("wb") as out:
            self._process = subprocess.Popen(
                command, stdout=out, stderr=out, env={"PATH": "/usr/bin:/usr/sbin"}
            )
        wait_until(self._listens, type(self).__name__, timeout_s=TIMEOUT_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(TIMEOUT_S)
        if error is not None:
            print(self.log())
        wait_until(self._is_gone, f"the end of {self.root}", timeout_s=TIMEOUT_S)

    @abstractmethod
    def configure(self) -> None:
        """Write its settings."""

    def log(self) -> str:
        return (self.root / "out").read_text()

    def wait_for(self, count: int) -> list[bytes]:
        """The mails in the Maildir, once there are `count`."""
        kept = self.root / "mail/new"
        wait_until(lambda: len(list(kept.glob("*"))) >= count, f"{count} mails", timeout_s=TIMEOUT_S)
        return [path.read_bytes() for path in sorted(kept.iterdir())]

    def _put(self, binary: str) -> None:
        found = _find(binary)
        assert found is not None, binary
        listing = subprocess.run(
            ["ldd", found], env={"LD_LIBRARY_PATH": _libraries()}, capture_output=True, text=True, check=True
        )
        self._copy(found, binary)
        for library in _LIBRARY.findall(listing.stdout):
            self._copy(Path(library), "/" + library.removeprefix(str(UNPACKED)).lstrip("/"))

    def _copy(self, source: Path, name: str) -> None:
        target = self.root / name[1:]
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
            target.chmod(0o755)

    def _furnish(self) -> None:
        (self.root / "etc").mkdir()
        users = {"root": 0, **self.USERS}
        lines = [f"{name}:x:{number}:{number}::/:/bin/sh\n" for name, number in users.items()]
        (self.root / "etc/passwd").write_text("".join(lines))
        (self.root / "etc/group").write_text(
            "".join(f"{name}:x:{number}:\n" for name, number in users.items())
        )
        (self.root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        (self.root / "etc/resolv.conf").touch()
        (self.root / "dev").mkdir()
        (self.root / "dev/null").touch()
        (self.root / "dev/null").chmod(0o666)
        owner = next(iter(self.USERS.values()))
        for name, mode in {"mail": 0o700, "tmp": 0o1777, **self.FOLDERS}.items():
            folder = self.root / name
            folder.mkdir(parents=True)
            folder.chmod(mode)
            if mode == 0o700:
                os.chown(folder, owner, owner)

    def _is_gone(self) -> bool:
        """Its children may still be writing, so once is not always enough."""
        shutil.rmtree(self.root, ignore_errors=True)
        return not self.root.exists()

    def _listens(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.COMMAND[0]} ended: {self.log()}")
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0


class Exim(Jail):
    """Takes mail to every local part but `nobody` and, for now, `later`; makes a certificate for its TLS."""

    BINARIES = ("/usr/sbin/exim4",)
    COMMAND = ("/usr/sbin/exim4", "-bdf")
    DOMAIN = "exim.test"
    USERS: ClassVar[dict[str, int]] = {"Debian-exim": 65_533}
    FOLDERS: ClassVar[dict[str, int]] = {"var/spool/exim4": 0o700, "var/log/exim4": 0o700, "etc/exim4": 0o755}
    SETTINGS = """
primary_hostname = mx.exim.test
domainlist local_domains = {domains}
local_interfaces = {host}
daemon_smtp_ports = {port}
tls_advertise_hosts = *
smtputf8_advertise_hosts = *
host_lookup =
rfc1413_query_timeout = 0s
keep_environment =
deliver_drop_privilege
acl_smtp_rcpt = check_rcpt
acl_smtp_data = accept
begin acl
check_rcpt:
  require message = relay not permitted
          domains = +local_domains
  defer local_parts = later
  require verify = recipient
  accept
begin routers
kept:
  driver = accept
  domains = +local_domains
  local_parts = ! nobody
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = /mail
  maildir_format
"""

    def configure(self) -> None:
        domains = f"{self.DOMAIN} : {PAIR_DOMAIN}"
        settings = self.SETTINGS.format(host=self.host, port=self.port, domains=domains)
        (self.root / "etc/exim4/exim4.conf").write_text(settings)


class OpenSmtpd(Jail):
    """Takes mail to ann, bob and later, at most a hundred a connection, and offers TLS.

    In Debian 12 the TLS it offers fails with OpenSSL 3 (OpenSMTPD issue 1171), as an MX's may.
    """

    BINARIES = (
        "/usr/sbin/smtpd",
        "/usr/libexec/opensmtpd/mail.maildir",
        "/usr/libexec/opensmtpd/mail.mda",
        "/bin/sh",
    )
    COMMAND = ("/usr/sbin/smtpd", "-d")
    DOMAIN = "opensmtpd.test"
    USERS: ClassVar[dict[str, int]] = {"kept": 65_534, "opensmtpd": 65_532, "opensmtpq": 65_531}
    FOLDERS: ClassVar[dict[str, int]] = {
        "var/spool/smtpd": 0o711,
        "var/lib/opensmtpd/empty": 0o755,
        "var/run": 0o755,
    }
    SETTINGS = """
pki mx.opensmtpd.test cert "/etc/cert.pem"
pki mx.opensmtpd.test key "/etc/key.pem"
table users {{ "ann" = "kept", "bob" = "kept", "later" = "kept" }}
listen on {host} port {port} tls pki mx.opensmtpd.test hostname mx.opensmtpd.test
action "keep" maildir "/mail" virtual <users>
match from any for domain {{ {domains} }} action "keep"
"""

    def configure(self) -> None:
        domains = f'"{self.DOMAIN}", "{PAIR_DOMAIN}"'
        settings = self.SETTINGS.format(host=self.host, port=self.port, domains=domains)
        (self.root / "etc/smtpd.conf").write_text(settings)
        (self.root / "etc/mailname").write_text("mx.opensmtpd.test\n")
        key, certificate = self.root / "etc/key.pem", self.root / "etc/cert.pem"
        subject = ["-subj", "/CN=mx.opensmtpd.test", "-keyout", str(key), "-out", str(certificate)]
        made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
        subprocess.run(made, check=True, capture_output=True, timeout=TIMEOUT_S)
        key.chmod(0o600)


def _find(binary: str) -> Path | None:
    """Where the program is: unpacked, or installed."""
    for path in (UNPACKED / binary[1:], Path(binary)):
        if os.access(path, os.X_OK):
            return path
    return None


def _libraries() -> str:
    """Folders with unpacked libraries, for the loader."""
    return ":".join(str(path) for path in (UNPACKED / "usr/lib").glob("*-linux-gnu"))
