"""What the board report simulates: the loss, a departure step by step, and what levers change.

Bounded so that a thousand customers take a second: larger books take the reduced engine, and
levers are pulled where the full engine does it in about a second.
"""

from collections.abc import Sequence
from decimal import Decimal
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import msgspec

from quartermaster.app.console_loss import ENGINE_PACKAGES, FULL_STEPS_MAX, SCENARIOS, SEED
from quartermaster.console.board_facts import Leaving
from quartermaster.exposure.months import MONTHS_A_YEAR
from quartermaster.exposure.risk_assumptions import Assumptions
from quartermaster.exposure.rollup import Exposure
from quartermaster.kernel.errors import UsageError
from quartermaster.kernel.money import Money, exponent

if TYPE_CHECKING:
    from quartermaster.exposure.risk_book import Payer
    from quartermaster.exposure.risk_levers import WhatIf
    from quartermaster.exposure.risk_measure import Risk


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """What was simulated, or why nothing was."""

    risk: "Risk | None" = None
    leaving: Leaving | None = None
    levers: "WhatIf | None" = None
    missing: Literal["", "not_installed", "refused"] = ""
    reason: str = ""


def loss_of(exposure: Exposure, assumptions: Assumptions, *, threads: int) -> Loss:
    """The loss of a book under its assumptions, on as many threads (0: all)."""
    missing = [name for name in ENGINE_PACKAGES if find_spec(name) is None]
    if missing:
        return Loss(missing="not_installed", reason="pip install 'quartermaster-ai[risk]'")
    # Only here: loading the compiled loops takes seconds, and they may not be installed.
    from quartermaster.exposure.risk_measure import measure_risk
    from quartermaster.exposure.simulate import Run

    payers = _payers(exposure)
    steps = len(payers) * assumptions.horizon_months * SCENARIOS
    engine: Literal["full", "reduced"] = "full" if steps <= FULL_STEPS_MAX else "reduced"
    run = Run(scenarios=SCENARIOS, seed=SEED, threads=threads)
    try:
        risk = measure_risk(payers, assumptions, run, engine=engine, fan=False)
    except UsageError as error:
        return Loss(missing="refused", reason=error.message)
    units = 10 ** exponent(exposure.denominator.currency)
    return Loss(risk=risk, leaving=_leaving(payers, assumptions, risk.plan, units))


def _payers(exposure: Exposure) -> "list[Payer]":
    from quartermaster.exposure.risk_book import Payer

    denominator = exposure.denominator
    annual = denominator.measure == "annual_rate"
    months = Decimal(MONTHS_A_YEAR if annual else denominator.months)
    return [
        Payer(group.group, Money(group.minor, denominator.currency).decimal / months)
        for group in exposure.groups
    ]


def _leaving(
    payers: "Sequence[Payer]", assumptions: Assumptions, plan: float, units: int
) -> Leaving:
    """The largest customer's departure today, at expected usage, one clause after another.

    The same engine as the loss, with everything random switched off and one customer in the book.
    """
    from quartermaster.exposure.risk_book import Lever, build
    from quartermaster.exposure.simulate import Run, monthly_values

    replaced = msgspec.structs.replace
    who = max(payers, key=lambda payer: payer.per_month)
    calm = replaced(
        assumptions,
        growth=replaced(
            assumptions.growth,
            own_volatility_per_year=0.0,
            market_volatility_per_year=0.0,
            sector_volatility_per_year=0.0,
        ),
        departure=replaced(assumptions.departure, frailty_variance=0.0),
        fx=dict.fromkeys(assumptions.fx, 0.0),
        customer=tuple(
            replaced(one, own_volatility_per_year=0.0)
            for one in assumptions.customer
            if one.group == who.name
        ),
    )
    unbacked = replaced(calm, backfill=replaced(calm.backfill, share=0.0))
    unbound = replaced(
        unbacked,
        customer=tuple(replaced(one, commitment_months=0) for one in unbacked.customer),
    )
    leaves = [Lever(group=who.name, leaves_in_month=0.0)]

    def value(world: Assumptions) -> int:
        book = build([who], world, levers=leaves, against="plan")
        months = monthly_values(book, Run(scenarios=1, seed=SEED, threads=1))
        return round(float(months.sum()) * book.scale * units)

    leaving, owed, resold = (value(world) for world in (unbound, unbacked, calm))
    staying = build([who], calm, against="plan")
    return Leaving(
        planned=round(plan * units),
        customer=round(float(staying.plan.sum()) * staying.scale * units),
        leaving=leaving,
        owed=owed - leaving,
        resold=resold - owed,
    )
