"""Scenario files: what is refused, with which words; and the book made from one."""

from pathlib import Path

import pytest

from quartermaster.exposure.book import book_rows, scenario_exposure
from quartermaster.exposure.scenario import parse_scenario, read_scenario
from quartermaster.kernel.errors import DataError

REFERENCE = Path(__file__).resolve().parents[3] / "examples/azure-openai-2024.toml"
TEXT = REFERENCE.read_text("utf-8")


def refusal(old: str, new: str) -> str:
    assert old in TEXT
    with pytest.raises(DataError) as caught:
        parse_scenario(TEXT.replace(old, new, 1).encode(), "s.toml")
    return caught.value.message


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('value = "20000000"', "value = 20000000.0", "Expected `str`, got `float`"),
        ('value = "20000000"', 'value = "2e7"', "'payment': '2e7' is not a plain decimal"),
        ('value = "20000000"', 'value = "-5"', "'payment': revenue is a positive amount"),
        ('hedge = "nearly"', 'hedge = "sort of"', "'sort of' has no meaning here"),
        ('unit = "USD/month"', 'unit = "USD/week"', "unit 'USD/week' is unknown"),
        ('subject = "tiktok"', 'subject = "tictoc"', "unknown subject 'tictoc'"),
        ('source = "start-magazine"', 'source = "x"', "unknown source 'x'"),
        ('id = "share"', 'id = "payment"', "claim 'payment' is there 2 times"),
        ('id = "payment"', 'id = "Pay ment"', "lower-case letters"),
        ('as_of = "2024-03"\nconf', 'as_of = "March"\nconf', "as_of 'March' is not a date"),
        ('period = "2024-03"', 'period = "2024"', "'2024' is not a month"),
        ('period = "2024-03"', 'period = ""', "period is missing"),
        ('until = "2024-08-21"', 'until = "2024-02-31"', "is not a day"),
        ('confidence = "medium"', 'confidence = "sure"', "Invalid enum value 'sure'"),
        ('confidence = "medium"', 'confidense = "low"', "unknown field `confidense`"),
        ('value = "25"', 'value = "125"', "a share is in % and lies between 0 and 100"),
        ('value = "25"', 'value = "25"\nlow = "20"', "either a value, or a low and a high"),
        ('low = "30"', 'low = "32"', "run from"),
        ('total = "run_rate"', 'total = "share"', "'share' is not a revenue claim"),
        ('total = "run_rate"', 'total = "payment"', "must not name a payer"),
        ("customers = 76", "customers = 0", "fill.customers is not between"),
        ('schema = "quartermaster.scenario/1"', 'schema = "other/9"', "Invalid enum value"),
        ("[book]", "[book", "not TOML"),
    ],
)
def test_refusals_name_the_place_and_the_reason(old: str, new: str, reason: str) -> None:
    message = refusal(old, new)
    assert message.startswith("s.toml")
    assert reason in message


def test_all_problems_are_listed_together() -> None:
    broken = TEXT.replace('hedge = "nearly"', 'hedge = "x"').replace(
        'subject = "tiktok"', 'subject = "y"'
    )
    with pytest.raises(DataError) as caught:
        parse_scenario(broken.encode(), "s.toml")
    assert "entries cannot be used" in caught.value.message
    assert len(caught.value.message.splitlines()) > 3


def test_deep_nesting_is_refused_not_a_crash() -> None:
    with pytest.raises(DataError):
        parse_scenario(b"a = " + b"[" * 5_000, "s.toml")


def test_the_book_gives_the_group_a_quarter() -> None:
    scenario, _ = read_scenario(REFERENCE)
    exposure = scenario_exposure(scenario)
    largest = exposure.groups[0]
    assert (largest.group, largest.share) == ("ByteDance", 0.24)
    assert largest.share_low == pytest.approx(0.19636, abs=1e-5)
    assert largest.share_high == pytest.approx(0.26667, abs=1e-5)
    assert sum(row.minor for row in book_rows(scenario)) == 100_000_000_000
    assert all(group.filled for group in exposure.groups[1:])
    assert exposure.hhi_bounds == pytest.approx((0.0576, 0.2320))


def test_another_seed_fills_otherwise_and_keeps_what_is_claimed() -> None:
    other = parse_scenario(TEXT.replace("seed = 20240801", "seed = 1").encode(), "s.toml")
    scenario, _ = read_scenario(REFERENCE)
    assert book_rows(other) != book_rows(scenario)
    assert book_rows(other)[0] == book_rows(scenario)[0]
    assert scenario_exposure(other).hhi_bounds == scenario_exposure(scenario).hhi_bounds


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('payments = ["payment_original"]', 'payments = ["payment_original", "payment"]', ""),
        ('exponent = "0.5"', 'exponent = "nan"', "fill.exponent"),
        ('jitter = "0.25"', 'jitter = "much"', "'much' is not a number"),
        ('value = "1000000000"', 'value = "100"', "leave nothing of run_rate"),
        ('value = "1000000000"', 'value = "1000000000.001"', "not a whole number"),
        ('unit = "USD/year"', 'unit = "EUR/year"', "is not in EUR"),
    ],
)
def test_books_that_cannot_be_made(old: str, new: str, reason: str) -> None:
    scenario = parse_scenario(TEXT.replace(old, new, 1).encode(), "s.toml")
    if not reason:
        assert scenario_exposure(scenario).groups[0].share == 0.48
        return
    with pytest.raises(DataError, match=reason):
        scenario_exposure(scenario)


def test_a_scenario_without_a_book_has_no_exposure() -> None:
    scenario = parse_scenario(TEXT.partition("[book]")[0].encode(), "s.toml")
    with pytest.raises(DataError, match=r"has no \[book\]"):
        scenario_exposure(scenario)
