"""Looking every day without inflating alarms: conformal p-values, and evidence that accumulates.

A day gets two p-values. `p_population` ranks its score among the operator's ordinary tenants: is it
high for anybody? `p_own` ranks it among the account's own days, ties broken by a keyed draw: is it
high for this account? The larger of the two counts, so both must be small.

Guarantee: if an account's days are exchangeable, its own ranks are independent and uniform (Vovk et
al., 2003), whatever the account's level, so the larger p-value of each day is no smaller than a
uniform one given the past. The evidence is then a non-negative supermartingale from one, and
Ville's inequality bounds the chance that it *ever* reaches 1 / alpha by alpha, over any number of
days and with a look at every one of them. `tests/simulation/test_conduct_alarms.py` checks it, with
accounts that differ much and last long, beside a daily line that fails.
"""

import math
from collections.abc import Sequence
from hashlib import blake2b

import msgspec

OWN_DAYS_MIN = 14
"""With fewer own days the smallest p-value is above 1 in 15, and evidence would be mere luck."""


class Evidence(msgspec.Struct, frozen=True):
    """What has accumulated of an account."""

    day: int
    p_population: float
    p_own: float
    value: float
    """The e-value: how many times a bet against the account being ordinary has multiplied."""

    def alarms(self, alpha: float) -> bool:
        """Whether the evidence reaches 1 / alpha."""
        return self.value >= 1 / alpha


def conformal_p(ordinary: Sequence[float], score: float) -> float:
    """Rank of a score among those of ordinary tenants; valid if this tenant is one of their kind.

    Args:
        ordinary: one score a tenant, so that one talkative tenant does not count many times.
        score: what is judged; larger is more suspicious.
    """
    return (1 + sum(other >= score for other in ordinary)) / (len(ordinary) + 1)


def own_p(past: Sequence[float], score: float, draw: float) -> float:
    """Smoothed rank of a score among the account's own earlier ones; uniform if days are alike.

    Args:
        past: the account's earlier scores.
        score: that of today.
        draw: a number in (0, 1] that the customer cannot foresee; breaks ties.
    """
    above = sum(other > score for other in past)
    equal = 1 + sum(other == score for other in past)
    return (above + draw * equal) / (len(past) + 1)


def keyed_draw(key: bytes, account: str, day: int) -> float:
    """A number in (0, 1] from the deployment's key."""
    text = f"tie\0{account}\0{day}".encode("utf-8", "replace")
    return (int.from_bytes(blake2b(text, key=key, digest_size=8).digest(), "big") + 1) / 2**64


def bet(p: float) -> float:
    """What a bet of one against uniform p-values is worth: k p^(k-1), mixed over k in (0, 1).

    Source: Vovk and Wang, "E-values: calibration, combination and applications", 2021.
    """
    if p >= 1:
        return 0.5  # the limit
    log_p = math.log(p)
    if log_p > -1e-3:
        return 0.5 - log_p / 6  # the series, where the formula cancels
    return (1 - p + p * log_p) / (p * log_p * log_p)


class Accumulator:
    """The evidence on one account, day by day.

    A campaign may begin on any day: the bet is spread over all starting days, with the weight
    1 / (t (t + 1)) for day t, which sums to one.

    Args:
        account: whose days they are.
        ordinary: one score for each of the operator's ordinary tenants.
        key: the deployment's key; breaks ties.
    """

    def __init__(self, account: str, ordinary: Sequence[float], key: bytes) -> None:
        self._account = account
        self._ordinary = ordinary
        self._key = key
        self._past: list[float] = []
        self._running = 0.0

    def add(self, score: float) -> Evidence:
        """The evidence after one more day."""
        day = len(self._past) + 1
        population = conformal_p(self._ordinary, score)
        own = own_p(self._past, score, keyed_draw(self._key, self._account, day))
        self._past.append(score)
        worth = bet(max(population, own)) if day > OWN_DAYS_MIN else 1.0
        self._running = worth * (self._running + 1 / (day * (day + 1)))
        # What is not yet bet is kept: it is the weight of starting days to come.
        return Evidence(day, population, own, self._running + 1 / (day + 1))


def accumulate(
    scores: Sequence[float], ordinary: Sequence[float], key: bytes, account: str
) -> list[Evidence]:
    """The evidence after each day of an account, from its first day on."""
    run = Accumulator(account, ordinary, key)
    return [run.add(score) for score in scores]
