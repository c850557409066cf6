"""Receivers in other languages that check our signatures, in processes of their own.

`verification/` has the code that the documents print, as they print it, and `rules.*` for what they only
describe, and for languages they have no code in. Each is completed with a line that calls it.
"""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "verification"
TIMEOUT_S = 20.0
_COMMANDS = {
    ".py": (sys.executable, "-c"),
    ".js": ("node", "-e"),
    ".ts": ("node", "--input-type=module", "-e"),
    ".php": ("php", "-r"),
}
_TYPES = re.compile(r": (string|boolean)\b")  # Node runs no TypeScript
_READ_JS = "const [signature, secret] = process.argv.slice(1);\n"
_BODY_JS = "require('fs').readFileSync(0)"
# How each file is called: the body comes in, signature and secret are arguments, 0 is yes.
_CALLS = {
    "penguinmails.py": (
        "import sys\n"
        "payload = sys.stdin.buffer.read().decode()\n"
        "sys.exit(not verify_webhook_signature(payload, *sys.argv[1:]))\n"
    ),
    "penguinmails.ts": (
        "import fs from 'fs';\n"
        f"{_READ_JS}"
        "process.exit(verifyWebhookSignature(fs.readFileSync(0, 'utf8'), signature, secret) ? 0 : 1);\n"
    ),
    "nudgecampaign.js": f"{_READ_JS}process.exit(verifyWebhook({_BODY_JS}, signature, secret) ? 0 : 1);\n",
    "rules.py": "import sys\nsys.exit(not verify('{layout}', sys.stdin.buffer.read(), *sys.argv[1:]))\n",
    "rules.js": (f"{_READ_JS}process.exit(verify('{{layout}}', {_BODY_JS}, signature, secret) ? 0 : 1);\n"),
    "rules.php": "exit(verify('{layout}', file_get_contents('php://stdin'), $argv[1], $argv[2]) ? 0 : 1);",
}


@dataclass(frozen=True)
class Check:
    """A file of `verification/`; `layout` tells `rules.*` the signature: plain, prefixed, stamped."""

    file: str
    layout: str = ""

    @property
    def lacks(self) -> str | None:
        """The interpreter that this machine has not."""
        name = _COMMANDS[Path(self.file).suffix][0]
        return None if shutil.which(name) else name

    def accepts(self, body: bytes, signature: str, secret: str) -> bool:
        path = FOLDER / self.file
        source = path.read_text().removeprefix("<?php\n")
        if path.suffix == ".ts":
            source = _TYPES.sub("", source)
        program = f"{source}\n{_CALLS[self.file].replace('{layout}', self.layout)}"
        end_of_options = ("--",) if path.suffix == ".php" else ()
        command = [*_COMMANDS[path.suffix], program, *end_of_options, signature, secret]
        done = subprocess.run(command, input=body, capture_output=True, timeout=TIMEOUT_S)
        assert not done.stderr, done.stderr.decode()
        return done.returncode == 0


CHECKS = {
    "mailerlogic": (Check("rules.py", "plain"), Check("rules.js", "plain"), Check("rules.php", "plain")),
    "penguinmails": (
        Check("penguinmails.py"), Check("penguinmails.ts"), Check("rules.php", "prefixed"),
    ),
    "nudgecampaign": (
        Check("nudgecampaign.js"), Check("rules.py", "prefixed"), Check("rules.php", "prefixed"),
    ),
    "octeth": (Check("rules.py", "stamped"), Check("rules.js", "stamped"), Check("rules.php", "stamped")),
}  # fmt: skip
