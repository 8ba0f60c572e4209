"""A case: will this customer leave within the horizon? A file of facts becomes dated probabilities.

Every date on which something became known gives one statement, made only from what was known and
not yet stale on that day. The outcome is read for scoring and never by the ledger.
"""

from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec

from quartermaster.exposure.csv_rows import read_bytes
from quartermaster.exposure.departure_prior import Believed, Prior, believe
from quartermaster.exposure.evidence import Evidence, day_of, months_later, weigh
from quartermaster.exposure.evidence_ledger import Ledger, Rule, ledger
from quartermaster.exposure.report import InputFile, input_file
from quartermaster.kernel.errors import DataError, UsageError
from quartermaster.kernel.toml import parse_toml
from quartermaster.stats.beta_prior import MONTHS_A_YEAR, Nodes
from quartermaster.stats.likelihood import shift

SCHEMA = "quartermaster.departure/1"
"""Changes with the meaning of any field; new fields alone do not change it."""
CASE_BYTES_MAX = 1024 * 1024
"""A thousand facts of a kilobyte; a person writes and reviews the file."""
EVIDENCE_MAX = 1_000
"""More facts about one customer are a log, not evidence that somebody weighed."""
HORIZON_MONTHS_MAX = 60
"""A constant hazard is not believed for longer."""
ALARM_PROBABILITY = 0.5
"""From here on leaving is likelier than staying."""
SENSITIVITY_LEVELS = ((0.10, "p10"), (0.50, "median"), (0.90, "p90"))


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What came, and the day on which that was certain."""

    happened: bool
    on: str
    fact: str
    source: str


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A case file."""

    schema: Literal["quartermaster.departure/1"]
    id: str
    subject: str
    event: str
    """What is stated, so that everybody can tell later whether it came."""
    evidence: tuple[Evidence, ...] = ()
    seller: str = ""
    title: str = ""
    note: str = ""
    horizon_months: int = MONTHS_A_YEAR
    prior: Prior = Prior()
    rule: Rule = Rule()
    outcome: Outcome | None = None


class Stated(msgspec.Struct, frozen=True):
    """A statement: that day, this probability of the event within the horizon, this interval."""

    on: str
    probability: float
    low: float
    high: float


class Sensitivity(msgspec.Struct, frozen=True):
    """What the probability would be, were this prior known for certain."""

    prior_at: str
    prior: float
    posterior: float


