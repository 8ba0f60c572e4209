"""Calls to the shared store that take no longer than they may, whatever the network does.

A client bounds its connecting and its reading, but a name server that does not answer holds it for
half a minute. Nobody who ships usage or leases budgets waits for that: the call goes on in a thread
of its own, and until it ends the store counts as gone.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from quartermaster.kernel.errors import UnavailableError
from quartermaster.kernel.shared_store import CALL_WITHIN_S

_T = TypeVar("_T")


class StoreThread:
    """One call at a time, for as many threads as want to.

    Args:
        within_s: how long a caller waits for its turn and its answer.
    """

    def __init__(self, within_s: float = CALL_WITHIN_S) -> None:
        self._within_s = within_s
        self._turn = threading.Lock()
        self._running: threading.Thread | None = None

    def call(self, do: Callable[[], _T]) -> _T:
        """What a call answers; one that comes too late may still have been heard.

        Raises:
            UnavailableError: it has not answered in time, or the one before is still under way.
        """
        ends_s = time.monotonic() + self._within_s
        if not self._turn.acquire(timeout=self._within_s):
            raise UnavailableError("the shared store is asked by too many at once")
        try:
            if self._running is not None and self._running.is_alive():
                raise UnavailableError("the shared store does not answer")
            return self._ask(do, ends_s)
        finally:
            self._turn.release()

    def _ask(self, do: Callable[[], _T], ends_s: float) -> _T:
        answer: Future[_T] = Future()

        def ask() -> None:
            try:
                answer.set_result(do())
            except BaseException as error:  # noqa: BLE001 - raised again by whoever asked
                answer.set_exception(error)

        # A thread that hangs does not keep the process from ending.
        thread = threading.Thread(target=ask, name="shared-store", daemon=True)
        thread.start()
        try:
            found = answer.result(max(ends_s - time.monotonic(), 0))
        except TimeoutError as error:
            self._running = thread
            raise UnavailableError("the shared store does not answer in time") from error
        return found
