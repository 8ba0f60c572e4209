"""The end of the board report: definitions, claims and sources, what is missing, and the hashes."""

from quartermaster.console.board_parts import Desk, Line, Missing, Section, Table
from quartermaster.console.claim_words import sentence, verdict_word
from quartermaster.console.format import number
from quartermaster.console.report_view import banners_of
from quartermaster.exposure.check import check

DEFINED = ("share", "loss", "shortfall", "hazard", "equal", "bands")
"""What a reader must know to contradict the first page."""
DEFINED_WITHOUT_LOSS = ("share", "bands")


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
    report, words, shared = on.facts.report, on.words, on.report_words
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
                                claim.as_of,
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
    scenario, lang = on.facts.scenario, words.lang
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
        f"{source.publisher}: {source.title}, {source.date}." for source in report.sources
    )
    return Section(id="sources", title=on.report_words("sources.title"), items=items)


def provenance(on: Desk) -> Section:
    """Files and hashes: with them the same report can be made again."""
    report, words = on.facts.report, on.words
    entries = []
    files = [("revenue", report.input)]
    files.append(("control", None if report.control is None else report.control.file))
    files.append(("bands", report.bands_file))
    files += list(on.facts.given.inputs)
    capacity = on.facts.given.capacity
    files += [("capacity", one) for one in (() if capacity is None else capacity.inputs)]
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
    facts, words = on.facts, on.words
    found = []
    if facts.risk is None:
        reason = facts.risk_reason if facts.risk_missing == "refused" else ""
        how = words(f"missing.loss_{facts.risk_missing}", reason=reason)
        command = facts.risk_reason if facts.risk_missing == "not_installed" else ""
        found.append(Missing("loss", words("missing.loss"), how, command))
    if facts.report.history is None:
        found.append(Missing("history", words("missing.history"), words("missing.history_how")))
    if facts.fan is None:
        key = "missing.fan_scenario" if facts.origin == "scenario" else "missing.fan_how"
        needed, known = (
            number(count, words.lang) for count in (facts.months_needed, facts.months_known)
        )
        found.append(Missing("fan", words("missing.fan"), words(key, needed=needed, known=known)))
    bands, given = facts.report.bands, facts.given
    if bands is not None and (bands.rules.absorbing is None or bands.unplanned):
        key = "bands" if bands.rules.absorbing is None else "plans"
        found.append(
            Missing(key, words(f"missing.{key}"), words(f"missing.{key}_how"), "--bands FILE")
        )
    for key, part, option in (
        ("guidance", given.guidance, "--guidance FILE"),
        ("warning", given.warnings, "--usage FILE"),
        ("statements", given.statements, "--statements FILE"),
        ("capacity", given.capacity, "--capacity FILE"),
    ):
        if part is None:
            found.append(Missing(key, words(f"missing.{key}"), words(f"missing.{key}_how"), option))
    return tuple(found)
