"""Guidance verdicts over Azure's quarters, with the basis and version traps.

Figures: earnings calls FY23 Q1 to FY26 Q2 as compiled from transcripts and press; a quarter's row
is (growth reported, growth in constant currency, guided low, guided high), guided in constant
currency.
"""

import msgspec
import pytest

from quartermaster.kernel.errors import UsageError
from quartermaster.revenue.guidance import Actual, Basis, Figure, Guidance, score

QUARTERS = {
    "FY23Q1": ("35", "42", "43", "43"),
    "FY23Q2": ("31", "38", "37", "37"),
    "FY23Q3": ("27", "31", "30", "31"),
    "FY23Q4": ("26", "27", "26", "27"),
    "FY24Q1": ("29", "28", "25", "26"),
    "FY24Q2": ("30", "28", "26", "27"),
    "FY24Q3": ("31", "31", "28", "28"),
    "FY24Q4": ("29", "30", "30", "31"),
    "FY25Q2": ("31", "31", "31", "32"),
    "FY25Q3": ("33", "35", "31", "32"),
    "FY25Q4": ("39", "39", "34", "35"),
    "FY26Q2": ("39", "39", "37", "37"),
}


def figure(period: str, basis: Basis = "constant_currency", version: str = "v1") -> Figure:
    return Figure(
        metric="azure_growth", unit="%", period=period, basis=basis, metric_version=version
    )


def guided(period: str, version: str = "v1") -> Guidance:
    _, _, low, high = QUARTERS[period]
    return Guidance(
        figure=figure(period, version=version),
        low=low,
        high=high,
        text=f"{low} to {high} %",
        source="earnings call",
        issued_on="2024-04-25",
    )


def actual(period: str, value: str, basis: Basis = "constant_currency") -> Actual:
    return Actual(figure=figure(period, basis), value=value, source="earnings call")


def test_twelve_quarters_on_one_basis() -> None:
    outcomes = [
        score(guided(period), actual(period, row[1])).outcome for period, row in QUARTERS.items()
    ]
    assert outcomes.count("miss") == 1
    assert outcomes.count("beat") == 7
    assert outcomes.count("lower_half") + outcomes.count("upper_half") == 4


def test_the_careless_comparison_would_be_wrong_and_is_refused() -> None:
    wrong = 0
    for period, (reported, _, _, _) in QUARTERS.items():
        refused = score(guided(period), actual(period, reported, "reported"))
        assert (refused.outcome, refused.reasons) == ("not_comparable", ("basis",))
        careless = score(guided(period), actual(period, reported)).outcome
        right = score(guided(period), actual(period, QUARTERS[period][1])).outcome
        in_range = {"lower_half", "upper_half"}
        wrong += careless != right and not {careless, right} <= in_range
    assert wrong == 3


def test_the_articles_quarter_was_at_the_low_end() -> None:
    assert score(guided("FY24Q4"), actual("FY24Q4", "30")).outcome == "lower_half"


def test_a_redefined_metric_is_not_scored() -> None:
    promised = msgspec.structs.replace(
        guided("FY25Q2"), low="28", high="29", figure=figure("FY25Q1")
    )
    came = Actual(figure=figure("FY25Q1", version="v2"), value="34", source="call")
    verdict = score(promised, came)
    assert (verdict.outcome, verdict.reasons) == ("not_comparable", ("metric_version",))


def test_every_difference_is_named() -> None:
    other = Figure(metric="run_rate", unit="USD", period="x", basis="reported", metric_version="2")
    verdict = score(guided("FY24Q4"), Actual(figure=other, value="1", source=""))
    assert verdict.reasons == ("metric", "unit", "period", "basis", "metric_version")


def test_bounds_that_are_no_range_are_refused() -> None:
    for low, high in (("31", "30"), ("thirty", "31")):
        broken = msgspec.structs.replace(guided("FY24Q4"), low=low, high=high)
        with pytest.raises(UsageError):
            score(broken, actual("FY24Q4", "30"))
