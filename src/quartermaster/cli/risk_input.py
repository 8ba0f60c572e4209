"""What `risk` and `what-if` are asked: revenue, assumptions, how many scenarios; and progress."""

import sys
import time
from collections.abc import Callable
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec

from quartermaster.cli.revenue_file import Reading, read_revenue, revenue_options
from quartermaster.exposure.book import scenario_exposure
from quartermaster.exposure.months import MONTHS_A_YEAR
from quartermaster.exposure.report import InputFile, input_file
from quartermaster.exposure.risk_assumptions import (
    Assumptions,
    CustomerTerms,
    Hazards,
    read_assumptions,
)
from quartermaster.exposure.rollup import Exposure
from quartermaster.exposure.scenario import read_scenario
from quartermaster.kernel.errors import UnavailableError, UsageError
from quartermaster.kernel.money import Money

if TYPE_CHECKING:
    from quartermaster.exposure.risk_book import Payer

SCENARIOS = 20_000
"""A thousand of them lie beyond the 95 % quantile: the shortfall is known to half a per cent."""

SEED = 20240801
"""Any number does; this one is the date of the article that the reference scenario retells."""

QUIET_SECONDS = 2.0
"""Work that is done sooner needs no progress bar."""

SCENARIO_SUFFIX = ".toml"
ENGINE_PACKAGES = ("numpy", "scipy", "numba")
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
        from quartermaster.exposure.risk_book import Payer

        denominator = self.exposure.denominator
        annual = denominator.measure == "annual_rate"
        months = MONTHS_A_YEAR if annual else denominator.months
        return [
            Payer(group.group, Money(group.minor, denominator.currency).decimal / Decimal(months))
            for group in self.exposure.groups
        ]


def fraction(text: str, option: str) -> float:
    """A rate or share such as `0.35` or `35%`.

    Raises:
        UsageError: neither.
    """
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r} is not a number", hint="write 0.35 or 35%") from error


def need_engine() -> None:
    """Refuse early where the packages of the simulation are missing; there is no second engine.

    Raises:
        UnavailableError: one of them is not installed.
    """
    missing = [name for name in ENGINE_PACKAGES if find_spec(name) is None]
    if missing:
        raise UnavailableError(
            f"simulation needs {', '.join(missing)}, not installed here",
            hint="pip install 'quartermaster-ai[risk]'",
        )


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
        click.option("--scenarios", type=click.IntRange(1), default=SCENARIOS, show_default=True),
        click.option("--seed", type=click.IntRange(0), default=SEED, show_default=True),
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
            raise UsageError("options marked CSV do not apply to a scenario")
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
    changes: dict[str, Any] = {}
    if options["horizon"] is not None:
        changes["horizon_months"] = options["horizon"]
    if options["quantile"] is not None:
        changes["quantile"] = fraction(options["quantile"], "--quantile")
    departure = {
        "ramp_months": options["ramp"],
        "notice_months": options["notice"],
        "frailty_variance": options["frailty"],
    }
    given = {name: value for name, value in departure.items() if value is not None}
    changes["departure"] = msgspec.structs.replace(found.departure, **given)
    terms = {one.group: one for one in found.customer}
    changes["hazard_per_year"] = _hazards(options["hazard"], found.hazard_per_year, terms)
    for text in options["commitment"]:
        _commit(text, terms)
    for group in terms:
        if group not in groups:
            raise UsageError(f"there is no customer {group!r} in this file")
    return msgspec.structs.replace(found, **changes, customer=tuple(terms.values()))


def _hazards(texts: tuple[str, ...], found: Hazards, terms: dict[str, CustomerTerms]) -> Hazards:
    for text in texts:
        who, equals, rate = text.rpartition("=")
        if not equals:
            raise UsageError(f"--hazard {text!r} names nobody", hint="write --hazard top=35%")
        value = fraction(rate, "--hazard")
        if who in ("top", "rest"):
            found = msgspec.structs.replace(found, **{who: value})
        else:
            own = terms.get(who, CustomerTerms(group=who))
            terms[who] = msgspec.structs.replace(own, hazard_per_year=value)
    return found


def _commit(text: str, terms: dict[str, CustomerTerms]) -> None:
    who, _, rest = text.rpartition("=")
    amount, colon, months = rest.partition(":")
    if not (who and colon and months.isascii() and months.isdigit()):
        raise UsageError(
            f"--commitment {text!r} cannot be read",
            hint="write --commitment 'Acme=10000000:24': an amount a month for 24 months",
        )
    own = terms.get(who, CustomerTerms(group=who))
    terms[who] = msgspec.structs.replace(
        own, commitment_per_month=amount, commitment_months=int(months)
    )


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
    exposure = given.exposure
    return {
        "title": given.title,
        "sample": exposure.sample,
        "filled": exposure.filled,
        "input": msgspec.to_builtins(given.source),
        "data_sha256": exposure.data_sha256,
        "denominator": msgspec.to_builtins(exposure.denominator),
    }


def short(amount: float, currency: str) -> str:
    """An amount for a table: with a unit and two decimals."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(amount) >= size:
            return f"{amount / size:,.2f}{unit} {currency}"
    return f"{amount:,.2f} {currency}"
