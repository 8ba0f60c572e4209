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

from collections import deque
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec

OWN_DAYS_MIN = 14
"""With fewer own days the smallest p-value is above 1 in 15, and evidence would be mere luck."""
BEGINNINGS_MAX = 56
"""Eight weeks: a campaign that has not shown by then is the account's usual traffic."""


class Player(NamedTuple):
    """One way to bet; each has half of what there is to bet with."""

    stake: float
    """What is not staked is left after a quiet day."""
    spread: tuple[float, ...]
    """How many times as wide as expected the shares of ranks are that it bets on."""


PLAYERS = (
    # A harvest on every day: quick, and nearly ruined by quiet days.
    Player(0.8, (1.0, 2.0, 4.0)),
    # A harvest on every second day: it ranks among half as many, and quiet days cost little.
    Player(0.3, (0.5, 1.0)),
)


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


def bet(p: float, before: int, since: int, player: Player) -> float:
    """What a bet of one pays on the next day of a campaign that is supposed to have begun.

    If the days since then are above all that were before, today's rank is among the `since + 1`
    first of all: the stake is on that share of ranks, and on narrower or wider ones for harvests
    with quiet days among them and accounts with loud ones before. Paid is one over the share, so
    that a uniform p-value makes one of one on average, and a larger p never pays more.

    Args:
        p: today's p-value.
        before: days of the account before the supposed beginning.
        since: days since then, without today.
        player: who bets.
    """
    first = (since + 1) / (before + since + 1)
    paid = 0.0
    for times in player.spread:
        share = times * first
        if share >= 1:
            paid += 1
        elif p <= share:
            paid += 1 / share
    return 1 - player.stake + player.stake * paid / len(player.spread)


class Accumulator:
    """The evidence on one account, day by day.

    A campaign may begin on any day: one is split over all beginnings, with the weight 1 / (k (k+1))
    for the k-th day on which it could begin, which sums to one.

    Args:
        account: whose days they are.
        key: the deployment's key; breaks ties.
    """

    def __init__(self, account: str, key: bytes) -> None:
        self._account = account
        self._key = key
        self._past: list[float] = []
        self._begun: deque[tuple[int, tuple[float, ...]]] = deque(maxlen=BEGINNINGS_MAX)
        self._value = 1.0

    def add(self, score: float, ordinary: Sequence[float]) -> Evidence:
        """The evidence after one more day.

        Args:
            score: of the day.
            ordinary: one score for each of the operator's ordinary tenants.
        """
        day = len(self._past) + 1
        population = conformal_p(ordinary, score)
        own = own_p(self._past, score, keyed_draw(self._key, self._account, day))
        self.again(score, max(population, own))
        return Evidence(day, population, own, self._value)

    def again(self, score: float, p: float | None) -> None:
        """Count a day of which the p-value is known.

        Args:
            score: of the day.
            p: the larger of its two p-values; None where it was not ranked, and nothing was bet.
        """
        known = len(self._past)
        self._past.append(score)
        place = known + 1 - OWN_DAYS_MIN
        if place < 1:
            return
        weight = 1 / (place * (place + 1))
        self._begun.append((known, (weight / len(PLAYERS),) * len(PLAYERS)))
        if p is not None:
            self._begun = deque(self._paid(p, known), maxlen=BEGINNINGS_MAX)
        # What is not yet bet is kept: it is the weight of beginnings to come.
        self._value = sum(sum(held) for _, held in self._begun) + 1 / (place + 1)

    def _paid(self, p: float, known: int) -> Iterator[tuple[int, tuple[float, ...]]]:
        for at, held in self._begun:
            pays = (bet(p, at, known - at, player) for player in PLAYERS)
            yield at, tuple(one * pay for one, pay in zip(held, pays, strict=True))


def accumulate(
    scores: Sequence[float], ordinary: Sequence[float], key: bytes, account: str
) -> list[Evidence]:
    """The evidence after each day of an account, from its first day on."""
    run = Accumulator(account, key)
    return [run.add(score, ordinary) for score in scores]
