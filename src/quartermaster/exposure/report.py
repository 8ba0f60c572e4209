"""What an exposure report says: figures with their denominators, methods, sources and hashes.

Language-neutral content; faces put it into words and figures, `report_json` into its stable form.
"""

import hashlib

import msgspec

from quartermaster.exposure.bands import Bands
from quartermaster.exposure.claims import Claim, Source
from quartermaster.exposure.concentration import lorenz
from quartermaster.exposure.control import Moved, RollUp
from quartermaster.exposure.history import ShareHistory
from quartermaster.exposure.rollup import Denominator, Exposure, GroupShare
from quartermaster.exposure.scenario import Scenario


class Said(msgspec.Struct, frozen=True):
    """Words that come with the data; German where there are any."""

    en: str = ""
    de: str = ""

    def __call__(self, lang: str) -> str:
        """In that language."""
        return self.de or self.en if lang == "de" else self.en


class InputFile(msgspec.Struct, frozen=True):
    """The file the figures came from; hashed as it lay there."""

    name: str
    sha256: str


class ControlFacts(msgspec.Struct, frozen=True, kw_only=True):
    """By whose control entities were rolled up, where a file says it."""

    file: InputFile
    roll_up: RollUp
    moved: tuple[Moved, ...] = ()
    """Entities that changed their group inside the window."""
    unused: tuple[str, ...] = ()
    """Entities that the file names and that pay nothing."""


class RunRateLine(msgspec.Struct, frozen=True, kw_only=True):
    """A run-rate and how it was made: `last_month_x12`, `trailing_3_months_x4`, `stated`."""

    method: str
    minor: int
    currency: str
    months: tuple[str, ...]
    claim: str = ""


class Peak(msgspec.Struct, frozen=True):
    """Whether the last month stands out, so that twelve times it would overstate a year."""

    ratio: float | None
    limit: float
    is_peak: bool


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a reader needs to check a finding."""

    title: str
    exposure: Exposure
    run_rates: tuple[RunRateLine, ...]
    peak: Peak | None = None
    input: InputFile | None = None
    seed: int | None = None
    claims: tuple[Claim, ...] = ()
    sources: tuple[Source, ...] = ()
    fill: Said = Said()
    note: Said = Said()
    bands: Bands | None = None
    bands_file: InputFile | None = None
    history: ShareHistory | None = None
    control: ControlFacts | None = None

    @property
    def largest(self) -> GroupShare:
        """The first group of the ranking."""
        return self.exposure.groups[0]

    @property
    def reportable(self) -> tuple[GroupShare, ...]:
        """Groups with at least 10 % of the denominator."""
        return tuple(group for group in self.exposure.groups if group.reportable)

    @property
    def lorenz(self) -> list[tuple[float, float]]:
        """Points of the Lorenz curve."""
        return lorenz([group.minor for group in self.exposure.groups])


def input_file(name: str, data: bytes) -> InputFile:
    """Name and hash of a file as it was read."""
    return InputFile(name, hashlib.sha256(data).hexdigest())


def denominator_words(denominator: Denominator) -> str:
    """The denominator in words, as every share carries it."""
    if denominator.measure == "annual_rate":
        return f"annual run-rate of {denominator.scope} as of {denominator.last}"
    months = denominator.months
    if months == 1:
        return f"revenue of {denominator.scope} in {denominator.last}"
    return (
        f"revenue of {denominator.scope}, {months} months from {denominator.first}"
        f" to {denominator.last}"
    )


def used_claims(scenario: Scenario) -> tuple[tuple[Claim, ...], tuple[Source, ...]]:
    """The claims a scenario's book is made from, and all sources of the scenario's claims."""
    book = scenario.book
    wanted = (book.total, *book.payments) if book is not None else ()
    cited = {claim.source for claim in scenario.claims}
    cited |= {version.source for metric in scenario.metrics for version in metric.versions}
    sources = tuple(source for source in scenario.sources if source.id in cited)
    return tuple(scenario.claim_by_id[identity] for identity in wanted), sources


def scenario_report(scenario: Scenario, exposure: Exposure, source: InputFile | None) -> Report:
    """The report of a scenario's book: its run-rate is stated by a claim, not counted."""
    claims, sources = used_claims(scenario)
    denominator = exposure.denominator
    fill = scenario.book.fill if scenario.book is not None else None
    stated_rate = RunRateLine(
        method="stated",
        minor=denominator.minor,
        currency=denominator.currency,
        months=(denominator.last,),
        claim=claims[0].id,
    )
    return Report(
        title=scenario.title,
        exposure=exposure,
        run_rates=(stated_rate,),
        input=source,
        seed=scenario.seed,
        claims=claims,
        sources=sources,
        fill=Said(fill.words, fill.words_de) if fill is not None else Said(),
        note=Said(scenario.note, scenario.note_de),
    )
