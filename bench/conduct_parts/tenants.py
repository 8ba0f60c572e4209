"""Known tenants: 28 days of their own, then an ordinary day, a launch, or a day with a campaign."""

from typing import NamedTuple

import numpy as np

from bench.conduct_parts.compose import WORKLOADS_MAX, Mixer
from bench.conduct_parts.corpus import Source
from quartermaster.conduct.history import PAST_DAYS
from quartermaster.conduct.sketch import Sample, joined

PAST_SHARE = 0.55
"""Of each source's rows, in their order, the first part is the past, the rest the day."""
SHARES = (0.5, 0.2, 0.1, 0.05)
ORDINARY_DAYS = 8
SIZE_MIN, SIZE_MAX = 26, 120


class TenantDay(NamedTuple):
    """One day of a known tenant."""

    kind: str
    """"ordinary", "launch" or "campaign"."""
    share: float
    family: str
    """Of the campaign or the launch; of an ordinary day, of its largest workload."""
    source: int
    sample: Sample


class Tenant(NamedTuple):
    """A tenant's past and days to judge."""

    past: list[Sample]
    days: list[TenantDay]


def tenant(mixer: Mixer, draw: np.random.Generator, ordinary_days: int = ORDINARY_DAYS) -> Tenant:
    """A tenant with one to five workloads, and days of every kind."""
    count = int(draw.integers(1, WORKLOADS_MAX))
    picked = draw.choice(mixer.workloads, min(count, len(mixer.workloads)), replace=False)
    own = [mixer.source(str(family)) for family in picked]
    pasts = [source.sample.take(np.arange(_cut(source))) for source in own]
    pools = [source.sample.take(np.arange(_cut(source), len(source.sample))) for source in own]
    past = joined(pasts)
    # Rows of one workload keep their order in time; workloads run side by side.
    day_of = np.concatenate([np.arange(len(p)) * PAST_DAYS // len(p) for p in pasts])
    days = [past.take(np.flatnonzero(day_of == at)) for at in range(PAST_DAYS)]
    return Tenant(days, list(_days(mixer, draw, own, pools, ordinary_days)))


def _days(
    mixer: Mixer,
    draw: np.random.Generator,
    own: list[Source],
    pools: list[Sample],
    ordinary_days: int,
) -> list[TenantDay]:
    def usual(size: int) -> Sample:
        each = max(1, round(size / len(pools)))
        return joined(
            pool.take(draw.choice(len(pool), min(each, len(pool)), replace=False)) for pool in pools
        )

    def size() -> int:
        return int(np.exp(draw.uniform(np.log(SIZE_MIN), np.log(SIZE_MAX))))

    out = [
        TenantDay("ordinary", 0.0, own[0].family, own[0].at, usual(size()))
        for _ in range(ordinary_days)
    ]
    others = [name for name in mixer.workloads if name not in {source.family for source in own}]
    for share in SHARES:
        for kind, names in (("launch", others), ("campaign", mixer.campaigns)):
            if names:
                added = mixer.source(str(draw.choice(names)))
                total = size()
                extra = mixer.some(added, max(1, round(total * share)))
                rest = usual(round(total * (1 - share)))
                out.append(TenantDay(kind, share, added.family, added.at, joined([rest, extra])))
    return out


def _cut(source: Source) -> int:
    return int(len(source.sample) * PAST_SHARE)
