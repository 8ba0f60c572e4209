"""Expected shortfall by customer for the exposure page: bounded, so that a page is fast."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from quartermaster.app.owed import bound
from quartermaster.console import ports_exposure as ports
from quartermaster.exposure.risk_assumptions import Assumptions, CustomerTerms, Hazards
from quartermaster.exposure.rollup import Exposure
from quartermaster.kernel.errors import UnavailableError
from quartermaster.kernel.money import exponent

if TYPE_CHECKING:
    from quartermaster.exposure.risk_measure import Part, Risk

SCENARIOS = 20_000
"""As on the command line: a thousand lie beyond the 95 % quantile, so the shortfall is known to
half a per cent; 200 beyond the 99 % quantile, the strictest that the page takes."""
FULL_STEPS_MAX = 150_000_000
"""Customer-months of scenarios simulated one by one: one thread of a 2-core machine does 250
million a second, and every book is simulated twice. Larger books take the reduced engine."""
SEED = 20240801
"""As on the command line; the same page shows the same figures."""
PARTS_SHOWN = 6
"""Customers named beside the bars; the others are one line."""
ENGINE_PACKAGES = ("numpy", "scipy", "numba")


def loss_of(
    exposure: Exposure,
    asked: ports.Asked,
    names: Mapping[str, str],
    terms: Iterable[CustomerTerms] = (),
) -> ports.Loss:
    """The loss under the asked assumptions, less what contracts of the book oblige to.

    Raises:
        UnavailableError: the extra `risk` is missing.
        UsageError: nothing is lost in the tail, or the book is too large.
    """
    missing = [name for name in ENGINE_PACKAGES if find_spec(name) is None]
    if missing:
        raise UnavailableError(
            f"simulation needs {', '.join(missing)}, not installed here",
            hint="pip install 'quartermaster-ai[risk]'",
        )
    # Only here: loading the compiled loops takes seconds, and they may not be installed.
    from quartermaster.exposure.risk_book import payers_of
    from quartermaster.exposure.risk_measure import measure_risk
    from quartermaster.exposure.simulate import Run

    currency, payers = exposure.denominator.currency, payers_of(exposure)
    steps = len(payers) * asked.horizon_months * SCENARIOS
    engine: Literal["full", "reduced"] = "full" if steps <= FULL_STEPS_MAX else "reduced"
    run = Run(scenarios=SCENARIOS, seed=SEED, threads=1)
    assumptions = bound(_assumptions(asked, exposure), terms)
    risk = measure_risk(payers, assumptions, run, engine=engine, fan=False)
    return _loss(risk, asked, names, currency)


def _assumptions(asked: ports.Asked, exposure: Exposure) -> Assumptions:
    hazard, others = float(asked.hazard), float(asked.others)
    largest = exposure.groups[0].group == asked.customer
    own = () if largest else (CustomerTerms(group=asked.customer, hazard_per_year=hazard),)
    return Assumptions(
        horizon_months=asked.horizon_months,
        quantile=float(asked.quantile),
        hazard_per_year=Hazards(top=hazard if largest else others, rest=others),
        customer=own,
    )


def _loss(risk: "Risk", asked: ports.Asked, names: Mapping[str, str], currency: str) -> ports.Loss:
    units = int(10 ** exponent(currency))

    def minor(value: float) -> int:
        return round(value * risk.scale * units)

    shown = list(risk.parts[:PARTS_SHOWN])
    own = next(part for part in risk.parts if part.name == asked.customer)
    if own not in shown:
        shown[-1] = own
    parts = tuple(_part(part, names, currency) for part in shown)
    tail, equal = risk.tail, risk.equal_tail
    shortfall = minor(tail.expected_shortfall.value)
    return ports.Loss(
        parts=parts,
        others=_others(parts, len(risk.parts) + risk.pooled, shortfall),
        asked=next(part for part in parts if part.group == asked.customer),
        plan_minor=round(risk.plan * units),
        expected_minor=minor(tail.expected.value),
        shortfall_minor=shortfall,
        shortfall_error_minor=minor(tail.expected_shortfall.standard_error),
        shortfall_at_equal_hazard_minor=minor(equal.expected_shortfall.value),
        equal_hazard=_statistic(risk.equal_hazard_per_year),
        ramp_months=_statistic(risk.assumptions.departure.ramp_months),
        notice_months=_statistic(risk.assumptions.departure.notice_months),
        backfill_share=_statistic(risk.assumptions.backfill.share),
        bound=sum(1 for one in risk.assumptions.customer if one.commitment_months),
        engine=risk.engine,
        scenarios=tail.scenarios,
        seed=risk.seed,
    )


def _part(part: "Part", names: Mapping[str, str], currency: str) -> ports.LossPart:
    return ports.LossPart(
        group=part.name,
        name=names.get(part.name, part.name),
        revenue_share=_statistic(part.revenue_share),
        loss_share=_statistic(part.shortfall_share),
        loss_share_at_equal_hazard=_statistic(part.shortfall_share_at_equal_hazard),
        contribution_minor=round(part.shortfall.value * 10 ** exponent(currency)),
        hazard=_statistic(part.hazard_per_year),
    )


def _others(
    named: tuple[ports.LossPart, ...], customers: int, shortfall: int
) -> ports.LossPart | None:
    """What is left of the whole: Euler contributions sum to the shortfall."""
    if customers == len(named):
        return None
    return ports.LossPart(
        group="",
        name="",
        revenue_share=1 - sum((part.revenue_share for part in named), Decimal(0)),
        loss_share=1 - sum((part.loss_share for part in named), Decimal(0)),
        loss_share_at_equal_hazard=1
        - sum((part.loss_share_at_equal_hazard for part in named), Decimal(0)),
        contribution_minor=shortfall - sum(part.contribution_minor for part in named),
        hazard=None,
        count=customers - len(named),
    )


def _statistic(value: float) -> Decimal:
    """A statistic for the formatter; twelve digits are more than any of them is good for."""
    return Decimal(f"{value:.12g}")
