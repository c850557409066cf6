"""How many mails a credential may hand in a minute and an hour, where it is limited. Counted by this node."""

from postrider.engine.accounts import Credential
from postrider.engine.errors import RateLimited
from postrider.kit import clock
from postrider.surfaces.common.windows import Windows


class Pace:
    """Counts every mail of a limited credential, in fixed windows of clock time."""

    def __init__(self) -> None:
        self._minutes = Windows(clock.MINUTE)
        self._hours = Windows(clock.HOUR)

    def take(self, credential: Credential | None) -> None:
        """One mail more; raises RateLimited, also for those beyond a limit that are tried nevertheless."""
        if credential is None:
            return
        for windows, limit in (
            (self._minutes, credential.rate_limit_per_minute),
            (self._hours, credential.rate_limit_per_hour),
        ):
            if limit is None:
                continue
            counted = windows.count(credential.id)
            if counted.used > limit:
                raise RateLimited(retry_after_s=counted.resets_in_s)
