"""MJML to HTML, its template tags unharmed. Loads no files, nor anything from anywhere.

The compiler is native code that overflows its stack on deep nesting: it runs in a process of its own.
"""

import re
import subprocess
import sys
from secrets import token_hex
from threading import BoundedSemaphore

from postrider.engine.content.render import fault_at
from postrider.engine.content.shield import MARK, shield
from postrider.engine.errors import TemplateFault

SOURCE_MAX_CHARS = 500_000
TIMEOUT_S = 10.0
AT_ONCE = 2
CPU_MAX_S = 5
MEMORY_MAX_BYTES = 1 << 30
REFUSED = 3  # the exit status for a source that is no MJML

_PROGRAM = f"""
import resource, sys
for limit, most in ((resource.RLIMIT_CPU, {CPU_MAX_S}), (resource.RLIMIT_AS, {MEMORY_MAX_BYTES}), (resource.RLIMIT_CORE, 0)):
    resource.setrlimit(limit, (most, most))
from mjml import mjml2html
try:
    html = mjml2html(sys.stdin.buffer.read().decode())
except ValueError as error:
    sys.stderr.write(str(error))
    sys.exit({REFUSED})
sys.stdout.buffer.write(html.encode())
"""  # noqa: E501
_PLACE = re.compile(r" in (?:root )?template at position (\d+):\d+| in root template")
_ESCAPED = re.compile(r"\\u\{([0-9a-f]{1,6})\}")
_running = BoundedSemaphore(AT_ONCE)


def compile_mjml(source: str) -> str:
    """The HTML. Raises TemplateFault(field "mjml", line, column), from 1. Takes a tenth of a second."""
    if len(source) > SOURCE_MAX_CHARS:
        raise _fault(source, 0, f"MJML has at most {SOURCE_MAX_CHARS} characters")
    shielded, pieces = shield(source)
    # The compiler writes what is not printable in attributes as \u{…}: its marks are letters and digits.
    nonce = f"pr{token_hex(8)}x"
    marked = MARK.sub(lambda match: f"{nonce}{match[1]}z", shielded)
    done = _run(marked)
    if done.returncode == REFUSED:
        message = done.stderr.decode(errors="replace")
        found = _PLACE.search(message)
        before = marked.encode()[: int(found[1] or 0) if found else 0].decode(errors="ignore")
        raise _fault(source, len(_restored(before, nonce, pieces)), "MJML: " + _PLACE.sub("", message))
    if done.returncode:
        raise _fault(source, 0, "MJML is too large or nested too deeply")
    html = done.stdout.decode()
    _refuse_lost(source, html, marked, nonce, pieces)
    if "\\u{" not in source:
        html = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), html)
    return _restored(html, nonce, pieces)


def _run(marked: str) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-I", "-c", _PROGRAM]
    with _running:
        try:
            return subprocess.run(  # noqa: S603 - our own program; the source is what it reads
                command, input=marked.encode(), capture_output=True, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, -1, b"", b"")


def _refuse_lost(source: str, html: str, marked: str, nonce: str, pieces: list[str]) -> None:
    """Logic that stood between elements must stand there again, in its order; values may move and repeat."""
    mark = re.compile(rf"<!--{nonce}(\d+)z-->")
    logic, kept = mark.findall(marked), mark.findall(html)
    if kept != logic:
        lost = next((number for number in logic if number not in kept), (logic or ["0"])[0])
        index = len(_restored(marked[: marked.index(f"<!--{nonce}{lost}z")], nonce, pieces))
        raise _fault(source, index, "MJML has no room for a tag here; put it within mj-raw or mj-text")


def _restored(text: str, nonce: str, pieces: list[str]) -> str:
    return re.sub(
        rf"<!--{nonce}(\d+)z-->|{nonce}(\d+)z", lambda match: pieces[int(match[1] or match[2])], text
    )


def _fault(source: str, index: int, message: str) -> TemplateFault:
    return fault_at(source, index, message, field="mjml")
