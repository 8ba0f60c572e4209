"""An event loop and threads that move only when a test says so."""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any


class SteppedLoop:
    """The part of an event loop that the log uses, on a clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.failures: list[dict[str, Any]] = []
        self._ready: deque[Callable[[], object]] = deque()
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
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

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> object:
        self._timer_count += 1
        due: Callable[[], object] = partial(callback, *args)
        timer = (self.now_s + delay, self._timer_count, due)
        heapq.heappush(self._timers, timer)
        return None

    def turn(self) -> bool:
        """Run what is ready; False if nothing was. Raises what a callback raises."""
        while self._timers and self._timers[0][0] <= self.now_s:
            self._ready.append(heapq.heappop(self._timers)[2])
        ready = list(self._ready)
        self._ready.clear()
        for callback in ready:
            callback()
        return bool(ready)


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
