"""How often something was of late, by key, remembered in this process alone; the oldest keys go first."""

from collections import OrderedDict
from collections.abc import Hashable

from postrider.kit import clock

REMEMBERED_MAX = 50_000


class Recent:
    """Times within the last `window_ms`."""

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        self._times: OrderedDict[Hashable, list[int]] = OrderedDict()

    def wait_ms(self, key: Hashable, allowed: int) -> int:
        """Until there were fewer than `allowed`; 0 where there are."""
        now = clock.now_ms()
        times = self._of(key, now)
        return 0 if len(times) < allowed else times[-allowed] + self._window_ms - now

    def add(self, key: Hashable, *, kept: int) -> None:
        """Once more; of one key no more than `kept` are remembered."""
        now = clock.now_ms()
        self._times[key] = [*self._of(key, now), now][-kept:]
        self._times.move_to_end(key)
        while len(self._times) > REMEMBERED_MAX:
            self._times.popitem(last=False)

    def forget(self, key: Hashable) -> None:
        self._times.pop(key, None)

    def _of(self, key: Hashable, now: int) -> list[int]:
        return [at for at in self._times.get(key, ()) if at > now - self._window_ms]
