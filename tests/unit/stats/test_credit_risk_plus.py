"""CreditRisk+ and the granularity adjustment against published figures and their own limits."""

import csv

import numpy as np
import pytest
from tests.public_data import public_file

from quartermaster.kernel.errors import UsageError
from quartermaster.stats.credit_risk import (
    asymptotic_quantile,
    banded,
    granularity_adjustment,
    loss_distribution,
)

FOLDER = "concentration/crp_csfp_data"
UNIT, VARIANCE = 1e4, 0.25

# Two implementations agree on these to every printed digit: R's crp.CSFP and an independent one.
VALUE_AT_RISK = {
    0.5: 11.29e6,
    0.75: 20.53e6,
    0.9: 31.42e6,
    0.95: 38.90e6,
    0.975: 46.12e6,
    0.99: 55.24e6,
    0.995: 61.94e6,
    0.999: 76.99e6,
}
MEAN_FROM_QUANTILE = {0.95: 49_012_610.40, 0.99: 64_734_492.65, 0.999: 85_997_908.90}


def published() -> tuple[list[float], list[float]]:
    with public_file(f"{FOLDER}/rating_pd.csv").open(encoding="utf-8") as file:
        chances = {row["RATING"]: float(row["PD"]) for row in csv.DictReader(file)}
    with public_file(f"{FOLDER}/portfolio.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 25
    return [float(row["exposure"]) for row in rows], [chances[row["rating"]] for row in rows]


def test_the_published_example_to_the_printed_digits() -> None:
    obligors = banded(*published(), UNIT)
    found = loss_distribution(obligors, VARIANCE)
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-12)
    assert round(obligors.expected, 2) == 14_221_863.48
    assert round(found.mean(), 2) == 14_221_863.48
    assert round(found.deviation(), 4) == 12_613_314.7287
    for quantile, level in VALUE_AT_RISK.items():
        assert found.tail(quantile)[0] == pytest.approx(level, abs=1e-6)
    for quantile, mean in MEAN_FROM_QUANTILE.items():
        assert round(found.tail(quantile)[2], 2) == mean
    assert round(found.tail(0.99)[1]) == 64_742_534


def test_the_published_granularity_adjustment() -> None:
    exposures, chances = published()
    obligors = banded(exposures, chances, UNIT)
    assert round(asymptotic_quantile(obligors, VARIANCE, 0.999)) == 46_442_351
    adjustment = granularity_adjustment(exposures, chances, VARIANCE, 0.999)
    assert round(adjustment) == 34_576_341


@pytest.mark.parametrize("copies", [4, 16, 64])
def test_the_adjustment_becomes_exact_as_a_book_is_split(copies: int) -> None:
    """Each obligor replaced by `copies` of that fraction: exact minus asymptotic over GA -> 1."""
    sizes, chances = [float(size) for size in range(1, 26)], [0.1, 0.2, 0.05, 0.15, 0.1] * 5

    def ratio(times: int) -> float:
        split = [size / times for size in sizes] * times
        obligors = banded(split, chances * times, 0.02 / times)
        exact = loss_distribution(obligors, VARIANCE).tail(0.99)[0]
        gap = exact - asymptotic_quantile(obligors, VARIANCE, 0.99)
        return gap / granularity_adjustment(split, chances * times, VARIANCE, 0.99)

    assert abs(ratio(copies) - 1) < abs(ratio(1) - 1)
    assert abs(ratio(copies) - 1) < 0.5 / copies + 0.005


def test_one_obligor_has_the_negative_binomial_law() -> None:
    """The number of events is negative binomial: probabilities in closed form."""
    found = loss_distribution(banded([1.0], [0.3], 1.0), 0.5).probabilities
    size, stay = 2.0, 1 / (1 + 0.5 * 0.3)
    expected = [stay**size]
    for events in range(1, 5):
        expected.append(expected[-1] * (size + events - 1) / events * (1 - stay))
    assert found[:5] == pytest.approx(expected, abs=1e-12)


def test_without_a_factor_it_is_poisson() -> None:
    found = loss_distribution(banded([1.0], [2.0], 1.0), 0.0).probabilities
    assert found[:4] == pytest.approx(np.exp(-2) * np.array([1, 2, 2, 4 / 3]), abs=1e-12)


def test_banding_keeps_every_mean() -> None:
    obligors = banded([1.2, 7.7, 0.01], [0.1, 0.2, 0.3], 1.0)
    assert obligors.expected == pytest.approx(1.2 * 0.1 + 7.7 * 0.2 + 0.01 * 0.3, abs=1e-15)


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(UsageError, match="positive"):
        banded([1.0], [-0.1], 1.0)
    with pytest.raises(UsageError, match="too fine"):
        loss_distribution(banded([1e9], [0.5], 1.0), 0.25)
    with pytest.raises(UsageError, match="common factor"):
        asymptotic_quantile(banded([1.0], [0.1], 1.0), 0.0, 0.99)
