"""An event loop and threads that move only when a test says so."""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any


class SteppedTimer:
    """A callback that is due."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self._callback = callback
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def __call__(self) -> None:
        if not self._cancelled:
            self._callback()


class SteppedLoop:
    """The part of an event loop that the log uses, on a clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.failures: list[dict[str, Any]] = []
        self._ready: deque[Callable[[], object]] = deque()
        self._timers: list[tuple[float, int, SteppedTimer]] = []
        self._timer_count = 0

    def time(self) -> float:
        return self.now_s

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.failures.append(context)

    def create_future(self) -> "asyncio.Future[Any]":
        raise NotImplementedError("nothing that waits is stepped through")

    def call_soon(self, callback: Callable[..., object], *args: Any) -> object:
        self._ready.append(partial(callback, *args))
        return None

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any) -> object:
        return self.call_soon(callback, *args)

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> SteppedTimer:
        self._timer_count += 1
        due = SteppedTimer(partial(callback, *args))
        heapq.heappush(self._timers, (self.now_s + delay, self._timer_count, due))
        return due

    def turn(self) -> bool:
        """Run what is ready; False if nothing was. Raises what a callback raises."""
        while self._timers and self._timers[0][0] <= self.now_s:
            self._ready.append(heapq.heappop(self._timers)[2])
        ready = list(self._ready)
        self._ready.clear()
        for callback in ready:
            callback()
        return bool(ready)


class SteppedKernel:
    """A kernel that syncs in the background when the test says so."""

    def __init__(self, sync: Callable[[int], None]) -> None:
        self._sync = sync
        self._started: tuple[int, Callable[[Exception | None], None]] | None = None
        self.count = 0

    def start(self, descriptor: int, when_synced: Callable[[Exception | None], None]) -> None:
        assert self._started is None, "two syncs at a time"
        self._started = descriptor, when_synced
        self.count += 1

    def close(self) -> None:
        self.step()

    def step(self) -> bool:
        """End the sync that runs; False if there was none."""
        if self._started is None:
            return False
        (descriptor, when_synced), self._started = self._started, None
        failure: Exception | None = None
        try:
            self._sync(descriptor)
        except OSError as error:
            failure = error
        when_synced(failure)
        return True


class SteppedOffload:
    """A thread whose jobs run when the test says so."""

    def __init__(self) -> None:
        self._jobs: deque[Callable[[], None]] = deque()

    def submit(self, job: Callable[[], None]) -> None:
        self._jobs.append(job)

    def stop(self) -> None:
        while self.step():
            pass

    def step(self) -> bool:
        """Run one job; False if there was none."""
        if not self._jobs:
            return False
        self._jobs.popleft()()
        return True
