"""Payback, against figures that were worked out by hand."""

from fractions import Fraction

import pytest

from quartermaster.capacity.payback import (
    NOTHING_OWED,
    Loss,
    Owing,
    Plan,
    break_even_backfill,
    months_without,
    stretch,
)
from quartermaster.kernel.errors import UsageError

BILLION = 1_000_000_000_00
QUARTER = Loss(Fraction(24, 100))


def plan(capex_millions: int, contribution: str) -> Plan:
    return Plan(capex_millions * 1_000_000_00, BILLION, Fraction(contribution))


@pytest.mark.parametrize(
    ("capex_millions", "contribution", "with_it", "without_it"),
    [(500, "0.30", "20.0", "26.3"), (300, "0.50", "7.2", "9.5")],
)
def test_losing_a_quarter_without_backfill(
    capex_millions: int, contribution: str, with_it: str, without_it: str
) -> None:
    built = plan(capex_millions, contribution)
    after = months_without(built, QUARTER)
    assert after is not None
    assert f"{float(built.months):.1f}" == with_it
    assert f"{float(after):.1f}" == without_it
    assert f"{float(after / built.months):.3f}" == "1.316"
    assert stretch(QUARTER) == Fraction(25, 19)


def test_all_of_it_backfilled_is_no_loss() -> None:
    whole = Loss(Fraction(24, 100), Fraction(1))
    assert months_without(plan(500, "0.30"), whole) == 20


def test_who_leaves_after_the_money_is_back_does_not_matter() -> None:
    built = plan(500, "0.30")
    assert months_without(built, Loss(Fraction(1), after_months=Fraction(20))) == 20
    assert months_without(built, Loss(Fraction(1), after_months=Fraction(19))) is None
    # Half is back after ten months; the other half takes 25/19 as long.
    half = Loss(Fraction(24, 100), after_months=Fraction(10))
    assert months_without(built, half) == 10 + Fraction(250, 19)


def test_break_even_backfill_pays_back_exactly_in_time() -> None:
    built = plan(500, "0.30")
    for months in (20, 22, 24, 26):
        for leaves in (0, 6):
            loss = Loss(Fraction(24, 100), after_months=Fraction(leaves))
            needed = break_even_backfill(built, loss, Fraction(months))
            assert needed is not None
            refilled = Loss(loss.share, needed, loss.after_months)
            if needed:
                assert months_without(built, refilled) == months
            else:
                after = months_without(built, refilled)
                assert after is not None
                assert after <= months


def test_break_even_at_the_edges() -> None:
    built = plan(500, "0.30")
    assert break_even_backfill(built, QUARTER, Fraction(20)) == 1
    assert break_even_backfill(built, QUARTER, Fraction(30)) == 0
    assert break_even_backfill(built, QUARTER, Fraction(19)) is None
    assert break_even_backfill(built, Loss(Fraction(0)), Fraction(20)) == 0
    assert (
        break_even_backfill(built, Loss(Fraction(1), after_months=Fraction(30)), Fraction(25)) == 0
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Plan(-1, 1, Fraction(1)), "capex"),
        (lambda: Plan(1, 0, Fraction(1)), "revenue"),
        (lambda: Plan(1, 1, Fraction(0)), "contribution"),
        (lambda: Plan(1, 1, Fraction(30)), "contribution"),
        (lambda: Loss(Fraction(24)), "share"),
        (lambda: Loss(Fraction(0), Fraction(-1)), "backfill"),
        (lambda: Loss(Fraction(0), after_months=Fraction(-1)), "months"),
    ],
)
def test_nonsense_is_refused(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(UsageError, match=said):
        make()


def test_who_owes_what_it_used_to_pay_leaves_payback_as_it_was() -> None:
    built = plan(500, "0.30")
    # 24 % of a billion a year is 20 million a month: for 20 months, which is payback.
    whole = Owing(20 * 20_000_000_00, Fraction(20))
    assert months_without(built, QUARTER, whole) == built.months == 20
    assert months_without(built, QUARTER, NOTHING_OWED) == months_without(built, QUARTER)
    assert break_even_backfill(built, QUARTER, Fraction(20), whole) == 0
    half = Owing(10 * 20_000_000_00, Fraction(10))
    # Half is back after ten months; the other half takes 25/19 as long.
    assert months_without(built, QUARTER, half) == 10 + Fraction(250, 19)


def test_notice_is_leaving_later_and_what_is_owed_follows_it() -> None:
    built = plan(500, "0.30")
    later = Loss(Fraction(24, 100), after_months=Fraction(3))
    assert months_without(built, QUARTER, Owing(notice_months=Fraction(3))) == months_without(
        built, later
    )
    assert months_without(built, Loss(Fraction(1)), Owing(notice_months=Fraction(19))) is None
    # Everything leaves; what is owed still brings it back: 500 million at 30 %.
    owed = Owing(2_000_000_000_00, Fraction(40))
    assert months_without(built, Loss(Fraction(1)), owed) == Fraction(500 * 40, 600)
    both = Owing(2_000_000_000_00, Fraction(40), Fraction(2))
    assert months_without(built, Loss(Fraction(1)), both) == 2 + Fraction(450 * 40, 600)


@pytest.mark.parametrize("within", [20, 22, 24, 26])
@pytest.mark.parametrize("owed", [(0, 0, 1), (50, 4, 0), (200, 12, 2), (10, 40, 1)])
def test_break_even_with_what_is_owed_pays_back_exactly_in_time(
    within: int, owed: tuple[int, int, int]
) -> None:
    built = plan(500, "0.30")
    owing = Owing(owed[0] * 1_000_000_00, Fraction(owed[1]), Fraction(owed[2]))
    needed = break_even_backfill(built, QUARTER, Fraction(within), owing)
    bare = break_even_backfill(built, QUARTER, Fraction(within))
    assert needed is not None
    assert bare is not None
    assert needed <= bare
    months = months_without(built, Loss(QUARTER.share, needed), owing)
    assert months is not None
    assert months == within if needed else months <= within


def test_what_cannot_be_owed_is_refused() -> None:
    for wrong in (
        {"minor": -1, "months": Fraction(1)},
        {"minor": 1},
        {"minor": 1, "months": Fraction(-1)},
        {"notice_months": Fraction(-1)},
    ):
        with pytest.raises(UsageError):
            Owing(**wrong)
