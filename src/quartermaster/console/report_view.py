"""The exposure report as strings of one language: finding, rows, indices, warnings, hashes.

Content comes computed from `exposure.report`; terminal and page show the same strings.
"""

from decimal import Decimal

import msgspec

from quartermaster.console.format import Lang, money, money_short, month, number
from quartermaster.console.language import Words
from quartermaster.console.report_bands import BandsView, band_findings, bands_view
from quartermaster.console.report_history import HistoryView, history_view
from quartermaster.console.report_indices import Entry, indices
from quartermaster.console.report_words import catalogue, percent_words, statistic
from quartermaster.exposure.report import ControlFacts, Report, RunRateLine
from quartermaster.exposure.rollup import Denominator, GroupShare
from quartermaster.kernel.money import EXACT, Money

ROWS_MAX = 12
"""A table that fits on a page beside its figure; the rest is one row, and all are in the JSON."""
MEMBERS_MAX = 4
"""A cell of a table; all members are in the JSON."""


class Row(msgspec.Struct, frozen=True):
    """One line of the table of customers."""

    rank: str
    group: str
    members: str
    amount: str
    share: str
    range: str = ""
    mark: str = ""


class ReportView(msgspec.Struct, frozen=True, kw_only=True):
    """The report as strings of one language."""

    lang: Lang
    title: str
    banners: tuple[str, ...]
    findings: tuple[str, ...]
    denominator: str
    by: str
    shares_title: str
    rows: tuple[Row, ...]
    total: Row
    indices: tuple[Entry, ...]
    run_rates: tuple[Entry, ...]
    bands: BandsView | None
    history: HistoryView | None
    warnings: tuple[str, ...]
    provenance: tuple[Entry, ...]

    @property
    def ranged(self) -> bool:
        """Whether any share has a range."""
        return any(row.range for row in self.rows)

    @property
    def membered(self) -> bool:
        """Whether any line is a sum of others with names."""
        return any(row.members for row in self.rows)


def view_of(report: Report, lang: Lang, rows_max: int = ROWS_MAX) -> ReportView:
    """Put the report into words of one language."""
    words = catalogue("report", lang)
    denominator = denominator_words(report.exposure.denominator, words)
    return ReportView(
        lang=lang,
        title=report.title,
        banners=tuple(banners_of(report, words)),
        findings=tuple(_findings(report, denominator, words)),
        denominator=denominator,
        by=words(f"by.{report.exposure.by}"),
        shares_title=words(f"by_title.{report.exposure.by}"),
        rows=tuple(_rows(report, words, rows_max)),
        total=_total_row(report, words),
        indices=tuple(indices(report, denominator, words)),
        run_rates=tuple(_run_rate(line, words) for line in report.run_rates),
        bands=bands_view(report, denominator, words),
        history=history_view(report, words),
        warnings=tuple(_warnings(report, words)),
        provenance=tuple(_provenance(report, words)),
    )


def denominator_words(denominator: Denominator, words: Words) -> str:
    """What shares are shares of, in the reader's language."""
    scope = denominator.scope
    if words.lang == "de" and denominator.scope_de:
        scope = denominator.scope_de
    places = {
        "scope": scope,
        "first": month(denominator.first, words.lang),
        "last": month(denominator.last, words.lang),
        "months": str(denominator.months),
    }
    if denominator.measure == "annual_rate":
        return words("of.annual_rate", **places)
    return words("of.month" if denominator.months == 1 else "of.months", **places)


def banners_of(report: Report, words: Words, *, short: bool = False) -> list[str]:
    """What must be said before any figure: sample, origin, fill. `short` is for a figure's note."""
    lang, exposure, found = words.lang, report.exposure, []
    if exposure.sample:
        found.append(words("sample"))
    if short:
        return [*found, words("filled_short")] if exposure.filled else found
    if report.note(lang):
        found.append(report.note(lang))
    if exposure.filled:
        fill = report.fill(lang)
        found.append(words("filled", words=fill) if fill else words("filled_short"))
    return found


def _findings(report: Report, denominator: str, words: Words) -> list[str]:
    largest, whole = report.largest, report.exposure.denominator
    found = [
        words(
            "finding.share",
            group=name_of(largest, words),
            share=percent_words(share_of(largest.minor, report), words.lang),
            denominator=denominator,
            amount=money_short(Money(largest.minor, whole.currency), words.lang),
            total=money_short(Money(whole.minor, whole.currency), words.lang),
        )
    ]
    if largest.share_low is not None and largest.share_high is not None:
        low, high = _range_ends(largest, words.lang)
        found.append(words("finding.range", low=low, high=high))
    return [*found, *band_findings(report, words)]


def name_of(group: GroupShare, words: Words) -> str:
    """Its name, or that the rows do not state it."""
    return group.group or words("shares.unstated")


def _rows(report: Report, words: Words, rows_max: int) -> list[Row]:
    groups = report.exposure.groups
    shown = groups if len(groups) <= rows_max + 1 else groups[:rows_max]
    rows = [_row(group, report, words) for group in shown]
    rest = groups[len(shown) :]
    if rest:
        minor = sum(group.minor for group in rest)
        rows.append(
            Row(
                rank="",
                group=words("shares.rest", count=number(len(rest), words.lang)),
                members="",
                amount=_amount(minor, report, words),
                share=percent_words(share_of(minor, report), words.lang),
                mark=_mark(rest[0], words),
            )
        )
    return rows


