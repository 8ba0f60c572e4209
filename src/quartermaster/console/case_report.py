"""A case file as a report: finding first, then how much, evidence, what speaks against it, costs.

The same sections stand on the console's page of a case, in the saved page and in the PDF.
"""

from decimal import Decimal

from quartermaster.conduct.case_file import CaseFile, sha256
from quartermaster.conduct.extent import Measure, StatementCheck
from quartermaster.console import case_report_close, case_report_cost, case_report_evidence
from quartermaster.console.board_parts import Line, Section, Table
from quartermaster.console.board_view import BoardView
from quartermaster.console.case_words import CaseDesk, case_desk
from quartermaster.console.format import Lang, money, number, percent
from quartermaster.kernel.money import Money


def view_of(file: CaseFile, lang: Lang) -> BoardView:
    """The file in words of one language."""
    on = case_desk(file, lang)
    words = on.words
    summary = file.case.summary
    sections = [
        *_extent(on),
        *case_report_evidence.sections(on),
        *case_report_cost.sections(on),
        *case_report_close.sections(on),
    ]
    digest = sha256(file)
    return BoardView(
        lang=lang,
        title=words("file.title", group=file.group_name),
        subtitle=words(
            "file.subtitle", case=summary.id, day=on.moment(file.made_at), state=on.state
        ),
        sample=summary.sample,
        banners=(words("file.sample"),) if summary.sample else (),
        findings=_findings(on),
        sections=tuple(sections),
        missing=(),
        closing=case_report_close.closing(on, digest),
        of="",  # nothing is missing that a command would add
        running=words(
            "file.running_sample" if summary.sample else "file.running",
            case=summary.id,
            sha256=digest[:12],
        ),
    )


def _findings(on: CaseDesk) -> tuple[str, ...]:
    """What is known, in sentences: the finding, how much, the evidence, what was said."""
    file, words = on.file, on.words
    case = file.case
    out = []
    found = dict.fromkeys(one.kind for one in case.evidence.findings)  # of two customers once
    seen = [on.kind(kind) for kind in found if kind != "reported"]
    if seen:
        leads = any(one.kind != "reported" for one in case.evidence.actionable)
        key = "finding.kinds" if leads else "finding.observation"
        out.append(words(key, group=file.group_name, kinds=words.join(seen)))
    if "reported" in found:
        out.append(words("finding.reported" if seen else "finding.hearsay", group=file.group_name))
    if not found:
        out.append(words("finding.none", group=file.group_name))
    if case.extent:
        shares = {one.name: one for one in case.extent[0].measures}
        places = {"requests": on.share(shares["requests"]), "days": case.extent[0].days}
        if "output_tokens" in shares:
            tokens = on.share(shares["output_tokens"])
            out.append(words("finding.extent_tokens", tokens=tokens, **places))
        else:
            out.append(words("finding.extent", **places))
    reached = on.reached()
    if reached is not None and case.evidence.alpha:
        out.append(
            words(
                "finding.reached",
                day=on.day(reached),
                times=number(round(1 / case.evidence.alpha), on.lang),
                alpha=percent(Decimal(str(case.evidence.alpha)), on.lang, decimals=1),
            )
        )
    out += [_statement(one, on) for one in case.statements]
    return tuple(out)


def _extent(on: CaseDesk) -> list[Section]:
    case, words = on.file.case, on.words
    if not case.extent:
        return []
    lines = [
        Line(
            (
                f"{on.cluster(found.cluster)}: {words(f'measure.{measure.name}')}",
                _amount(measure.amount.point, measure, found.currency, on),
                _between(measure, found.currency, on),
                on.share(measure),
                on.share_range(measure.share),
            )
        )
        for found in case.extent
        for measure in found.measures
    ]
    names = ("cluster", "amount", "interval", "share", "share_interval")
    head = tuple(words(f"extent.{name}") for name in names)
    notes = [words("extent.note", level="95")]
    if any(one.certain for found in case.extent for one in found.measures):
        notes.append(words("extent.certain"))
    first = case.extent[0]
    return [
        Section(
            id="extent",
            title=words("extent.title"),
            lead=(
                words(
                    "extent.lead",
                    hits=number(first.hits, on.lang),
                    read=number(first.read, on.lang),
                    days=first.days,
                ),
            ),
            table=Table(head=head, lines=tuple(lines)),
            notes=tuple(notes),
        )
    ]


def _statement(check: StatementCheck, on: CaseDesk) -> str:
    said, file = check.statement, on.file
    return on.words(
        f"statement.{check.verdict}",
        who=file.addressee if said.said_by == file.case.addressee != "" else said.said_by,
        text=said.text.rstrip("."),
        measure=on.words(f"measure.{check.measure}"),
        share=on.share_range(check.share),
    )


def _between(measure: Measure, currency: str, on: CaseDesk) -> str:
    ends = (measure.amount.low, measure.amount.high)
    low, high = (_amount(value, measure, currency, on) for value in ends)
    return low if low == high else f"{low} – {high}"


def _amount(value: float, measure: Measure, currency: str, on: CaseDesk) -> str:
    if measure.name == "minor":
        return money(Money(round(value), currency), on.lang)
    return number(round(value), on.lang)
