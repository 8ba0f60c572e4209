"""The exposure report as plain text for a terminal or a mail."""

from quartermaster.console.format import Lang
from quartermaster.console.language import Words
from quartermaster.console.report_view import ReportView, view_of
from quartermaster.console.report_words import catalogue
from quartermaster.console.text_columns import columns
from quartermaster.exposure.report import Report


def text(report: Report, lang: Lang, *, rows_max: int) -> str:
    """Finding first, then the table, the indices, the run-rates, sources and hashes."""
    words = catalogue("report", lang)
    view = view_of(report, lang, rows_max)
    blocks = [
        [view.title, *view.banners],
        list(view.findings),
        [f"! {warning}" for warning in view.warnings],
        _shares(view, lang),
        _bands(view, words),
        [f"{entry.label}: {entry.value}" for entry in view.indices],
        []
        if view.history is None
        else [words("history.title"), f"  {view.history.caption}", f"  {view.history.interval}"],
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
    head = tuple(words(f"shares.{key}") for key in ("rank", "share", "amount"))
    lines = [
        (row.rank, row.share, row.amount, _name(row.group, row.members, row.mark))
        for row in (*view.rows, view.total)
    ]
    table = columns([(*head, view.by), *lines], right=(True, True, True, False))
    return [*table, words("shares.footing", denominator=view.denominator)]


def _bands(view: ReportView, words: Words) -> list[str]:
    if view.bands is None:
        return []
    lines = [words("bands.title"), *(f"  {line}" for line in view.bands.lines)]
    if not view.bands.rows:
        return [*lines, f"  {view.bands.rest}"]
    head = ("", *view.bands.heads, words("bands.decided"))
    rows = [(row.group, *row.ratios, row.decided) for row in view.bands.rows]
    table = columns([head, *rows], right=(False, *(True for _ in view.bands.heads), False))
    rest = [f"  {view.bands.rest}"] if view.bands.rest else []
    return [*lines, *(f"  {line}" for line in table), *rest]


def _name(group: str, members: str, mark: str) -> str:
    name = f"{group} ({members})" if members else group
    return f"{name} [{mark}]" if mark else name
