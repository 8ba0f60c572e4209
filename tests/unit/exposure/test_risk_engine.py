"""The engine: worlds computed by hand, identities, and the same bits however it is run."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec
import numpy as np
import pytest

from quartermaster.exposure.risk_assumptions import (
    Assumptions,
    Backfill,
    Capacity,
    CustomerTerms,
    Departure,
    Growth,
    Hazards,
    Price,
)
from quartermaster.exposure.risk_book import Book, Lever, Payer, build, equal_hazards
from quartermaster.exposure.risk_measure import measure_book, measure_risk
from quartermaster.exposure.simulate import Run, contributions, losses, monthly_values
from quartermaster.exposure.simulate_factors import KINDS_HELD_MAX
from quartermaster.exposure.simulate_rest import reduce
from quartermaster.kernel.errors import UsageError
from quartermaster.stats.tail import measure_tail, shortfall, tail_weights

STILL = Growth(own_volatility_per_year=0, market_volatility_per_year=0)
AT_ONCE = Departure(ramp_months=0, frailty_variance=0)


def payers(amounts: Sequence[float]) -> list[Payer]:
    return [Payer(f"c{at}", Decimal(str(amount))) for at, amount in enumerate(amounts)]


def zipf(count: int, exponent: float = 0.9, top: float = 0.24) -> list[Payer]:
    """A customer of that share and a tail that falls with a power of the rank."""
    rest = np.arange(1, count) ** -exponent
    shares = [top, *((1 - top) * rest / rest.sum())]
    return payers([round(1e8 * share, 2) for share in shares])


def only_loss(book: Book) -> float:
    """The loss of a world in which nothing is random, in major units."""
    found, _ = losses(book, Run(scenarios=3, seed=1))
    assert np.ptp(found) <= 1e-5 * abs(found[0])
    return float(found[0]) * book.scale


# --- worlds without chance ------------------------------------------------------------------


def test_a_departure_at_once_loses_what_was_left() -> None:
    assumed = Assumptions(growth=STILL, departure=AT_ONCE, hazard_per_year=Hazards(top=0, rest=0))
    lever = Lever(group="c0", leaves_in_month=6)
    assert only_loss(build(payers([100, 10]), assumed, levers=[lever])) == pytest.approx(1_800)
    assert only_loss(build(payers([100, 10]), assumed)) == 0


def test_ramp_notice_and_what_is_kept() -> None:
    """Notice of 3 months, then a line over 4 to a quarter: month middles on the line."""
    departure = Departure(ramp_months=4, notice_months=3, kept_share=0.25, frailty_variance=0)
    assumed = Assumptions(growth=STILL, departure=departure, hazard_per_year=Hazards(top=0, rest=0))
    book = build(payers([100, 10]), assumed, levers=[Lever(group="c0", leaves_in_month=2)])
    gone = np.clip((np.arange(24) + 0.5 - 5) / 4, 0, 1) * 0.75
    assert only_loss(book) == pytest.approx(100 * gone.sum(), rel=1e-5)


def test_a_commitment_is_a_floor_until_it_ends() -> None:
    assumed = Assumptions(
        growth=STILL,
        departure=AT_ONCE,
        hazard_per_year=Hazards(top=0, rest=0),
        customer=(CustomerTerms(group="c0", commitment_per_month="60", commitment_months=12),),
    )
    gone = Lever(group="c0", leaves_in_month=0)
    assert only_loss(build(payers([100, 10]), assumed, levers=[gone])) == pytest.approx(
        12 * 40 + 12 * 100
    )
    void = Lever(group="c0", leaves_in_month=0, voids_commitment=True)
    assert only_loss(build(payers([100, 10]), assumed, levers=[void])) == pytest.approx(2_400)


def test_price_path_and_growth_make_the_plan() -> None:
    assumed = Assumptions(
        growth=Growth(drift_per_year=0.3, own_volatility_per_year=0, market_volatility_per_year=0),
        price=Price(change_per_year=-0.2),
    )
    book = build(payers([100, 10]), assumed)
    years = (np.arange(24) + 0.5) / 12
    expected = 110 * (np.exp(0.3 * years) * 0.8**years).sum()
    assert book.plan.sum() * book.scale == pytest.approx(expected)


def test_backfill_and_saved_cost_soften_the_loss() -> None:
    base = Assumptions(growth=STILL, departure=AT_ONCE, hazard_per_year=Hazards(top=0, rest=0))
    gone = Lever(group="c0", leaves_in_month=0)

    def loss(assumed: Assumptions) -> float:
        return only_loss(build(payers([100, 10]), assumed, levers=[gone]))

    filled = Assumptions(
        growth=STILL,
        departure=AT_ONCE,
        hazard_per_year=Hazards(top=0, rest=0),
        backfill=Backfill(share=0.5, delay_months=6),
    )
    costed = Assumptions(
        growth=STILL,
        departure=AT_ONCE,
        hazard_per_year=Hazards(top=0, rest=0),
        capacity=Capacity(cost_share=0.6, avoidable_share=0.5),
    )
    assert loss(base) == pytest.approx(2_400)
    assert loss(filled) == pytest.approx(2_400 - 0.5 * 100 * 18)
    assert loss(costed) == pytest.approx(2_400 * 0.7)


def test_an_exchange_rate_moves_its_customers_and_has_no_trend() -> None:
    assumed = Assumptions(
        growth=STILL,
        hazard_per_year=Hazards(top=0, rest=0),
        fx={"EUR": 0.10},
        customer=(CustomerTerms(group="c0", currency="EUR"),),
    )
    book = build(payers([100, 10]), assumed, against="plan")
    seed, count = 3, 50_000
    print(f"seed {seed}")
    run = Run(scenarios=count, seed=seed)
    found, means = losses(book, run)
    assert abs(found.mean()) < 4 * found.std() / np.sqrt(count)
    assert means[1] == pytest.approx(0, abs=1e-4)
    # Mean over 24 months of a rate whose variance grows by the month: sum of min(s, t).
    weights = np.minimum.outer(np.arange(1, 25), np.arange(1, 25)).sum()
    expected = 100 / book.scale * np.sqrt(0.01 / 12 * weights)
    assert found.std() == pytest.approx(expected, rel=0.03)


# --- chance ---------------------------------------------------------------------------------


def test_departures_come_at_their_rate_with_their_frailty() -> None:
    """The share of scenarios with a loss is the Laplace transform of the gamma law."""
    departure = Departure(ramp_months=0, frailty_variance=0.5)
    assumed = Assumptions(
        horizon_months=12, growth=STILL, departure=departure, hazard_per_year=Hazards(top=0.4)
    )
    seed, count = 11, 60_000
    print(f"seed {seed}")
    found, _ = losses(build(payers([100.0]), assumed), Run(scenarios=count, seed=seed))
    # A departure after the middle of the last month shows in no month.
    chance = 1 - (1 + 0.5 * 0.4 * 11.5 / 12) ** -2
    share = (found > 0).mean()
    assert abs(share - chance) < 4 * np.sqrt(chance * (1 - chance) / count)


@pytest.mark.parametrize("variance", [0.1, 1.0, 3.0])
def test_frailty_makes_departures_come_together(variance: float) -> None:
    """Counts of departures given a gamma factor: variance n p (1 - p) + n (n - 1) cov."""
    customers, rate, seed, count = 50, 0.3, 17, 20_000
    print(f"seed {seed}")
    departure = Departure(ramp_months=0, frailty_variance=variance)
    assumed = Assumptions(
        horizon_months=4,
        growth=STILL,
        departure=departure,
        hazard_per_year=Hazards(top=rate, rest=rate),
    )
    levers = [Lever(usage_factor=0.0, from_month=0)]
    book = build(payers([100.0] * customers), assumed, levers=levers)
    usage = book.world.usage.copy()
    usage[:, 3] = 1.0
    world = book.world._replace(usage=usage)
    book = Book(book.names, world, book.plan, book.plan, "path", 1.0, 4, book.hazards)
    found, _ = losses(book, Run(scenarios=count, seed=seed))
    hazard = rate * 3.5 / 12
    once = (1 + variance * hazard) ** (-1 / variance)
    both = (1 + 2 * variance * hazard) ** (-1 / variance)
    expected = customers * (once - once**2) + customers * (customers - 1) * (both - once**2)
    assert found.mean() == pytest.approx(customers * (1 - once), rel=0.03)
    assert found.var() == pytest.approx(expected, rel=0.06)


def test_usage_is_a_walk_without_trend() -> None:
    assumed = Assumptions(
        growth=Growth(
            own_volatility_per_year=0.3,
            market_volatility_per_year=0.2,
            sector_volatility_per_year=0.1,
        ),
        hazard_per_year=Hazards(top=0, rest=0),
    )
    seed, count = 5, 20_000
    print(f"seed {seed}")
    book = build(payers([50.0, 50.0]), assumed, against="plan")
    values = monthly_values(book, Run(scenarios=count, seed=seed)).astype(np.float64)
    assert values.shape == (24, count)
    for month in (0, 11, 23):
        years = (month + 1) / 12
        # Two customers of half the book: own walks average, common ones do not.
        common = np.exp(0.05 * years) - 1
        own = np.exp(0.05 * years) * (np.exp(0.09 * years) - 1) / 2
        deviation = 2 * np.sqrt(common + own)
        assert values[month].mean() == pytest.approx(2, abs=4 * deviation / np.sqrt(count))
        assert values[month].std() == pytest.approx(deviation, rel=0.08)


# --- identities -----------------------------------------------------------------------------


@pytest.mark.parametrize("against", ["path", "plan"])
def test_contributions_sum_to_the_shortfall(against: str) -> None:
    book = build(zipf(120), Assumptions(), against="plan" if against == "plan" else "path")
    for quantile in (0.9, 0.95, 0.975):
        run = Run(scenarios=5_000, seed=9)
        found, means = losses(book, run)
        scenarios, weights = tail_weights(found, quantile)
        parts, _ = contributions(book, run, scenarios, weights)
        whole = shortfall(found, quantile)
        assert abs(parts.sum() - whole) < 1e-9 * whole
        assert means.sum() == pytest.approx(found.mean(), rel=1e-9)


def test_the_same_bits_for_any_number_of_threads() -> None:
    book = build(zipf(60), Assumptions())
    small = reduce(book, 8)
    results = []
    for threads in (1, 2, 4):
        run = Run(scenarios=9_001, seed=21, threads=threads)
        found, means = losses(book, run)
        scenarios, weights = tail_weights(found, 0.95)
        parts, _ = contributions(book, run, scenarios, weights)
        rest, _ = losses(small.book, run, small.rest)
        results.append((found.tobytes(), means.tobytes(), parts.tobytes(), rest.tobytes()))
    assert results[0] == results[1] == results[2]


def test_a_scenario_is_the_same_alone_and_in_a_longer_run() -> None:
    book = build(zipf(30), Assumptions())
    short, _ = losses(book, Run(scenarios=700, seed=4))
    long, _ = losses(book, Run(scenarios=3_000, seed=4))
    assert np.array_equal(short, long[:700])
    one = np.array([2_999], np.int64)
    parts, _ = contributions(book, Run(scenarios=1, seed=4), one, np.ones(1))
    assert parts.sum() == pytest.approx(long[2_999], rel=1e-6)
    other, _ = losses(book, Run(scenarios=700, seed=5))
    assert not np.array_equal(short, other)


def test_a_lever_leaves_everybody_else_alone() -> None:
    """Common random numbers: the other customers' losses do not move by a bit."""
    run = Run(scenarios=2_000, seed=8)
    _, before = losses(build(zipf(40), Assumptions()), run)
    _, after = losses(
        build(zipf(40), Assumptions(), levers=[Lever(group="c0", leaves_in_month=3)]), run
    )
    assert np.array_equal(before[1:], after[1:])
    assert after[0] > before[0]


