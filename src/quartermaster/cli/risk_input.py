"""What `risk` and `what-if` are asked: revenue, assumptions, how many scenarios; and progress."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from quartermaster.cli.revenue_file import Reading, picked, read_revenue, revenue_options
from quartermaster.exposure import risk_asked
from quartermaster.exposure.book import scenario_exposure
from quartermaster.exposure.report import InputFile, input_file
from quartermaster.exposure.risk_asked import RiskAsked, assumed, need_engine
from quartermaster.exposure.risk_asked import fraction as fraction
from quartermaster.exposure.risk_assumptions import Assumptions, read_assumptions
from quartermaster.exposure.rollup import Exposure
from quartermaster.exposure.scenario import read_scenario
from quartermaster.kernel.errors import UsageError

if TYPE_CHECKING:
    from quartermaster.exposure.risk_book import Payer

SCENARIOS = 20_000
"""A thousand of them lie beyond the 95 % quantile: the shortfall is known to half a per cent."""

SEED = 20240801
"""Any number does; this one is the date of the article that the reference scenario retells."""

QUIET_SECONDS = 2.0
"""Work that is done sooner needs no progress bar."""

SCENARIO_SUFFIX = ".toml"
Command = Callable[..., None]


class Input(NamedTuple):
    """The revenue as it was read and the assumptions as they were given."""

    title: str
    source: InputFile
    exposure: Exposure
    assumptions: Assumptions

    @property
    def currency(self) -> str:
        """Of every amount."""
        return self.exposure.denominator.currency

    @property
    def payers(self) -> "list[Payer]":
        """Each group with its mean month, in major units."""
        from quartermaster.exposure.risk_book import payers_of

        return payers_of(self.exposure)


def input_options(command: Command) -> Command:
    """The options by which `risk` and `what-if` read revenue and assumptions."""
    options = (
        click.option("--assumptions", "assumptions_file", type=click.Path(path_type=Path),
                     help="TOML file of assumptions; flags go before it."),
        click.option("--hazard", multiple=True, metavar="WHO=RATE",
                     help="Departures a year: top=35%, rest=10%, or GROUP=20%; may be repeated."),
        click.option("--horizon", type=int, help="Months looked ahead; 24."),
        click.option("--quantile", help="Where the tail begins; 95%."),
        click.option("--ramp", type=float, help="Months in which usage falls to what is kept."),
        click.option("--notice", type=float, help="Months of notice before it begins to fall."),
        click.option("--frailty", type=float, help="Variance of the common factor of hazards."),
        click.option("--commitment", multiple=True, metavar="GROUP=AMOUNT:MONTHS",
                     help="Least owed for a month, and for how many months; may be repeated."),
        click.option("--scenarios", type=click.IntRange(1), default=SCENARIOS, show_default=True,
                     help="Futures drawn; four times as many halve the noise."),
        click.option("--seed", type=click.IntRange(0), default=SEED, show_default=True,
                     help="Same seed, same figures."),
        click.option("--threads", type=click.IntRange(0), default=0,
                     help="0: all. Figures do not depend on it."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
    )  # fmt: skip
    command = revenue_options(command)
    for option in reversed(options):
        command = option(command)
    return command


def read_input(file: Path, options: dict[str, Any]) -> Input:
    """Revenue by group and the assumptions, from the options of `input_options`.

    Raises:
        DataError: the file or the assumptions cannot be read.
        UsageError: an option that cannot be used.
    """
    need_engine()
    reading = Reading(
        **{name: options[name] for name in Reading.__struct_fields__ if name in options}
    )
    if file.suffix.casefold() == SCENARIO_SUFFIX:
        if reading.stated:
            raise UsageError("options marked CSV do not apply to a scenario", hint="leave them out")
        scenario, data = read_scenario(file)
        title, source = scenario.title, input_file(file.name, data)
        exposure = scenario_exposure(scenario)
    else:
        found = read_revenue(file, reading)
        title, source, exposure = file.name, found.source, found.exposure
    groups = [group.group for group in exposure.groups]
    return Input(title, source, exposure, read_options(options, groups))


def read_options(options: dict[str, Any], groups: list[str]) -> Assumptions:
    """Assumptions of the file, and of the flags, which go before it.

    Raises:
        DataError: see `read_assumptions`.
        UsageError: a flag that has no meaning.
    """
    path = options["assumptions_file"]
    found = Assumptions() if path is None else read_assumptions(path)
    return assumed(picked(RiskAsked, options), found, groups)


class ProgressLine:
    """Says on stderr how far a simulation is, once it has taken longer than `QUIET_SECONDS`."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._shown = total, 0, -1
        self._began = time.monotonic()

    def __call__(self, scenarios: int) -> None:
        """Count scenarios that are done."""
        self._done = min(self._total, self._done + scenarios)
        percent = 100 * self._done // self._total
        if time.monotonic() - self._began < QUIET_SECONDS or percent == self._shown:
            return
        bar = "#" * (percent // 4)
        if sys.stderr.isatty():
            end = "\n" if self._done == self._total else ""
            click.echo(f"\rsimulating [{bar:25}] {percent:3d} %{end}", err=True, nl=False)
            self._shown = percent
        elif percent // 10 != self._shown // 10:
            click.echo(f"simulating {percent} %", err=True)
            self._shown = percent


def data_json(given: Input) -> dict[str, Any]:
    """What the revenue is, for the JSON of `risk` and `what-if`."""
    return risk_asked.data_json(given.title, given.source, given.exposure)
