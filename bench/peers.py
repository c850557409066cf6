"""The peers: Postfix and OpenDKIM in folders of their own, and Postfix's smtp-sink as everybody's far end.

Nothing of the system's own Postfix is read or touched. Postfix wants to be started by root.
"""

import enum
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.processes import cpu_seconds, free_port, listens, wait_until

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 20.0
SINK_BACKLOG = 256
DOMAIN = "bench.test"
NEEDED = ("postfix", "opendkim", "smtp-source", "smtp-sink", "openssl")

MAIN_CF = """
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.bench.test
mydestination =
alias_maps =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
relayhost = [127.0.0.1]:{sink_port}
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtp_connection_cache_on_demand = yes
default_process_limit = 100
"""
TUNED = """
in_flow_delay = 0
initial_destination_concurrency = 20
default_destination_concurrency_limit = 50
qmgr_message_active_limit = 20000
"""
MASTER_CF = """
127.0.0.1:{port} inet n - n - 100 smtpd
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
local     unix  - n n - - local
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""
OPENDKIM_CONF = """
Mode s
Syslog no
Canonicalization relaxed/relaxed
Domain bench.test
Selector bench
KeyFile {folder}/dkim.pem
RequireSafeKeys no
InternalHosts 127.0.0.1
Socket local:{folder}/opendkim.sock
UMask 0000
"""
MILTER = """
smtpd_milters = unix:{folder}/opendkim.sock
milter_default_action = tempfail
"""
HOLD = "smtpd_client_restrictions = check_client_access static:HOLD\n"


class Variant(enum.Enum):
    STOCK = "Postfix stock"
    TUNED = "Postfix tuned"
    DKIM = "Postfix tuned + OpenDKIM rsa-2048"
    HOLD = "Postfix tuned, accept to HOLD"


def missing() -> list[str]:
    """What the peers need and this machine lacks."""
    lacks = [name for name in NEEDED if shutil.which(name, path="/usr/sbin:/usr/bin") is None]
    return lacks + (["root"] if os.geteuid() else [])


class Postfix:
    """`with Postfix(Variant.TUNED, sink_port) as peer:` takes mail on peer.port, relays it to the sink."""

    def __init__(self, variant: Variant, sink_port: int) -> None:
        self.port = free_port()
        self._variant = variant
        self._sink_port = sink_port
        self._opendkim: subprocess.Popen[bytes] | None = None
        self._master = 0

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="bench-postfix-"))
        self._folder.chmod(0o755)
        try:
            self._start()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if (self._folder / "spool/pid/master.pid").exists():
            self._postfix("stop")
        if self._opendkim is not None:
            self._opendkim.terminate()
            self._opendkim.wait(STOP_TIMEOUT_S)
        shutil.rmtree(self._folder)

    def cpu_seconds(self) -> float:
        """Of Postfix and, where it signs, OpenDKIM, since their start."""
        return cpu_seconds(self._master, *([self._opendkim.pid] if self._opendkim else []))

    def _start(self) -> None:
        self._write_settings()
        if self._variant is Variant.DKIM:
            self._start_opendkim()
        self._postfix("start")
        wait_until(lambda: listens(self.port), "Postfix", timeout_s=START_TIMEOUT_S)
        self._master = int((self._folder / "spool/pid/master.pid").read_text())

    def _write_settings(self) -> None:
        settings = MAIN_CF + ("" if self._variant is Variant.STOCK else TUNED)
        settings += {Variant.DKIM: MILTER, Variant.HOLD: HOLD}.get(self._variant, "")
        for name in ("etc", "spool", "data"):
            (self._folder / name).mkdir()
        shutil.chown(self._folder / "data", "postfix")
        (self._folder / "etc/main.cf").write_text(
            settings.format(folder=self._folder, sink_port=self._sink_port)
        )
        (self._folder / "etc/master.cf").write_text(MASTER_CF.format(port=self.port))

    def _start_opendkim(self) -> None:
        subprocess.run(
            ["openssl", "genrsa", "-traditional", "-out", self._folder / "dkim.pem", "2048"],
            check=True,
            capture_output=True,
        )
        conf = self._folder / "opendkim.conf"
        conf.write_text(OPENDKIM_CONF.format(folder=self._folder))
        self._opendkim = subprocess.Popen(["/usr/sbin/opendkim", "-f", "-x", conf])
        socket = self._folder / "opendkim.sock"
        wait_until(socket.exists, "OpenDKIM", timeout_s=START_TIMEOUT_S)

    def _postfix(self, verb: str) -> None:
        subprocess.run(
            ["/usr/sbin/postfix", "-c", self._folder / "etc", verb],
            check=True,
            capture_output=True,
            timeout=STOP_TIMEOUT_S,
        )


class CountingSink:
    """smtp-sink (C) that ends by itself when it has taken `count` mails: the clock of a throughput run."""

    def __init__(self, port: int, count: int, *, wait_s: int = 0) -> None:
        command = ["/usr/sbin/smtp-sink", "-4", "-M", str(count), "-m", "512", f"127.0.0.1:{port}"]
        command[1:1] = ["-w", str(wait_s)] if wait_s else []
        command[1:1] = [] if os.geteuid() else ["-u", "nobody"]  # it refuses to run as root
        self._process = subprocess.Popen([*command, str(SINK_BACKLOG)], cwd="/tmp", stdout=subprocess.DEVNULL)
        wait_until(lambda: listens(port), "smtp-sink", timeout_s=START_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def wait(self, timeout_s: float) -> float:
        """The monotonic time at which the last mail was in; raises subprocess.TimeoutExpired."""
        self._process.wait(timeout_s)
        return time.monotonic()
