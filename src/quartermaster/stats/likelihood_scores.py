"""How good were stated probabilities: Brier and log score, reliability, and what luck would do.

Sources: Brier 1950; Good 1952 (log score); Spiegelhalter 1986 (the spread of a calibrated Brier
score); Wilson 1927 (interval of a proportion).

Assumes: statements about different events, independent given their probabilities. Statements that
share an event or a bad year are fewer than they look.
Guarantee: a Wilson interval at 90 % holds the true proportion in about 90 % of samples, somewhat
more or less for few of them; `calibrated_z` is standard normal for many calibrated statements, and
`beyond_chance` comes in about 10 % of calibrated records, also where statements about one subject
come true together.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import msgspec

from quartermaster.kernel.errors import UsageError

LEVEL = 0.90
BINS_MAX = 10
"""Ten bins are a reliability diagram that can be read."""
PER_BIN_MIN = 5
"""With fewer statements a bin's interval spans most of the diagram."""
STATEMENTS_MIN = 30
"""Below this no score tells a calibrated forecaster from a lucky one."""


class Proportion(msgspec.Struct, frozen=True):
    """A share of trials and its interval."""

    share: float
    low: float
    high: float


class Bin(msgspec.Struct, frozen=True):
    """Statements of about the same probability: what was said, and what came."""

    statements: int
    stated: float
    came: Proportion


class Scores(msgspec.Struct, frozen=True):
    """Scores of a list of statements; smaller is better for both."""

    statements: int
    events: int
    brier: float
    log_score: float
    """Mean of -log of the probability given to what happened, in nats."""
    brier_base_rate: float
    """Of stating the observed rate every time, which nobody knew beforehand."""
    brier_if_calibrated: float
    """Expected, were every probability right."""
    brier_if_calibrated_sd: float
    calibrated_z: float | None
    """How many standard deviations the Brier score lies above that; None where it cannot vary."""
    calibration_error: float
    """Mean distance of stated and observed over the bins, weighted by statements."""
    bins: tuple[Bin, ...]
    enough: bool
    """Whether there are enough statements to say anything about calibration."""
    stated: float = 0.0
    """Mean of the probabilities."""
    came: Proportion = Proportion(0.0, 0.0, 1.0)
    """How many came true; its interval counts statements about one subject as fewer than they
    are, as far as they came true together."""

    @property
    def beyond_chance(self) -> bool:
        """Whether what was stated on average lies outside of the interval of what came."""
        return self.enough and not self.came.low <= self.stated <= self.came.high


def wilson(events: int, trials: int, level: float = LEVEL) -> Proportion:
    """A proportion with Wilson's interval.

    Raises:
        UsageError: no trials, or more events than trials.
    """
    if not 0 <= events <= trials or trials == 0:
        raise UsageError(f"{events} of {trials} is no proportion")
    return _wilson(events / trials, trials, level)


def _wilson(share: float, trials: float, level: float = LEVEL) -> Proportion:
    z = NormalDist().inv_cdf(0.5 + level / 2)
    scale = 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / scale
    low = 0.0 if share == 0 else max(middle - half, 0.0)
    high = 1.0 if share == 1 else min(middle + half, 1.0)
    return Proportion(share, low, high)


def _together(outcomes: Sequence[bool], subjects: Sequence[str]) -> Proportion:
    """The share that came, with as many trials as its variance over subjects is worth."""
    count, share = len(outcomes), sum(outcomes) / len(outcomes)
    off: dict[str, float] = {}
    for subject, came in zip(subjects, outcomes, strict=True):
        off[subject] = off.get(subject, 0.0) + came - share
    alone = count * share * (1 - share)
    alike = max(1.0, sum(one * one for one in off.values()) / alone) if alone else 1.0
    # Alike at most as far as each subject is one trial.
    return _wilson(share, max(count / alike, float(min(len(off), count))))


def scores(
    probabilities: Sequence[float],
    outcomes: Sequence[bool],
    subjects: Sequence[str] | None = None,
) -> Scores:
    """Every score of statements with known outcomes.

    Args:
        probabilities: as stated.
        outcomes: whether it came, of each.
        subjects: whom each is about; None: each about another.

    Raises:
        UsageError: none, a different number of outcomes, or a certainty.
    """
    if not probabilities or len(probabilities) != len(outcomes):
        raise UsageError("scores need statements, each with its outcome")
    if not all(0 < p < 1 for p in probabilities):
        raise UsageError("a stated probability lies inside 0 to 1; certainty cannot be scored")
    count = len(probabilities)
    pairs = list(zip(probabilities, (int(came) for came in outcomes), strict=True))
    brier = sum((p - came) ** 2 for p, came in pairs) / count
    expected = sum(p * (1 - p) for p in probabilities) / count
    sd = math.sqrt(sum((1 - 2 * p) ** 2 * p * (1 - p) for p in probabilities)) / count
    events = sum(outcomes)
    groups = reliability(probabilities, outcomes)
    error = sum(g.statements * abs(g.stated - g.came.share) for g in groups) / count
    return Scores(
        statements=count,
        events=events,
        brier=brier,
        log_score=-sum(math.log(p if came else 1 - p) for p, came in pairs) / count,
        brier_base_rate=events / count * (1 - events / count),
        brier_if_calibrated=expected,
        brier_if_calibrated_sd=sd,
        calibrated_z=(brier - expected) / sd if sd > 0 else None,
        calibration_error=error,
        bins=groups,
        enough=count >= STATEMENTS_MIN,
        stated=sum(probabilities) / count,
        came=_together(outcomes, subjects or [str(at) for at in range(count)]),
    )


def reliability(probabilities: Sequence[float], outcomes: Sequence[bool]) -> tuple[Bin, ...]:
    """Bins of about equally many statements, in order of probability.

    Equal probabilities are never divided between bins: which of them came first would decide. A
    bin that they make larger leaves the others fewer to share, and none gets under `PER_BIN_MIN`
    unless that is all there are.
    """
    order = sorted(range(len(probabilities)), key=lambda at: probabilities[at])
    groups: list[list[int]] = []
    group: list[int] = []
    left = len(order)
    for position, at in enumerate(order, start=1):
        group.append(at)
        wanted = max(1, min(BINS_MAX - len(groups), left // PER_BIN_MIN))
        last = position == len(order)
        if last or (
            len(group) * wanted >= left and probabilities[order[position]] > probabilities[at]
        ):
            groups.append(group)
            left, group = len(order) - position, []
    if len(groups) > 1 and len(groups[-1]) < PER_BIN_MIN:
        groups[-2:] = [groups[-2] + groups[-1]]
    found = []
    for group in groups:
        stated = sum(probabilities[one] for one in group) / len(group)
        came = wilson(sum(outcomes[one] for one in group), len(group))
        found.append(Bin(len(group), stated, came))
    return tuple(found)
