"""The exposure report as plain text for a terminal or a mail."""

from collections.abc import Sequence

from quartermaster.console.format import Lang
from quartermaster.console.report_view import ReportView, view_of
from quartermaster.console.report_words import catalogue
from quartermaster.exposure.report import Report

_GAP = "  "


def text(report: Report, lang: Lang, *, rows_max: int) -> str:
    """Finding first, then the table, the indices, the run-rates, sources and hashes."""
    words = catalogue("report", lang)
    view = view_of(report, lang, rows_max)
    blocks = [
        [view.title, *view.banners],
        list(view.findings),
        [f"! {warning}" for warning in view.warnings],
        _shares(view, lang),
        [f"{entry.label}: {entry.value}" for entry in view.indices],
        [words("run_rate.title"), *(f"  {e.value}  {e.label}" for e in view.run_rates)],
        [
            words("sources.title"),
            *(f"  {source.publisher}: {source.title}, {source.date}" for source in report.sources),
        ]
        if report.sources
        else [],
        [f"{entry.label}: {entry.value}" for entry in view.provenance],
    ]
    return "\n\n".join("\n".join(lines) for lines in blocks if lines)


def _shares(view: ReportView, lang: Lang) -> list[str]:
    words = catalogue("report", lang)
    head = tuple(words(f"shares.{key}") for key in ("rank", "share", "amount", "group"))
    lines = [
        (row.rank, row.share, row.amount, _name(row.group, row.members, row.mark))
        for row in (*view.rows, view.total)
    ]
    table = _columns([head, *lines], right=(True, True, True, False))
    return [*table, words("shares.footing", denominator=view.denominator)]


def _name(group: str, members: str, mark: str) -> str:
    name = f"{group} ({members})" if members else group
    return f"{name} [{mark}]" if mark else name


def _columns(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(right))]
    return [
        _GAP.join(
            _pad(cell, width, to_right=to_right)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]


def _pad(cell: str, width: int, *, to_right: bool) -> str:
    blanks = " " * (width - len(cell))
    return blanks + cell if to_right else cell + blanks
