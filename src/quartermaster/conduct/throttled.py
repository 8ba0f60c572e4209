"""How much of what a customer sends would still pass a throttle.

What lets nearly nothing through is a suspension by another name, and needs as many persons. It is
judged by what was served lately, hour by hour. How many ran at once and which endpoint was asked is
not in the hourly counts: a limit on the first does not count here, and a slice of endpoints is
taken for everything, which errs on the side of the customer.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from quartermaster.kernel.limit import Limits, Throttle

NEARLY_NOTHING = 0.1
"""Nine requests of ten refused: nobody's product works with the tenth."""
MINUTES_AN_HOUR = 60


class Served(NamedTuple):
    """An hour of one key and model."""

    hour: int
    key: str
    model: str
    requests: int
    tokens: int
    """Asked and written."""


def shuts(throttle: Throttle | None, passes: float | None) -> bool:
    """Whether a throttle lets nothing of its slice pass, or nearly nothing of the whole.

    Args:
        throttle: the slice and its limits; None is no throttle.
        passes: as `passing` says; None where nothing is known.
    """
    nearly = passes is not None and passes < NEARLY_NOTHING
    return throttle is not None and (throttle.closed or nearly)


def passing(throttle: Throttle, served: Iterable[Served]) -> float | None:
    """Share of the requests that would have passed; None where there were none."""
    total, left = 0, 0.0
    inside: defaultdict[int, list[Served]] = defaultdict(list)
    for one in served:
        total += one.requests
        if _hits(throttle, one):
            inside[one.hour].append(one)
        else:
            left += one.requests
    left += sum(_left(throttle.limits, held) for held in inside.values())
    return left / total if total else None


def _hits(throttle: Throttle, one: Served) -> bool:
    by_key = not throttle.keys or one.key in throttle.keys
    return by_key and (not throttle.models or one.model in throttle.models)


def _left(limits: Limits, hour: Iterable[Served]) -> float:
    """How many of an hour's requests would have passed; a slice without limits is closed."""
    rows = list(hour)
    requests = sum(one.requests for one in rows)
    tokens = sum(one.tokens for one in rows)
    if not limits.named() or not requests:
        return 0.0
    shares = [1.0]
    if limits.requests_per_minute is not None:
        shares.append(limits.requests_per_minute * MINUTES_AN_HOUR / requests)
    if limits.tokens_per_minute is not None:
        shares.append(limits.tokens_per_minute * MINUTES_AN_HOUR / max(1, tokens))
    return requests * min(shares)
