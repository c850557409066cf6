"""Raw signatures, made in threads: RSA releases the interpreter lock, so a second core can be used."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from postrider.engine.delivery.dkim import Unsigned

THREADS = 2


class Signers:
    """One for the process."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "sign")

    async def sign(self, unsigned: Unsigned) -> bytes:
        """The raw signature of `unsigned.data`."""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, unsigned.key.sign, unsigned.data
        )

    def close(self) -> None:
        self._threads.shutdown(wait=True)
