"""Made-up tenants from disjoint rows of real prompts, by a committed seed.

Within a tenant no request occurs twice: history, day, launch and campaign are disjoint rows.
Tenants share sources (14 ordinary account-days a family), so account-days are not independent, and
intervals resample families and sources. Multi-workload tenants and covert campaigns come out of one
mixer.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.conduct_parts.corpus import Source
from quartermaster.conduct.sketch import Sample, joined

SIZE_MIN, SIZE_MAX = 26, 260
"""26 requests an account-day is the figure of a public report; sources hold 90 to 260."""
WORKLOADS_MAX = 5
MULTI_SHARE = 1 / 3
"""Of ordinary account-days, this share has several workloads."""


class Day(NamedTuple):
    """One composed account-day."""

    harvest: bool
    family: str
    """Of the campaign, or of the largest workload."""
    source: int
    fraction: float
    sample: Sample
    multi: bool = False
    evasion: bool = False


class Mixer:
    """Draws account-days from some of the sources.

    Args:
        harvest: campaigns that may be drawn.
        ordinary: workloads that may be drawn.
        draw: the seeded generator.
    """

    def __init__(
        self, harvest: Sequence[Source], ordinary: Sequence[Source], draw: np.random.Generator
    ) -> None:
        self._of: dict[str, list[Source]] = {}
        for source in [*harvest, *ordinary]:
            self._of.setdefault(source.family, []).append(source)
        self.campaigns = sorted({source.family for source in harvest})
        self.workloads = sorted({source.family for source in ordinary})
        self.draw = draw

    def size(self) -> int:
        """Requests of an account-day, log-uniform."""
        return int(math.exp(self.draw.uniform(math.log(SIZE_MIN), math.log(SIZE_MAX))))

    def ordinary_day(self, family: str, size: int) -> Day:
        """An ordinary day whose largest workload is of `family`."""
        first = self.source(family)
        if self.draw.random() >= MULTI_SHARE:
            return Day(False, family, first.at, 0.0, self.some(first, size))
        rest = self._others(int(self.draw.integers(1, WORKLOADS_MAX)))
        share = self.draw.uniform(0.3, 0.8)
        parts = [self.some(first, round(size * share))]
        parts += [self.some(s, round(size * (1 - share) / len(rest))) for s in rest]
        return Day(False, family, first.at, 0.0, joined(parts), multi=True)

    def campaign_day(self, family: str, fraction: float, size: int) -> Day:
        """A day of which `fraction` is a campaign, the rest ordinary workloads."""
        campaign = self.source(family)
        covert = self.some(campaign, max(1, round(size * fraction)))
        if fraction == 1:
            return Day(True, family, campaign.at, 1.0, covert, evasion=campaign.evasion)
        rest = self._others(int(self.draw.integers(1, WORKLOADS_MAX)))
        parts = [self.some(s, round(size * (1 - fraction) / len(rest))) for s in rest]
        return Day(
            True, family, campaign.at, fraction, joined([covert, *parts]), True, campaign.evasion
        )

    def source(self, family: str) -> Source:
        """One of the family's account-days."""
        held = self._of[family]
        return held[int(self.draw.integers(len(held)))]

    def some(self, source: Source, count: int) -> Sample:
        """That many different requests of a source, or all that it has."""
        held = len(source.sample)
        rows = self.draw.choice(held, min(max(1, count), held), replace=False)
        return source.sample.take(rows)

    def _others(self, count: int) -> list[Source]:
        picked = self.draw.choice(self.workloads, min(count, len(self.workloads)), replace=False)
        return [self.source(str(family)) for family in picked]
