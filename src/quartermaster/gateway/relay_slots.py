"""Places for requests that another process answers: nobody holds so many that others get none.

Uploads last for minutes where everything else takes milliseconds, so they have a part of the places
and leave the rest. The last places are for customers who have none: whoever floods a worker, alone
or together with others, meets somebody's first request before the worker is full.
"""

from collections import Counter
from typing import Final

from quartermaster.gateway.refusals import refused

RELAYED_MAX: Final = 64
"""Of one worker: a flood of questions about usage must not open all its files."""
UPLOADS_MAX: Final = 32
"""Of one worker: slow uploads leave half of its places to questions and batches."""
FIRST_SHARE: Final = 4
"""One place in so many is for customers who have none yet."""
RELAYED_OF_CUSTOMER_MAX: Final = 16
"""Of one customer, in one worker."""
UPLOADS_OF_CUSTOMER_MAX: Final = 8
"""Of one customer, in one worker: an SDK uploads a handful of files at once."""


class Slots:
    """The places of one worker."""

    def __init__(self) -> None:
        self._all, self._uploads = Counter[str](), Counter[str]()

    def take(self, customer: str, *, upload: bool) -> None:
        """One more is under way.

        Args:
            customer: whose it is.
            upload: whether a file is arriving with it.

        Raises:
            RefusedError: 429 where the customer has too many, 503 where all have.
        """
        _check(self._all, customer, RELAYED_MAX, RELAYED_OF_CUSTOMER_MAX)
        if upload:
            _check(self._uploads, customer, UPLOADS_MAX, UPLOADS_OF_CUSTOMER_MAX)
            self._uploads[customer] += 1
        self._all[customer] += 1

    def give_back(self, customer: str, *, upload: bool) -> None:
        """One less is under way."""
        for held in (self._all, self._uploads) if upload else (self._all,):
            held[customer] -= 1
            if not held[customer]:
                del held[customer]


def _check(held: Counter[str], customer: str, most: int, of_customer: int) -> None:
    mine = held[customer]
    if mine >= of_customer:
        raise refused("rate_limit_exceeded", "Too many of these requests are under way.")
    if held.total() >= (most - most // FIRST_SHARE if mine else most):
        raise refused("not_ready", "Too many of these requests are under way.")
