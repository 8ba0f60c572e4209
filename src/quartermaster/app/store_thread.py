"""Calls to the shared store that take no longer than they may, whatever the network does.

A client bounds its connecting and its reading, but a name server that does not answer holds it for
half a minute. Nobody who ships usage or leases budgets waits for that: the call goes on in a thread
of its own, and until it ends the store counts as gone.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from quartermaster.kernel.errors import UnavailableError
from quartermaster.kernel.shared_store import CALL_WITHIN_S

_T = TypeVar("_T")


class StoreThread:
    """One call at a time.

    Args:
        within_s: how long a caller waits for it.
    """

    def __init__(self, within_s: float = CALL_WITHIN_S) -> None:
        self._within_s = within_s
        self._running: threading.Thread | None = None

    def call(self, do: Callable[[], _T]) -> _T:
        """What a call answers; one that comes too late may still have been heard.

        Raises:
            UnavailableError: it has not answered in time, or the one before is still under way.
        """
        if self._running is not None and self._running.is_alive():
            raise UnavailableError("the shared store does not answer")
        answer: Future[_T] = Future()

        def ask() -> None:
            try:
                answer.set_result(do())
            except BaseException as error:  # noqa: BLE001 - raised again by whoever asked
                answer.set_exception(error)

        # A thread that hangs does not keep the process from ending.
        self._running = threading.Thread(target=ask, name="shared-store", daemon=True)
        self._running.start()
        try:
            return answer.result(self._within_s)
        except TimeoutError as error:
            raise UnavailableError("the shared store does not answer in time") from error