class Opinion(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a case says on a day."""

    case: Case
    input: InputFile
    believed: Believed
    on: str
    ledger: Ledger
    sensitivity: tuple[Sensitivity, ...]
    tipping_prior: float
    """The prior at which the evidence gives an even chance."""
    history: tuple[Stated, ...]
    alarm_on: str
    """First day with a probability of `ALARM_PROBABILITY` or more; empty where there is none."""

    @property
    def stated(self) -> Stated:
        """The statement of the day."""
        found = self.ledger.posterior
        return Stated(self.on, found.probability, found.low, found.high)


def read_case(path: Path) -> tuple[Case, bytes]:
    """The case in a TOML file, and the file's bytes for its hash.

    Raises:
        DataError: names the file, the place and every reason.
    """
    data = read_bytes(path, CASE_BYTES_MAX)
    return parse_case(data, path.name), data


def parse_case(data: bytes, name: str) -> Case:
    """The case in these bytes, checked.

    Raises:
        DataError: not TOML, an unknown or missing field, or figures that do not fit.
    """
    try:
        case = msgspec.convert(parse_toml(data, name), Case)
    except msgspec.ValidationError as error:
        raise DataError(
            f"{name}: {error}",
            hint='a case says schema = "quartermaster.departure/1"; examples/ has three',
        ) from error
    problems = list(_problems(case))
    if problems:
        listed = "".join(f"\n  {problem}" for problem in problems)
        count = "1 entry" if len(problems) == 1 else f"{len(problems)} entries"
        raise DataError(
            f"{name}: {count} cannot be used{listed}", hint="mend these; nothing was read"
        )
    return case


def opinion(case: Case, source: InputFile, as_of: str | None = None) -> Opinion:
    """The probability on a day, its ledger, and every statement that led there.

    Args:
        case: a checked case.
        source: the file it came from.
        as_of: the day; by default the last on which something became known.

    Raises:
        UsageError: not a day, nothing known and no day given, or a day after the outcome.
    """
    day = _day(case, as_of)
    believed = believe(case.prior)
    nodes = believed.belief.nodes(case.horizon_months)
    days = sorted({piece.day for piece in case.evidence if piece.day <= day} | {day})
    ledgers = [_ledger_on(case, nodes, one) for one in days]
    history = tuple(_stated(one, found) for one, found in zip(days, ledgers, strict=True))
    alarms = [one.on for one in history if one.probability >= ALARM_PROBABILITY]
    last = ledgers[-1]
    return Opinion(
        case=case,
        input=source,
        believed=believed,
        on=day.isoformat(),
        ledger=last,
        sensitivity=_sensitivity(nodes, last),
        tipping_prior=1 / (1 + last.joint.central),
        history=history,
        alarm_on=alarms[0] if alarms else "",
    )


def read_opinion(path: Path, as_of: str | None = None) -> Opinion:
    """The opinion of a case file.

    Raises:
        DataError: the file cannot be used.
        UsageError: see `opinion`.
    """
    case, data = read_case(path)
    return opinion(case, input_file(path.name, data), as_of)


def _day(case: Case, as_of: str | None) -> date:
    if as_of is not None:
        day = day_of(as_of)
    elif case.evidence:
        day = max(piece.day for piece in case.evidence)
    else:
        raise UsageError(f"{case.id} has no evidence and no day", hint="name one with --as-of")
    if case.outcome is not None and case.outcome.happened and day >= day_of(case.outcome.on):
        raise UsageError(
            f"{case.id}: on {day} the outcome of {case.outcome.on} was known",
            hint="a statement made afterwards is not one",
        )
    return day


def _ledger_on(case: Case, nodes: Nodes, day: date) -> Ledger:
    known = sorted((p for p in case.evidence if p.day <= day), key=lambda piece: piece.day)
    live = [piece for piece in known if piece.counts_on(day)]
    return ledger(nodes, live, case.rule, [piece for piece in known if piece not in live])


def _stated(day: date, found: Ledger) -> Stated:
    posterior = found.posterior
    return Stated(day.isoformat(), posterior.probability, posterior.low, posterior.high)


def _sensitivity(nodes: Nodes, found: Ledger) -> tuple[Sensitivity, ...]:
    priors = [(name, nodes.quantile(level)) for level, name in SENSITIVITY_LEVELS]
    priors.append(("mean", nodes.mean))
    priors.sort(key=lambda entry: entry[1])
    ratio = found.joint.central
    return tuple(Sensitivity(name, prior, shift(prior, ratio)) for name, prior in priors)


def _problems(case: Case) -> Iterator[str]:
    if not case.subject or not case.event:
        yield "subject and event say whom and what the probability is about"
    if not 1 <= case.horizon_months <= HORIZON_MONTHS_MAX:
        yield f"horizon_months is not between 1 and {HORIZON_MONTHS_MAX}"
    if len(case.evidence) > EVIDENCE_MAX:
        yield f"more than {EVIDENCE_MAX} pieces of evidence"
        return
    yield from _said("prior", partial(believe, case.prior))
    yield from _said("rule", case.rule.check)
    for number, piece in enumerate(case.evidence, start=1):
        where = f"evidence {number} ({piece.kind})"
        for check in (lambda piece=piece: piece.day, partial(weigh, piece)):
            yield from _said(where, check)
        if not piece.fact or not piece.source:
            yield f"{where}: a fact needs its words and its source"
    if case.outcome is not None:
        yield from _outcome_problems(case, case.outcome)


def _outcome_problems(case: Case, outcome: Outcome) -> Iterator[str]:
    problems = list(_said("outcome", lambda: day_of(outcome.on)))
    yield from problems
    if problems:
        return
    for number, piece in enumerate(case.evidence, start=1):
        try:
            late = outcome.happened and piece.day >= day_of(outcome.on)
            open_still = not outcome.happened and day_of(outcome.on) < months_later(
                piece.day, case.horizon_months
            )
        except UsageError:
            continue  # already listed
        if late:
            yield f"evidence {number} ({piece.kind}) is not from before the outcome"
        if open_still:
            yield f"outcome: on {outcome.on} the horizon of evidence {number} was still open"


def _said(where: str, check: Callable[[], object]) -> Iterator[str]:
    try:
        check()
    except UsageError as error:
        yield f"{where}: {error.message}" + (f" ({error.hint})" if error.hint else "")