def test_the_reduced_engine_agrees_with_the_full_one() -> None:
    for against in ("path", "plan"):
        book = build(zipf(400), Assumptions(), against="plan" if against == "plan" else "path")
        run = Run(scenarios=20_000, seed=2)
        full, _, _ = measure_book(book, 0.95, run, "full")
        reduced, rows, pooled = measure_book(book, 0.95, run, "reduced")
        assert (rows.size, pooled) == (32, 368)
        assert reduced.tail.expected.value == pytest.approx(full.tail.expected.value, rel=2e-3)
        found, truth = reduced.tail.expected_shortfall.value, full.tail.expected_shortfall.value
        assert found == pytest.approx(truth, rel=5e-3)
        assert reduced.parts[0] == pytest.approx(full.parts[0], rel=1e-2)


@pytest.mark.parametrize(
    "departure",
    [
        Departure(notice_months=2.5, ramp_months=9.3, kept_share=0.3),
        Departure(ramp_months=0, frailty_variance=0),
        Departure(notice_months=0, ramp_months=60, frailty_variance=2),
    ],
)
@pytest.mark.parametrize("rate", [1e-7, 0.1, 15.0])
def test_the_closed_form_of_the_rest_is_the_mean(departure: Departure, rate: float) -> None:
    """All customers pooled, no growth: the mean loss is that of the full engine."""
    assumed = Assumptions(
        growth=STILL, departure=departure, hazard_per_year=Hazards(top=rate, rest=rate)
    )
    book = build(payers([1.0] * 200), assumed)
    run = Run(scenarios=3_000, seed=6)
    full, _ = losses(book, run)
    small = reduce(book, 0)
    quick, _ = losses(small.book, run, small.rest, float(book.reference.sum()))
    error = np.hypot(full.std(), quick.std()) / np.sqrt(3_000)
    assert np.isfinite(quick).all()
    assert abs(full.mean() - quick.mean()) < 4 * error + 1e-4 * abs(full.mean())
    if rate > 1e-3:
        assert quick.std() == pytest.approx(full.std(), rel=0.08)


