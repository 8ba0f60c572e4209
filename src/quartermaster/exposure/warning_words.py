"""Reasons in words: which facts about a tenant's usage moved its probability, and which way."""

import math
from collections.abc import Callable

import msgspec

from quartermaster.exposure.warning_features import CUSHION, NAMES, WINDOW, FloatArray

REASONS_MAX = 3
"""Three reasons are read; a list of twelve is not."""
EFFECT_MIN = 0.05
"""Less than this on the logit scale moves an even chance by about one point: not a reason."""


class Reason(msgspec.Struct, frozen=True):
    """One fact and what it did."""

    feature: str
    effect: float
    """Added on the logit scale, against the mean row of the panel; positive raises the risk."""
    words: str
    value: float = 0.0
    """Of the feature, for faces with words of their own."""


def _level(value: float) -> str:
    """A cushioned log ratio back as a per cent of the trailing mean."""
    return f"{max(0.0, (1 + CUSHION) * math.exp(value) - CUSHION):.0%}"


WORDS: dict[str, Callable[[float], str]] = {
    "ratio_1": lambda v: f"last week at {_level(v)} of the mean of {WINDOW} weeks",
    "ratio_2": lambda v: f"last two weeks at {_level(v)} of the mean of {WINDOW} weeks",
    "ratio_4": lambda v: f"last four weeks at {_level(v)} of the mean of {WINDOW} weeks",
    "before_13": lambda v: f"the {WINDOW} weeks before at {_level(v)} of these {WINDOW}",
    "year": lambda v: f"its last year at {_level(v)} of the last {WINDOW} weeks, by the week",
    "always": lambda v: f"its whole history at {_level(v)} of the last {WINDOW} weeks, by the week",
    "idle_days": lambda v: f"{math.expm1(v):.0f} days without use at the end",
    "even_weeks": lambda v: f"use as uneven as if it came in {math.exp(v):.1f} weeks of {WINDOW}",
    "peak_week": lambda v: f"one week holds {v:.0%} of {WINDOW} weeks",
    "unsteady": lambda v: f"weekly use varies by {v:.2f} on a log scale",
    "active_weeks": lambda v: f"active in {v:.0%} of its weeks in the last year",
    "tenure": lambda v: f"used for {math.expm1(v):.0f} weeks or more",
}


def reasons(features: FloatArray, effects: FloatArray) -> tuple[Reason, ...]:
    """The facts that moved the probability most, largest first."""
    ranked = sorted(range(len(NAMES)), key=lambda at: -abs(float(effects[at])))
    return tuple(
        Reason(
            NAMES[at],
            float(effects[at]),
            _sentence(NAMES[at], features[at], effects[at]),
            float(features[at]),
        )
        for at in ranked[:REASONS_MAX]
        if abs(effects[at]) >= EFFECT_MIN
    )


def _sentence(name: str, value: float, effect: float) -> str:
    return f"{WORDS[name](float(value))} ({'raises' if effect > 0 else 'lowers'} the risk)"
