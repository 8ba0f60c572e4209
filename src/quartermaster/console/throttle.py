"""How often a wrong password may be tried."""

from collections import OrderedDict

from quartermaster.kernel.clock import US_PER_S, Instant

SIGN_IN_FAILURES_MAX = 10
"""Within the window: a person mistypes a few times; a list of passwords needs thousands."""
SIGN_IN_WINDOW_S = 300
"""Ten tries in five minutes are 2,880 a day, against at least 12 unknown characters."""
SIGN_IN_CALLERS_MAX = 10_000
"""Addresses remembered by one process, about 1 MB; the longest quiet one is forgotten first."""


class Throttle:
    """Counts failures by caller in this process, forgetting each after the window."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, list[Instant]] = OrderedDict()

    def __len__(self) -> int:
        """Callers remembered."""
        return len(self._failures)

    def blocked(self, caller: str, now: Instant) -> bool:
        """Whether the caller has to wait."""
        since = now - SIGN_IN_WINDOW_S * US_PER_S
        recent = [at for at in self._failures.get(caller, []) if at > since]
        if caller in self._failures:
            self._failures[caller] = recent
        return len(recent) >= SIGN_IN_FAILURES_MAX

    def failed(self, caller: str, now: Instant) -> None:
        """Remember one failure."""
        self._failures.setdefault(caller, []).append(now)
        self._failures.move_to_end(caller)
        while len(self._failures) > SIGN_IN_CALLERS_MAX:
            self._failures.popitem(last=False)

    def succeeded(self, caller: str) -> None:
        """Forget the caller's failures."""
        self._failures.pop(caller, None)