def test_customers_with_floors_are_never_pooled() -> None:
    terms = CustomerTerms(group="c90", commitment_per_month="1000", commitment_months=24)
    book = build(zipf(100), Assumptions(customer=(terms,)))
    assert "c90" in reduce(book, 10).book.names


def test_equal_hazards_lose_as_much_revenue() -> None:
    amounts, hazards = np.array([24.0, 76.0]), np.array([0.35, 0.10])
    assert equal_hazards(amounts, hazards).tolist() == pytest.approx([0.16, 0.16])


def test_the_reference_figure() -> None:
    """24 % and a Zipf tail, 35 % a year against 10 %, 24 months: what hangs on one customer.

    The research's prototype printed 73 % of ES95 and 50 % of expected loss. Its volatilities and
    tail are not recorded; with own volatility 0.4, ramp 3, drift 5 % and a tail exponent of 0.9
    this engine gives 73 and 49. Departures alone decide the second figure.
    """
    assumed = Assumptions(
        hazard_per_year=Hazards(top=0.35, rest=0.10),
        growth=Growth(drift_per_year=0.05, own_volatility_per_year=0.4),
        departure=Departure(ramp_months=3),
    )
    risk = measure_risk(zipf(1_000), assumed, Run(scenarios=10_000, seed=20240801))
    top = risk.top
    error = top.shortfall.standard_error / (risk.tail.expected_shortfall.value * risk.scale)
    assert top.revenue_share == pytest.approx(0.24, abs=1e-6)
    assert top.shortfall_share == pytest.approx(0.73, abs=0.02 + 3 * error)
    assert top.expected_loss_share == pytest.approx(0.49, abs=0.02)
    assert risk.equal_hazard_per_year == pytest.approx(0.16, abs=1e-6)
    assert top.shortfall_share_at_equal_hazard < top.shortfall_share
    assert top.expected_loss_share_at_equal_hazard == pytest.approx(0.24, abs=0.02)
    assert sum(part.shortfall_share for part in risk.parts) == pytest.approx(1, abs=1e-9)


