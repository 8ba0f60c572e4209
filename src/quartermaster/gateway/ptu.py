"""Provisioned throughput: may this request run on the units, or are they fully used?

Azure's leaky bucket: a request passes while utilisation is below 100 % and then adds its estimate,
so that one request may go over; it is corrected by what was metered; and the bucket drains evenly
with the throughput of all units. Over 100 % the answer is 429 with the time until it is below, or
the request spills over to standard deployments at standard prices.

Source: learn.microsoft.com/azure/ai-services/openai/concepts/provisioned-throughput, "How
utilization is enforced"; the weights of tokens: how-to/provisioned-throughput-onboarding.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote

from quartermaster.gateway.limits import CONCURRENT_WAIT_US, Bucket, Sibling
from quartermaster.gateway.rate_headers import RateLimitedError, duration
from quartermaster.gateway.route import Target
from quartermaster.gateway.status import LaneStatus
from quartermaster.kernel.clock import US_PER_S
from quartermaster.kernel.snapshot import Provisioned
from quartermaster.kernel.units import Counts

_PERMILLE: Final = 1_000
_US_PER_MINUTE: Final = 60 * US_PER_S
_SERVED_BY: Final = re.compile(rb"x-ms-deployment-name: [^\r]*\r\n")

LaneName = tuple[str, str]
"""Contract and model: all keys of a contract share its units."""


def weigh(counts: Counts, output_weight: int) -> int:
    """Counts as input tokens; what came from a cache is free of the units.

    Args:
        counts: what was metered.
        output_weight: how many input tokens an output token counts as.
    """
    read = counts.input + counts.cache_write + counts.audio_input
    return read + output_weight * (counts.output + counts.reasoning + counts.audio_output)


class Lane:
    """The units of one contract and model, as far as this worker may use them."""

    __slots__ = ("bucket", "closed", "refused", "served", "spilled", "terms")

    def __init__(self, terms: Provisioned, share: int, now: int) -> None:
        self.terms = terms
        self.bucket = Bucket(share, now)
        self.closed = False
        """Whether another worker takes in this one's place what is new."""
        self.served = 0
        self.spilled = 0
        self.refused = 0

    def utilisation_permille(self, now: int) -> int:
        """How full the bucket is; over 1,000 where the last request went over."""
        self.bucket.refill(now)
        # What other workers hold ready is not used.
        used = -(-self.bucket.used // _US_PER_MINUTE)
        return used * _PERMILLE // max(self.bucket.per_minute, 1)


class Ride:
    """What one request takes of the units, until it is metered.

    Args:
        lane: whose units.
        tokens: the estimate, as input tokens.
    """

    __slots__ = ("_lane", "_mark", "_tokens")

    def __init__(self, lane: Lane, tokens: int) -> None:
        lane.served += 1
        self._lane: Lane | None = lane
        self._tokens = tokens
        self._mark = lane.bucket.take(tokens)

    def metered(self, counts: Counts, now: int) -> None:
        """The request's true counts are known; a second time changes nothing."""
        lane, self._lane = self._lane, None
        if lane is not None:
            actual = weigh(counts, lane.terms.output_weight)
            lane.bucket.refill(now)
            lane.bucket.correct(self._mark, self._tokens, actual)


class Lanes:
    """The provisioned units of one worker's snapshot.

    Args:
        workers: processes that share every contract's units.
        number: which of them this is, from 0.
    """

    def __init__(self, workers: int, number: int) -> None:
        self._workers = max(workers, number + 1)
        self._number = number
        self._lanes: dict[LaneName, Lane] = {}
        self._sibling: Sibling | None = None

    @property
    def lanes(self) -> Mapping[LaneName, Lane]:
        """By contract and model."""
        return self._lanes

    def part_with(self, sibling: Sibling | None, now: int) -> None:
        """Share what this worker has with another one of its number, or have it alone again."""
        self._sibling = sibling
        for lane in self._lanes.values():
            lane.bucket.refill(now)
            lane.bucket.per_minute = self._share(lane.terms)
            lane.closed = sibling is not None and sibling.closed

    def lane(self, contract: str, terms: Provisioned, now: int) -> Lane:
        """The lane of a contract and model; a resize takes effect at once."""
        name = (contract, terms.model)
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(terms, self._share(terms), now)
        elif lane.terms is not terms and lane.terms != terms:
            lane.bucket.refill(now)
            lane.terms, lane.bucket.per_minute = terms, self._share(terms)
        else:
            lane.bucket.refill(now)
        return lane

    def _share(self, terms: Provisioned) -> int:
        whole = terms.input_tokens_per_minute
        share = whole // self._workers + (self._number < whole % self._workers)
        return share if self._sibling is None else self._sibling.units(share) or 0

    def keep(self, names: Iterable[LaneName]) -> None:
        """Forget lanes that no contract has any more."""
        kept = set(names)
        self._lanes = {name: lane for name, lane in self._lanes.items() if name in kept}

    def status(self, now: int) -> tuple[LaneStatus, ...]:
        """How full each lane is, and what became of its requests since the worker started."""
        return tuple(
            LaneStatus(
                contract,
                model,
                lane.bucket.per_minute,
                lane.utilisation_permille(now),
                lane.served,
                lane.spilled,
                lane.refused,
            )
            for (contract, model), lane in self._lanes.items()
        )


def enter(lane: Lane, *, can_spill: bool = True) -> bool:
    """Whether a request may run on the units now; False where it spills over to standard ones.

    Args:
        lane: refilled.
        can_spill: whether there are standard deployments for it.

    Raises:
        RateLimitedError: 429, where it may do neither.
    """
    wait_us = CONCURRENT_WAIT_US if lane.closed else lane.bucket.wait_us(1)
    if not wait_us:
        return True
    if lane.terms.spillover and can_spill:
        return False
    lane.refused += 1
    raise RateLimitedError(
        f"The provisioned throughput of the model '{lane.terms.model}' is fully used.",
        kind="tokens",
        wait_us=wait_us,
        hint=f"Please try again in {duration(wait_us).decode()}.",
    )


def deployed(
    targets: tuple[Target, ...], terms: Provisioned
) -> tuple[tuple[Target, ...], tuple[Target, ...]]:
    """Deployments for the units, and those for what spills over; often both are all of them."""
    if not terms.deployment:
        return targets, targets
    own = tuple(one for one in targets if one.deployment.name == terms.deployment)
    rest = tuple(one for one in targets if one.deployment.name != terms.deployment)
    return own, rest


def spillover_headers(model: str, deployment: str) -> bytes:
    """What Azure's clients read of a request that spilled over.

    Args:
        model: the provisioned deployment, by the name that customers call it.
        deployment: the standard one that served it.
    """
    return b"x-ms-spillover-from-deployment: %b\r\nx-ms-deployment-name: %b\r\n" % (
        _header(model),
        _header(deployment),
    )


def spillover_failed(status: int) -> bytes:
    """What Azure's clients read where the standard deployment failed as well: its status."""
    return b"x-ms-spillover-error: %d\r\n" % status


def served_by(headers: bytes, deployment: str) -> bytes:
    """Header lines that name the deployment which serves now, where they name one.

    Args:
        headers: lines, `spillover_headers` perhaps among them.
        deployment: after a failover another one than they say.
    """
    line = b"x-ms-deployment-name: %b\r\n" % _header(deployment)
    return _SERVED_BY.sub(lambda _: line, headers)


def _header(name: str) -> bytes:
    """A name as a header carries it; models may be called anything."""
    plain = name.isascii() and name.isprintable()
    return (name if plain else quote(name)).encode()
