"""The link of a worker to the store of shared limits: when it says what."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from quartermaster.gateway import limits_leased
from quartermaster.gateway.limits import Scoped
from quartermaster.gateway.limits_leased import LeasedLimiter
from quartermaster.gateway.limits_link import LimitLink
from quartermaster.gateway.rate_headers import RateLimitedError
from quartermaster.kernel.limit import Limits

PAUSE_S = 0.001


class Miserly:
    """A store that remembers nothing and gives nothing besides what is held already."""

    def __init__(self) -> None:
        self.heard: list[Sequence[str]] = []

    async def run(
        self, keys: Sequence[str], arguments: Sequence[str | int]
    ) -> tuple[int, list[str]]:
        """Of a report's numbers the fourth is what is held of requests."""
        self.heard.append(keys)
        kept = [str(line).split()[3] for line in arguments[3:]]
        return 1, [f"1 {keep} 0 0 0 0 0 0 0 0 0" for keep in kept]

    async def aclose(self) -> None:
        """Nothing."""


def limited(name: str, per_minute: int) -> tuple[Scoped, ...]:
    """A key with a limit of requests."""
    return (Scoped("key", name, Limits(requests_per_minute=per_minute)),)


def test_new_customers_do_not_make_time_pass_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_leased, "IDLE_ROUNDS", 40)
    store = Miserly()
    limiter = LeasedLimiter(1, 0)

    async def run() -> None:
        link = asyncio.create_task(LimitLink(store, limiter, "a", time.monotonic_ns).run())
        limiter.admit(limited("slow", 1), 1, 0).end()
        for number in range(80):
            limiter.admit(limited(f"new-{number}", 10), 1, 0).end()
            await asyncio.sleep(PAUSE_S)
        # It has not been idle for long, so this is not a first request.
        with pytest.raises(RateLimitedError):
            limiter.admit(limited("slow", 1), 1, 0)
        link.cancel()

    asyncio.run(run())
    heard = [key for keys in store.heard for key in keys]
    assert sum("new-" in key for key in heard) >= 80
    # Each of the new ones was heard at once.
    assert len(store.heard) > 40
