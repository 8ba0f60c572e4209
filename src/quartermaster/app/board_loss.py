"""What the board report says of the loss: the simulation, levers against it, and one departure.

The same engines, scenarios and seed as the pages on exposure and what-if: the same figures.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import msgspec

from quartermaster.app import console_loss, console_what_if
from quartermaster.app.console_loss import ENGINE_PACKAGES, SCENARIOS, SEED
from quartermaster.exposure.departure_bridge import Bridge, bridge
from quartermaster.exposure.risk_assumptions import Assumptions, refusal_of
from quartermaster.exposure.rollup import Exposure
from quartermaster.kernel.errors import UsageError

if TYPE_CHECKING:
    from quartermaster.exposure.risk_levers import WhatIf
    from quartermaster.exposure.risk_measure import Risk


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """What was simulated, or why nothing was."""

    risk: "Risk | None" = None
    bridge: Bridge | None = None
    levers: "WhatIf | None" = None
    missing: Literal["", "not_installed", "refused", "loading"] = ""
    reason: str = ""


def loss_of(exposure: Exposure, assumptions: Assumptions, *, threads: int) -> Loss:
    """The loss of a book under its assumptions, on as many threads (0: all)."""
    missing = [name for name in ENGINE_PACKAGES if find_spec(name) is None]
    if missing:
        return Loss(missing="not_installed", reason="pip install 'quartermaster-ai[risk]'")
    # Only here: loading the compiled loops takes seconds, and they may not be installed.
    from quartermaster.exposure.risk_book import payers_of
    from quartermaster.exposure.risk_changes import usual
    from quartermaster.exposure.risk_levers import what_if
    from quartermaster.exposure.risk_measure import measure_risk
    from quartermaster.exposure.simulate import Run

    payers, who = payers_of(exposure), exposure.groups[0].group
    steps = len(payers) * assumptions.horizon_months * SCENARIOS
    run = Run(scenarios=SCENARIOS, seed=SEED, threads=threads)
    try:
        risk = measure_risk(
            payers,
            assumptions,
            run,
            engine=_engine(steps, console_loss.FULL_STEPS_MAX),
            fan=False,
        )
        levers = what_if(
            payers,
            assumptions,
            run,
            usual(payers, assumptions, who),
            engine=_engine(steps, console_what_if.FULL_STEPS_MAX),
        )
    except UsageError as error:
        return Loss(missing="refused", reason=refusal_of(error))
    amounts = [(payer.name, payer.per_month) for payer in payers]
    return Loss(risk=risk, levers=levers, bridge=bridge(amounts, assumptions, who))


def _engine(steps: int, full_max: int) -> Literal["full", "reduced"]:
    return "full" if steps <= full_max else "reduced"
