"""What a meter might see of accounts besides text. **Synthetic**: no public data has it.

So figures with these fields say what the arithmetic makes of a campaign that shares so much, not
how much campaigns share. Ordinary accounts have a payment instrument of their own (5 % pay by one
of five agencies), two clouds' egress addresses out of two hundred with Zipf frequencies, half of
them an address of their own as well, clients and request settings with Zipf frequencies, and wake
in the office hours of one of five time zones (60 %), all day (20 %) or at three half-hours of a
timetable (20 %). Shards differ from that only in what their `Habit` says.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from quartermaster.conduct.sketch import HALF_HOURS, Traces

ADDRESSES, CLIENTS, SETTINGS, AGENCIES = 200, 30, 40, 5
AGENCY_SHARE, OWN_ADDRESS_SHARE, OFFICE_SHARE, ALL_DAY_SHARE = 0.05, 0.5, 0.6, 0.2
ZONES = (0, -12, 16, 2, -16)
"""Half-hours from the first: one continent has most of the customers, another a quarter."""
ZONE_SHARES = (0.35, 0.25, 0.2, 0.1, 0.1)
OFFICE_NOON, OFFICE_SPREAD = 26, 5.0
NIGHT = 0.02
"""Of the busiest half-hour."""
JOBS, CAMPAIGN_JOBS = 3, 6
"""Half-hours of a timetable."""
PROXIES, PROXIES_A_DAY = 8, 3
OWN = 1_000_000
"""Values from here on belong to one account or campaign."""


class Habit(NamedTuple):
    """What two shards of one campaign have in common."""

    name: str
    payment: float
    """Chance that two of them share the payment instrument."""
    network: float
    """Chance that both use the campaign's eight proxies, three a day each."""
    settings: float
    """Chance that both send the campaign's own request settings."""
    timetable: bool
    """Whether one scheduler sends all of it, at six half-hours of the day."""


HABITS = (
    Habit("half share a card, most share proxies, one scheduler", 0.5, 0.9, 0.9, True),
    Habit("a card each, half share proxies, one scheduler", 0.0, 0.5, 0.5, True),
    Habit("a card and networks each, one scheduler", 0.0, 0.0, 0.0, True),
    Habit("a card each, half share proxies, own hours", 0.0, 0.5, 0.0, False),
    Habit("nothing shared", 0.0, 0.0, 0.0, False),
)


class MeterMaker:
    """Draws what the meter saw of accounts.

    Args:
        habit: of the campaigns.
        draw: the seeded generator.
    """

    def __init__(self, habit: Habit, draw: np.random.Generator) -> None:
        self._habit = habit
        self._draw = draw
        self._timetables: dict[int, npt.NDArray[np.float64]] = {}
        self._next = OWN

    def account(self, requests: int, campaign: int | None) -> Traces:
        """Traces of an account; of a shard, if `campaign` names one."""
        payments, networks = self._payments(campaign is None), self._networks()
        clients = {self._zipf(CLIENTS) for _ in range(int(self._draw.integers(1, 3)))}
        settings, day = {self._zipf(SETTINGS)}, self._day()
        if campaign is not None:
            own = OWN * (campaign + 2)
            if self._both(self._habit.payment):
                payments = {own}
            if self._both(self._habit.network):
                networks = {own + int(at) for at in self._draw.choice(PROXIES, PROXIES_A_DAY)}
            if self._both(self._habit.settings):
                settings = {own}
            if self._habit.timetable:
                day = self._timetables.setdefault(campaign, self._jobs(CAMPAIGN_JOBS))
        hours = self._draw.multinomial(requests, day / day.sum()).astype(np.uint32)
        return Traces(payments, {self._fresh()}, networks, clients, set(), settings, {}, hours)

    def _payments(self, ordinary: bool) -> set[int]:
        if ordinary and self._draw.random() < AGENCY_SHARE:
            return {int(self._draw.integers(AGENCIES))}
        return {self._fresh()}

    def _networks(self) -> set[int]:
        found = {self._zipf(ADDRESSES) for _ in range(int(self._draw.integers(1, 4)))}
        return found | {self._fresh()} if self._draw.random() < OWN_ADDRESS_SHARE else found

    def _day(self) -> npt.NDArray[np.float64]:
        kind = self._draw.random()
        if kind < OFFICE_SHARE:
            far = (np.arange(HALF_HOURS) - OFFICE_NOON) / OFFICE_SPREAD
            zone = int(self._draw.choice(ZONES, p=ZONE_SHARES))
            return np.asarray(np.roll(np.exp(-(far**2) / 2), zone) + NIGHT)
        return np.ones(HALF_HOURS) if kind < OFFICE_SHARE + ALL_DAY_SHARE else self._jobs(JOBS)

    def _jobs(self, count: int) -> npt.NDArray[np.float64]:
        day = np.full(HALF_HOURS, NIGHT)
        day[self._draw.choice(HALF_HOURS, count, replace=False)] = 1.0
        return day

    def _both(self, chance: float) -> bool:
        """One of two that both do something with that chance."""
        return bool(self._draw.random() < np.sqrt(chance))

    def _zipf(self, values: int) -> int:
        weights = 1 / np.arange(1, values + 1)
        return int(self._draw.choice(values, p=weights / weights.sum()))

    def _fresh(self) -> int:
        self._next += 1
        return self._next
