"""Programs that send one mail after another, whatever happens to the server meanwhile."""

import threading
import time
from http.client import HTTPException

from tests.factories import DOMAIN
from tests.processes import Postrider

SENDERS = 8
DOWN_PAUSE_S = 0.02
BETWEEN_S = 0.02


class Crowd:
    """SENDERS programs; `answered` are the recipients of the mails that were taken, each sent once."""

    def __init__(self, server: Postrider) -> None:
        self._server = server
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(name,)) for name in range(SENDERS)]
        self.answered: set[str] = set()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self, name: int) -> None:
        number = 0
        while not self._ended.is_set():
            number += 1
            time.sleep(BETWEEN_S)
            recipient = f"s{name}x{number}@example.com"
            mail = {"from": f"a@{DOMAIN}", "to": recipient, "subject": "Hi", "text": "Hi"}
            try:
                if self._server.send(mail).status == 200:
                    self.answered.add(recipient)
            except (OSError, HTTPException):  # it is down, or was killed in the middle of its answer
                time.sleep(DOWN_PAUSE_S)
