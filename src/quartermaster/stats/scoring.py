"""How good were stated probabilities? Brier, log loss, ranking, calibration and captured loss.

Every function takes arrays of equal length, one element a statement: `events` is 0 or 1,
`probabilities` lies strictly between. Guarantee: `ece_calibrated` gives what the calibration
error of a forecaster without any fault would be on the same rows; a test shows by simulation that
such a forecaster stays below it as often as stated.
"""

from statistics import NormalDist

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ECE_BINS = 10
"""Equal-count bins, as the bar on calibration is written."""
PROBABILITY_MIN = 1e-6
"""A statement of exactly zero would cost infinity once it is wrong."""
SIMULATIONS = 400
"""The 95th percentile of 400 draws is itself known to about 3 %."""
CAPTURE_SHARE = 0.1
"""The tenth of customers somebody can call in a quarter."""


def brier(events: FloatArray, probabilities: FloatArray) -> float:
    """Mean squared difference of statement and outcome; 0 is best."""
    return float(np.mean((events - probabilities) ** 2))


def log_loss(events: FloatArray, probabilities: FloatArray) -> float:
    """Mean negative log-likelihood in nats; a sure statement that is wrong costs 13.8."""
    sure = np.clip(probabilities, PROBABILITY_MIN, 1 - PROBABILITY_MIN)
    return float(-np.mean(events * np.log(sure) + (1 - events) * np.log1p(-sure)))


def auc(events: FloatArray, scores: FloatArray, weights: FloatArray | None = None) -> float | None:
    """Chance that an event is ranked before a non-event, ties half, pairs weighted by the product.

    None where only one kind of outcome was seen.
    """
    weights = np.ones(len(events)) if weights is None else weights
    place = np.unique(scores, return_inverse=True)[1]
    positive = np.bincount(place, weights * events)
    negative = np.bincount(place, weights * (1 - events))
    pairs = positive.sum() * negative.sum()
    if not pairs:
        return None
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / pairs)


def ece(events: FloatArray, probabilities: FloatArray, bins: int = ECE_BINS) -> float:
    """Expected calibration error: mean |stated - observed| over bins of equal count."""
    order = np.argsort(probabilities, kind="stable")
    gaps = np.add.reduceat((events - probabilities)[order], _bin_starts(len(events), bins))
    return float(np.abs(gaps).sum() / len(events))


def reliability(
    events: FloatArray, probabilities: FloatArray, bins: int = ECE_BINS
) -> list[tuple[float, float, int]]:
    """Points of the reliability diagram: mean stated, share observed, count, by rising bin."""
    order = np.argsort(probabilities, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return [(float(probabilities[p].mean()), float(events[p].mean()), len(p)) for p in parts]


def ece_calibrated(
    probabilities: FloatArray,
    blocks: IntArray,
    times: IntArray,
    *,
    horizon: int,
    seed: int,
    quantile: float = 0.95,
) -> float:
    """A quantile of the ECE that a perfectly calibrated forecaster would show on these rows.

    Outcomes are drawn with the stated probabilities. Outcomes of one block (a tenant) whose
    horizons overlap are not independent: they share a Gaussian whose correlation is the share of
    the horizon they have in common. Blocks are independent, so common shocks are not excused.

    Args:
        probabilities: what was stated.
        blocks: which tenant each row belongs to.
        times: origin of each row, in the unit of `horizon`.
        horizon: how far a statement looks ahead.
        seed: of the draws.
        quantile: which quantile of the simulated ECE.
    """
    when, column = np.unique(times, return_inverse=True)
    row = np.unique(blocks, return_inverse=True)[1]
    shared = np.maximum(0.0, 1 - np.abs(when[:, None] - when[None, :]) / horizon)
    root = np.linalg.cholesky(shared + 1e-9 * np.eye(len(when)))
    normal = NormalDist()
    cuts = np.array([normal.inv_cdf(p) for p in np.clip(probabilities, 1e-9, 1 - 1e-9)])
    draw = np.random.default_rng(seed)
    order = np.argsort(probabilities, kind="stable")
    starts = _bin_starts(len(order), ECE_BINS)
    errors = np.empty(SIMULATIONS)
    for index in range(SIMULATIONS):
        latent = draw.standard_normal((row.max() + 1, len(when))) @ root.T
        gaps = (latent[row, column] < cuts) - probabilities
        errors[index] = np.abs(np.add.reduceat(gaps[order], starts)).sum() / len(order)
    return float(np.quantile(errors, quantile))


def captured(
    scores: FloatArray,
    losses: FloatArray,
    times: IntArray | None = None,
    share: float = CAPTURE_SHARE,
) -> float:
    """Share of all losses held by the rows ranked first; 0 where nothing was lost.

    Args:
        scores: what rows are ranked by.
        losses: what each row lost.
        times: when each statement was made. Then a tenth is taken at each time and the mean of the
            shares is the result, as somebody sees it who calls that many customers each quarter;
            times at which nothing was lost do not count.
        share: how many rows are first.
    """
    if times is None:
        times = np.zeros(len(losses), dtype=np.int64)
    shares = [
        _captured_at(scores[times == at], losses[times == at], share) for at in np.unique(times)
    ]
    known = [one for one in shares if one is not None]
    return float(np.mean(known)) if known else 0.0


def gap_closed(
    scores: FloatArray, sizes: FloatArray, losses: FloatArray, times: IntArray | None = None
) -> float | None:
    """How far a ranking moves capture from size alone (0) to knowing the losses (1)."""
    floor = captured(sizes, losses, times)
    ceiling = captured(losses, losses, times)
    if ceiling == floor:
        return None
    return (captured(scores, losses, times) - floor) / (ceiling - floor)


def _captured_at(scores: FloatArray, losses: FloatArray, share: float) -> float | None:
    total = losses.sum()
    first = np.argsort(-scores, kind="stable")[: int(np.ceil(share * len(losses)))]
    return float(losses[first].sum() / total) if total else None


def _bin_starts(count: int, bins: int) -> IntArray:
    sizes = [len(part) for part in np.array_split(np.arange(count), min(bins, count))]
    return np.cumsum([0, *sizes[:-1]])
