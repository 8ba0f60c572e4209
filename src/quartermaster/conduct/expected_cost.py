"""What each move costs if the customer is innocent, and what waiting costs if it is not.

With probability P of a harvest, acting costs (1 - P) x C and waiting costs P x D. So a move is
worth its cost only where P > C / (C + D). C is revenue lost while something is held back, and the
revenue of a year that is lost for good where the customer leaves over it and would have stayed; D
is the part of the damage that the move averts. Nothing here measures P.

Amounts of several currencies are never added. C / (C + D) of the sums lies between the ratios of
the currencies whatever the rates (the mediant), so a move pays where it pays in each of them, and
does not where it pays in none; between, it hangs on rates that nobody gave, and nothing is decided.
"""

import math
from collections.abc import Mapping, Sequence

import msgspec

from quartermaster.kernel.case import CaseStake, Move, StakeElsewhere

DAYS_A_YEAR = 365


class Weight(msgspec.Struct, frozen=True):
    """How much of the whole a move touches, as fractions of one."""

    lost: float
    """Of the revenue of the days that it lasts."""
    churn: float
    """Of the probability that an innocent customer leaves over a suspension."""
    averted: float
    """Of the damage, if the customer is a harvester."""


WEIGHTS: Mapping[Move, Weight] = {
    "inform": Weight(0.0, 0.01, 0.10),
    "warn": Weight(0.0, 0.10, 0.30),
    "throttle": Weight(0.1, 0.30, 0.80),
    "suspend": Weight(1.0, 1.00, 1.00),
    "terminate": Weight(1.0, 3.00, 1.00),
}
"""Conventions, not measurements: a notice stops few and offends few, a slice is a tenth of the
revenue, and who is terminated wrongly is gone (the churn is cut at certainty)."""


class MoveCost(msgspec.Struct, frozen=True, kw_only=True):
    """One move: what it costs on the innocent, what it averts, and from which P on it pays."""

    move: Move
    wrong_minor: int
    """C: cost if the customer is innocent."""
    averted_minor: int
    """D: damage averted if it is not."""
    threshold: float
    """C / (C + D); acting pays above it."""
    acts: bool | None
    """Whether P is above the threshold; None where nobody said what P is, or currencies differ."""
    expected_minor: int | None
    """(1 - P) x C + P x (damage that is not averted)."""


class CurrencyCost(msgspec.Struct, frozen=True, kw_only=True):
    """All moves beside doing nothing, by what hangs on the customer in one currency alone."""

    currency: str
    damage_minor: int
    waiting_minor: int | None
    """P x damage: what doing nothing costs."""
    moves: tuple[MoveCost, ...]


class ExpectedCost(msgspec.Struct, frozen=True, kw_only=True):
    """All moves beside doing nothing, in the stake's currency; verdicts hold for all currencies."""

    stake: CaseStake
    damage_minor: int
    waiting_minor: int | None
    """P x damage: what doing nothing costs."""
    moves: tuple[MoveCost, ...]
    elsewhere: tuple[CurrencyCost, ...] = ()
    """The same of the other currencies, each with verdicts of its own."""

    @property
    def best(self) -> Move | None:
        """The move with the lowest expected cost; None where waiting is cheapest, or P unknown.

        Of several currencies there is none: which sum is lowest hangs on their rates.
        """
        if self.waiting_minor is None or self.elsewhere:
            return None
        known = [(one.expected_minor, one.move) for one in self.moves]
        cost, move = min(((c, m) for c, m in known if c is not None), key=lambda pair: pair[0])
        return move if cost < self.waiting_minor else None

    def of(self, move: Move) -> MoveCost | None:
        """The line of a move; None for a move without a cost."""
        return next((one for one in self.moves if one.move == move), None)


def posterior(even_chance: float, base_rate: float) -> float:
    """A probability at even odds, brought to the operator's own base rate (Bayes).

    Assumes that ordinary customers and harvesters score as they did where the even chance was
    calibrated; on kinds never seen there that is not known.

    Args:
        even_chance: probability if every second account-day were a harvest.
        base_rate: share of harvesters among the operator's customers.
    """
    if even_chance in (0, 1) or base_rate in (0, 1):
        # Certainty on one side; contradicting certainties leave the base rate.
        return even_chance if base_rate not in (0, 1) else base_rate
    log_odds = _logit(even_chance) + _logit(base_rate)
    return 1 / (1 + math.exp(-log_odds))


def expected_cost(stake: CaseStake) -> ExpectedCost:
    """The cost of every move at the stake's probability."""
    main = StakeElsewhere(stake.currency, stake.revenue_a_year_minor, stake.harvested_minor)
    first, *rest = (_in_currency(stake, one) for one in (main, *stake.others))
    together = zip(first.moves, *(one.moves for one in rest), strict=True)
    return ExpectedCost(
        stake=stake,
        damage_minor=first.damage_minor,
        waiting_minor=first.waiting_minor,
        moves=tuple(msgspec.structs.replace(each[0], acts=_verdict(each)) for each in together),
        elsewhere=tuple(rest),
    )


def _in_currency(stake: CaseStake, part: StakeElsewhere) -> CurrencyCost:
    damage = round(part.harvested_minor * stake.damage_multiple)
    probability = stake.probability
    return CurrencyCost(
        currency=part.currency,
        damage_minor=damage,
        waiting_minor=None if probability is None else round(probability * damage),
        moves=tuple(
            _cost(move, weight, stake, part.revenue_a_year_minor, damage)
            for move, weight in WEIGHTS.items()
        ),
    )


def _verdict(each: Sequence[MoveCost]) -> bool | None:
    """Whether a move pays at any rates; a currency with nothing on either side is silent."""
    weighed = [one for one in each if one.wrong_minor or one.averted_minor] or each[:1]
    said = {one.acts for one in weighed}
    return said.pop() if len(said) == 1 else None


def _cost(move: Move, weight: Weight, stake: CaseStake, a_year: int, damage: int) -> MoveCost:
    lost = weight.lost * a_year * stake.suspended_days / DAYS_A_YEAR
    # Whoever leaves anyway is not lost by a suspension.
    churn = min(1.0, weight.churn * stake.churn_wrongful) * (1 - stake.leaves_anyway)
    wrong, averted = round(lost + churn * a_year), round(weight.averted * damage)
    # With nothing to lose on either side there is no reason to act.
    threshold = wrong / (wrong + averted) if wrong + averted else 1.0
    probability = stake.probability
    return MoveCost(
        move=move,
        wrong_minor=wrong,
        averted_minor=averted,
        threshold=threshold,
        acts=None if probability is None else probability > threshold,
        expected_minor=None
        if probability is None
        else round((1 - probability) * wrong + probability * (damage - averted)),
    )


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))