def test_nothing_at_risk_is_said_so() -> None:
    assumed = Assumptions(growth=STILL, hazard_per_year=Hazards(top=0, rest=0))
    with pytest.raises(UsageError, match="nothing is lost"):
        measure_risk(payers([10, 1]), assumed, Run(scenarios=2_000, seed=1))


def test_a_single_customer_is_all_of_it() -> None:
    risk = measure_risk(payers([10]), Assumptions(), Run(scenarios=4_000, seed=1))
    assert risk.top.shortfall_share == pytest.approx(1)
    assert measure_tail(losses(build(payers([10]), Assumptions()), Run(scenarios=4_000, seed=1))[0],
                        0.95).expected.value > 0  # fmt: skip


@pytest.mark.parametrize(
    ("scenarios", "seed", "threads"), [(0, 1, 0), (10, -1, 0), (10, 1, -1), (10, 1, 10_000)]
)
def test_a_run_that_cannot_be_is_refused(scenarios: int, seed: int, threads: int) -> None:
    with pytest.raises(UsageError):
        Run(scenarios=scenarios, seed=seed, threads=threads)


def test_many_kinds_of_customers_share_their_slots() -> None:
    """More kinds than are held through a pass: each customer's loss is that of its own kind."""
    count, run = 3 * KINDS_HELD_MAX, Run(scenarios=700, seed=6)
    growth = Growth(sector_volatility_per_year=0.2)
    assumed = Assumptions(
        growth=growth,
        customer=tuple(CustomerTerms(group=f"c{at}", sector=f"s{at % 40}") for at in range(count)),
    )
    book = build(payers([100 - at / 2 for at in range(count)]), assumed, against="plan")
    _, together = losses(book, run)
    for first in range(0, count, 30):
        rows = slice(first, first + 30)
        world = book.world
        part = msgspec.structs.replace(
            book,
            names=book.names[rows],
            plan=book.plan[rows],
            hazards=book.hazards[rows],
            world=world._replace(
                **{
                    name: part[rows]
                    for name, part in world._asdict().items()
                    if np.ndim(part) and len(part) == count
                }
            ),
        )
        _, alone = losses(part, run)
        assert np.array_equal(alone, together[rows])
