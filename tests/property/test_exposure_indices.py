"""What holds of every list of amounts."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from quartermaster.exposure.concentration import (
    concentration,
    concentration_ratio,
    gini,
    hhi,
    hhi_bounds,
    hhi_normalised,
    lorenz,
)
from quartermaster.exposure.rollup import measure
from quartermaster.exposure.rows import RevenueRow

AMOUNTS = st.lists(st.integers(0, 10**18), min_size=1, max_size=40).filter(any)


@given(AMOUNTS)
def test_bounds_of_every_index(amounts: list[int]) -> None:
    count = len(amounts)
    assert Fraction(1, count) <= hhi(amounts) <= 1
    assert 0 <= gini(amounts) <= Fraction(count - 1, count)
    assert 1 <= concentration(amounts).effective_number <= count * (1 + 1e-12)
    normalised = hhi_normalised(amounts)
    assert normalised is None or 0 <= normalised <= 1
    assert concentration_ratio(amounts, count) == 1


@given(AMOUNTS, st.integers(1, 1_000))
def test_indices_know_shares_not_sizes(amounts: list[int], factor: int) -> None:
    scaled = [amount * factor for amount in amounts]
    assert hhi(scaled) == hhi(amounts)
    assert gini(scaled) == gini(amounts)


@given(AMOUNTS, st.data())
def test_merging_two_customers_never_lowers_concentration(
    amounts: list[int], data: st.DataObject
) -> None:
    if len(amounts) < 2:
        return
    at = data.draw(st.integers(0, len(amounts) - 2))
    merged = [*amounts[:at], amounts[at] + amounts[at + 1], *amounts[at + 2 :]]
    assert hhi(merged) >= hhi(amounts)


@given(AMOUNTS)
def test_the_lorenz_curve_rises_below_the_diagonal(amounts: list[int]) -> None:
    points = lorenz(amounts)
    assert points == sorted(points)
    assert all(y <= x + 1e-12 for x, y in points)


@given(AMOUNTS, st.integers(1, 5))
def test_bounds_hold_for_every_rest(amounts: list[int], named: int) -> None:
    """Whatever the unnamed customers look like, as long as none is above the largest named."""
    ranked = sorted((amount for amount in amounts if amount), reverse=True)
    total = sum(ranked)
    low, high = hhi_bounds([Fraction(amount, total) for amount in ranked[:named]])
    assert low <= hhi(ranked) <= high


@given(
    st.lists(
        st.tuples(st.sampled_from("abcde"), st.sampled_from("xyz"), st.integers(1, 10**12)),
        min_size=1,
        max_size=30,
    )
)
def test_rolling_up_conserves_revenue(entries: list[tuple[str, str, int]]) -> None:
    rows = [RevenueRow(f"{g}{c}", g, "2024-01", minor, "USD") for c, g, minor in entries]
    found = measure(rows, scope="x")
    assert found.denominator.minor == sum(row.minor for row in rows)
    assert sum(group.minor for group in found.groups) == found.denominator.minor
    for group in found.groups:
        assert sum(member.minor for member in group.members) == group.minor
    assert [group.minor for group in found.groups] == sorted(
        (group.minor for group in found.groups), reverse=True
    )
