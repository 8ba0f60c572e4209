"""Verdicts over Azure's real quarters, against a truth that a person wrote down first.

The truth was read off the earnings calls by hand, before the code that is tested here was written:
guidance in constant currency against growth in constant currency, and nothing else.
"""

from collections import Counter
from functools import cache

import msgspec
import pytest
from tests.public_data import public_file

from quartermaster.revenue.guidance import SCORED, Actual, Outcome, score
from quartermaster.revenue.guidance_rows import Promise, read_guidance
from quartermaster.revenue.scorecard import scorecard

FILE = "facts/azure_growth_guidance.csv"
RANGE: tuple[Outcome, ...] = ("upper_half", "met", "lower_half")

TRUTH = {
    "FY23Q1": ("miss", "a point, 43; 42 came in; what was guided is inferred"),
    "FY23Q2": ("beat", "a point, 37; 38 came in"),
    "FY23Q3": ("upper_half", "30 to 31; 31 came in"),
    "FY23Q4": ("upper_half", "26 to 27; 27 came in"),
    "FY24Q1": ("beat", "25 to 26; 28 came in"),
    "FY24Q2": ("beat", "26 to 27; 28 came in"),
    "FY24Q3": ("beat", "a point, 28; 31 came in"),
    "FY24Q4": ("lower_half", "30 to 31; 30 came in, though 29 as reported"),
    "FY25Q1": ("not_comparable", "metric_version: the metric was redefined after it was guided"),
    "FY25Q2": ("lower_half", "31 to 32; 31 came in"),
    "FY25Q3": ("beat", "31 to 32; 35 came in"),
    "FY25Q4": ("beat", "34 to 35; 39 came in"),
    "FY26Q1": ("not_comparable", "basis_unknown: 40 came in, nobody says on which basis"),
    "FY26Q2": ("beat", "a point, 37; 39 came in"),
    "FY26Q3": ("pending", "37 to 38; the quarter is not reported"),
}


def test_the_truth_is_whole() -> None:
    assert Counter(outcome for outcome, _ in TRUTH.values()) == {
        "beat": 7,
        "upper_half": 2,
        "lower_half": 2,
        "miss": 1,
        "not_comparable": 2,
        "pending": 1,
    }


@cache
def promises() -> dict[str, Promise]:
    """The real file, as the product reads it."""
    found = read_guidance(public_file(FILE).read_bytes(), FILE)
    return {promise.guidance.figure.period: promise for promise in found}


@pytest.mark.parametrize("quarter", TRUTH)
def test_the_verdict_is_the_truth(quarter: str) -> None:
    outcome, why = TRUTH[quarter]
    promise = promises()[quarter]
    verdict = score(promise.guidance, promise.actual)
    assert verdict.outcome == outcome
    if outcome == "not_comparable":
        assert verdict.reasons == (why.partition(":")[0],)
    assert promise.guidance.inferred == (quarter in ("FY23Q1", "FY23Q3"))


def test_no_quarter_is_left_out_or_added() -> None:
    assert list(promises()) == list(TRUTH)


def careless(promise: Promise, reported: str) -> Outcome:
    """The verdict of someone who holds reported growth against constant-currency guidance."""
    came = Actual(figure=promise.guidance.figure, value=reported, source="")
    return score(promise.guidance, came).outcome


def test_across_bases_the_verdict_changes_and_is_refused() -> None:
    changed, changed_range = 0, 0
    rows = [line.split(",") for line in public_file(FILE).read_text("utf-8").splitlines()]
    reported = {row[0]: row[2] for row in rows[1:]}
    for quarter, (right, _) in TRUTH.items():
        promise = promises()[quarter]
        if right not in SCORED or promise.actual is None:
            continue
        wrong = careless(promise, reported[quarter])
        changed += wrong != right
        changed_range += wrong != right and not (wrong in RANGE and right in RANGE)
        figure = msgspec.structs.replace(promise.actual.figure, basis="reported")
        refused = score(promise.guidance, msgspec.structs.replace(promise.actual, figure=figure))
        assert (refused.outcome, refused.reasons) == ("not_comparable", ("basis",))
    assert (changed_range, changed) == (3, 4)


def test_the_track_record() -> None:
    (record,) = scorecard(list(promises().values())).records
    assert record.errors.count == 12
    assert float(record.errors.bias) == pytest.approx(-17 / 12)
    assert record.errors.mean_absolute == 21 / 12
    assert record.errors.corrected is not None
    assert float(record.errors.corrected) == pytest.approx(1.55, abs=0.005)