def _row(group: GroupShare, report: Report, words: Words) -> Row:
    members = [member.customer or words("shares.unstated") for member in group.members]
    listed = ", ".join(members[:MEMBERS_MAX])
    if len(members) > MEMBERS_MAX:
        more = number(len(members) - MEMBERS_MAX, words.lang)
        listed = words("shares.members_more", members=listed, count=more)
    ends = _range_ends(group, words.lang)
    return Row(
        rank=str(group.rank),
        group=name_of(group, words),
        members="" if members == [group.group] else listed,
        amount=_amount(group.minor, report, words),
        share=percent_words(share_of(group.minor, report), words.lang),
        range="–".join(ends),
        mark=_mark(group, words),
    )


def _mark(group: GroupShare, words: Words) -> str:
    if group.filled:
        return words("shares.mark_filled")
    return words("shares.mark_sample") if group.sample else ""


def _total_row(report: Report, words: Words) -> Row:
    minor = report.exposure.denominator.minor
    return Row(
        rank="",
        group=words("shares.total"),
        members="",
        amount=_amount(minor, report, words),
        share=percent_words(Decimal(1), words.lang),
    )


def _run_rate(line: RunRateLine, words: Words) -> Entry:
    method = words(
        f"run_rate.{line.method}",
        first=month(line.months[0], words.lang),
        last=month(line.months[-1], words.lang),
        claim=line.claim,
    )
    return Entry(method, money(Money(line.minor, line.currency), words.lang))


def _warnings(report: Report, words: Words) -> list[str]:
    exposure, lang, found = report.exposure, words.lang, []
    if report.peak is not None and report.peak.is_peak and report.peak.ratio is not None:
        found.append(
            words(
                "warning.peak",
                ratio=number(statistic(report.peak.ratio), lang, decimals=2),
                limit=number(statistic(report.peak.limit), lang, decimals=2),
            )
        )
    if len(report.run_rates) == 1 and report.run_rates[0].method != "stated":
        found.append(words("run_rate.few"))
    if exposure.missing_months:
        months = ", ".join(month(missing, lang) for missing in exposure.missing_months)
        found.append(words("warning.missing", months=months))
    if exposure.excluded:
        groups = ", ".join(
            f"{member.customer} ({money(Money(member.minor, exposure.denominator.currency), lang)})"
            for member in exposure.excluded
        )
        found.append(words("warning.excluded", groups=groups))
    if exposure.alike:
        names = "; ".join(" / ".join(group) for group in exposure.alike)
        found.append(words("warning.alike", names=names))
    if report.control is not None:
        found += _control_words(report.control, exposure.denominator, words)
    return found


def _control_words(control: ControlFacts, denominator: Denominator, words: Words) -> list[str]:
    """By whose control entities were added up, and what changed inside the window."""
    file, last = control.file.name, month(denominator.last, words.lang)
    found = [words(f"warning.control_{control.roll_up}", file=file, last=last)]
    found += [
        words(
            "warning.moved",
            entity=moved.entity,
            before=moved.before,
            after=moved.after,
            month=month(moved.month, words.lang),
        )
        for moved in control.moved
    ]
    if control.unused:
        found.append(words("warning.unused", file=file, names=", ".join(control.unused)))
    return found


def _provenance(report: Report, words: Words) -> list[Entry]:
    exposure = report.exposure
    found = []
    if report.input is not None:
        found.append(Entry(words("provenance.input"), report.input.name))
        found.append(Entry(words("provenance.input_sha256"), report.input.sha256))
    found += [
        Entry(
            words(f"provenance.{kind}"),
            words("provenance.named_file", name=file.name, sha256=file.sha256),
        )
        for kind, file in (
            ("control", None if report.control is None else report.control.file),
            ("bands", report.bands_file),
        )
        if file is not None
    ]
    found.append(Entry(words("provenance.data_sha256"), exposure.data_sha256))
    found.append(Entry(words("provenance.rows"), number(exposure.rows, words.lang)))
    if report.seed is not None:
        found.append(Entry(words("provenance.seed"), str(report.seed)))
    return found


def share_words(report: Report, denominator: str, words: Words) -> str:
    """The sentence under the share bar."""
    largest, others = report.largest, len(report.exposure.groups) - 1
    name = name_of(largest, words)
    if not others:
        return words("shares.alone", group=name, denominator=denominator)
    return words(
        "shares.caption" if report.exposure.by == "group" else "shares.caption_other",
        group=name,
        share=percent_words(share_of(largest.minor, report), words.lang),
        denominator=denominator,
        others=number(others, words.lang),
    )


def lorenz_words(report: Report, words: Words) -> str:
    """The sentence under the Lorenz curve."""
    amounts = sorted(group.minor for group in report.exposure.groups)
    return words(
        "lorenz.caption",
        half=percent_words(share_of(sum(amounts[: len(amounts) // 2]), report), words.lang),
        largest=percent_words(share_of(amounts[-1], report), words.lang),
    )


def _range_ends(group: GroupShare, lang: Lang) -> tuple[str, ...]:
    if group.share_low is None or group.share_high is None:
        return ()
    return tuple(percent_words(statistic(end), lang) for end in (group.share_low, group.share_high))


def _amount(minor: int, report: Report, words: Words) -> str:
    return money(Money(minor, report.exposure.denominator.currency), words.lang)


def share_of(minor: int, report: Report) -> Decimal:
    """An amount as a share of the report's denominator."""
    return EXACT.divide(Decimal(minor), Decimal(report.exposure.denominator.minor))
