"""The end of the board report: definitions, claims and sources, what is missing, and the hashes."""

from datetime import date

from quartermaster.console.board_parts import Desk, Line, Missing, Section, Table
from quartermaster.console.claim_words import sentence, verdict_word
from quartermaster.console.format import NBSP, Lang, day, month, number
from quartermaster.console.report_view import banners_of
from quartermaster.console.report_words import refusal
from quartermaster.exposure.check import check

DEFINED = ("share", "loss", "shortfall", "hazard", "equal", "bands")
"""What a reader must know to contradict the first page."""
DEFINED_WITHOUT_LOSS = ("share", "bands")
RATE_OPTIONS = ("--hazard top=35%", "--hazard rest=10%", "--assumptions FILE")
CAPACITY_OPTIONS = ("--capacity FILE", "--demand FILE", "--contribution 30%")


def definitions(on: Desk) -> Section:
    """What the words of the first page mean."""
    words = on.words
    names = DEFINED_WITHOUT_LOSS if on.facts.risk is None else DEFINED
    entries = tuple((words(f"define.{name}"), words(f"define.{name}_is")) for name in names)
    return Section(id="definitions", title=words("define.title"), entries=entries)


def banners(on: Desk) -> tuple[str, ...]:
    """What must be said before any figure."""
    found = banners_of(on.facts.report, on.report_words)
    source = on.facts.source
    if source is not None:
        found.append(on.words("source", source=on.words.pick(source).rstrip(".")))
    return tuple(found)


def claims(on: Desk) -> list[Section]:
    """What was said, by whom, and what the claims say about each other."""
    report, shared, lang = on.facts.report, on.report_words, on.words.lang
    found = []
    if report.claims:
        sources = {source.id: source for source in report.sources}
        found.append(
            Section(
                id="claims",
                title=shared("claims.title"),
                table=Table(
                    head=tuple(
                        shared(f"claims.{key}")
                        for key in ("statement", "said_by", "as_of", "confidence", "source")
                    ),
                    lines=tuple(
                        Line(
                            (
                                claim.statement,
                                claim.said_by,
                                said_on(claim.as_of, lang),
                                shared(f"claims.{claim.confidence}"),
                                sources[claim.source].publisher,
                            )
                        )
                        for claim in report.claims
                    ),
                    words_from=1,
                ),
            )
        )
    scenario = on.facts.scenario
    if scenario is not None:
        items = tuple(
            f"{verdict_word(finding, lang)}: {sentence(finding, scenario, lang)}"
            for finding in check(scenario)
        )
        found.append(Section(id="findings", title=shared("findings.title"), items=items))
    return found


def sources(on: Desk) -> Section | None:
    """Where a scenario's claims were read."""
    report = on.facts.report
    if not report.sources:
        return None
    items = tuple(
        f"{source.publisher}: {source.title}, {said_on(source.date, on.words.lang)}."
        for source in report.sources
    )
    return Section(id="sources", title=on.report_words("sources.title"), items=items)


def said_on(text: str, lang: Lang) -> str:
    """A day, a month or a year as it was stated, in the reader's language and on one line."""
    parts = len(text.split("-"))
    shown = text
    if parts == 3:
        shown = day(date.fromisoformat(text), lang)
    elif parts == 2:
        shown = month(text, lang)
    return shown.replace(" ", NBSP)


def provenance(on: Desk) -> Section:
    """Files and hashes: with them the same report can be made again."""
    report, words = on.facts.report, on.words
    entries: list[tuple[str, str]] = []
    files = [("revenue", report.input)]
    files.append(("control", None if report.control is None else report.control.file))
    files.append(("bands", report.bands_file))
    files += list(on.facts.given.inputs)
    capacity = on.facts.given.capacity
    files += [] if capacity is None else list(capacity.inputs)
    for key, file in files:
        if file is not None:
            entries.append((words(f"file.{key}"), f"{file.name}, SHA-256 {file.sha256}"))
    exposure = report.exposure
    rows = number(exposure.rows, words.lang)
    entries.append((words("file.data", rows=rows), f"SHA-256 {exposure.data_sha256}"))
    return Section(
        id="provenance",
        title=words("file.title"),
        entries=tuple(entries),
        notes=(words("file.again"),),
    )


def missing(on: Desk) -> tuple[Missing, ...]:
    """Every part that is not here, why, and what to give."""
    facts, words, given = on.facts, on.words, on.facts.given
    found = [*_missing_of_loss(on), *_missing_months(on)]
    bands = facts.report.bands
    if bands is not None and (bands.rules.absorbing is None or bands.unplanned):
        key = "bands" if bands.rules.absorbing is None else "plans"
        found.append(_missing(key, on, "--bands FILE"))
    for key, part, options in (
        ("guidance", given.guidance, ("--guidance FILE",)),
        ("warning", given.warnings or given.look, ("--usage FILE",)),
        ("statements", given.statements, ("--statements FILE",)),
        ("capacity", given.capacity, CAPACITY_OPTIONS),
    ):
        if part is not None:
            continue
        how = words(f"missing.{key}_how")
        if key == "capacity" and given.capacity_refused:
            why = refusal(given.capacity_refused, words.lang)
            how = words("missing.capacity_refused", reason=why)
        found.append(Missing(key, words(f"missing.{key}"), how, options))
    return tuple(found)


def _missing(key: str, on: Desk, *options: str) -> Missing:
    return Missing(key, on.words(f"missing.{key}"), on.words(f"missing.{key}_how"), options)


def _missing_of_loss(on: Desk) -> list[Missing]:
    facts, words = on.facts, on.words
    if facts.risk is not None:
        return [] if facts.rates == "chosen" else [_missing("rates", on, *RATE_OPTIONS)]
    how = words(f"missing.loss_{facts.risk_missing}", reason=refusal(facts.risk_reason, words.lang))
    install = (facts.risk_reason,) if facts.risk_missing == "not_installed" else ()
    return [Missing("loss", words("missing.loss"), how, install)]


def _missing_months(on: Desk) -> list[Missing]:
    facts, words = on.facts, on.words
    found = [] if facts.report.history is not None else [_missing("history", on)]
    if facts.fan is None and facts.origin != "scenario":
        needed, known = (
            number(count, words.lang) for count in (facts.months_needed, facts.months_known)
        )
        how = words("missing.fan_how", needed=needed, known=known)
        found.append(Missing("fan", words("missing.fan"), how))
    return found
