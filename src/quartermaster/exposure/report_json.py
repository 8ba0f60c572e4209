"""The exposure report as plain values: the stable form for programs."""

from typing import Any

import msgspec

from quartermaster.exposure.bands import Bands, Edges
from quartermaster.exposure.claims import Claim, Source
from quartermaster.exposure.history import ShareHistory
from quartermaster.exposure.months import MONTHS_A_YEAR
from quartermaster.exposure.report import ControlFacts, Report, RunRateLine, denominator_words
from quartermaster.exposure.rollup import Denominator, GroupShare
from quartermaster.kernel.money import Money

SCHEMA = "quartermaster.exposure/1"
"""Changes with the meaning of any field; new fields alone do not change it."""


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain values, with every share's denominator beside it."""
    exposure = report.exposure
    words = denominator_words(exposure.denominator)
    indices = exposure.concentration
    return {
        "schema": SCHEMA,
        "title": report.title,
        "sample": exposure.sample,
        "filled": exposure.filled,
        "fill": report.fill.en,
        "note": report.note.en,
        "seed": report.seed,
        "input": msgspec.to_builtins(report.input),
        "data_sha256": exposure.data_sha256,
        "rows": exposure.rows,
        "by": exposure.by,
        "denominator": {
            "words": words,
            "scope": exposure.denominator.scope,
            "measure": exposure.denominator.measure,
            "first": exposure.denominator.first,
            "last": exposure.denominator.last,
            **_amount(exposure.denominator.minor, exposure.denominator.currency),
        },
        "groups": [_group(group, words, exposure.denominator) for group in exposure.groups],
        "concentration": {
            "of": words,
            "customers": indices.count,
            "hhi_points": indices.hhi_points,
            "hhi_fraction": indices.hhi,
            "hhi_normalised_fraction": indices.hhi_normalised,
            "hhi_fraction_bounds_whatever_the_fill": exposure.hhi_bounds,
            "effective_number_of_customers": indices.effective_number,
            "largest_1_share": indices.cr1,
            "largest_4_share": indices.cr4,
            "largest_n_shares": {str(n): ratio for n, ratio in indices.ratios},
            "gini": indices.gini,
            "theil": indices.theil,
        },
        "control": _control(report.control),
        "bands": None if report.bands is None else _bands(report.bands, report, words),
        "top_share_over_time": None if report.history is None else _history(report.history),
        "ten_percent_customers": _ten_percent(report, words),
        "run_rates": [_run_rate(line) for line in report.run_rates],
        "peak": msgspec.to_builtins(report.peak),
        "excluded": [
            {"group": member.customer, **_amount(member.minor, exposure.denominator.currency)}
            for member in exposure.excluded
        ],
        "names_alike": [list(names) for names in exposure.alike],
        "missing_months": list(exposure.missing_months),
        "claims": [_plain(claim) for claim in report.claims],
        "sources": [_plain(source) for source in report.sources],
    }


def _group(group: GroupShare, words: str, denominator: Denominator) -> dict[str, Any]:
    low, high = group.share_low, group.share_high
    return {
        "rank": group.rank,
        "group": group.group,
        "share": group.share,
        "share_of": words,
        "share_range": None if low is None or high is None else [low, high],
        "at_least_10_percent": group.reportable,
        "filled": group.filled,
        "sample": group.sample,
        **_amount(group.minor, denominator.currency),
        "members": [
            {"customer": member.customer, **_amount(member.minor, denominator.currency)}
            for member in group.members
        ],
    }


def _ten_percent(report: Report, words: str) -> dict[str, Any] | None:
    """Who reaches the line of the disclosure rules, which are about customers only."""
    if report.exposure.by != "group":
        return None
    groups = [group.group for group in report.reportable]
    return {"name": f">= 10 % of {words}", "groups": groups}


def _control(control: ControlFacts | None) -> dict[str, Any] | None:
    if control is None:
        return None
    return {
        "input": msgspec.to_builtins(control.file),
        "control_of": "each month" if control.roll_up == "month" else "the last month",
        "changed_group_in_the_window": msgspec.to_builtins(control.moved),
        "named_without_revenue": list(control.unused),
    }


def _bands(bands: Bands, report: Report, words: str) -> dict[str, Any]:
    absorbing, currency = bands.rules.absorbing, report.exposure.denominator.currency
    against = {"revenue": {"of": words, **_edges(bands.rules.edges)}}
    if absorbing is not None:
        against["absorbing"] = {
            "of": f"a year of revenue over {absorbing.what}",
            **_amount(absorbing.minor, currency),
            **_edges(absorbing.edges),
        }
    return {
        "input": msgspec.to_builtins(report.bands_file),
        "against": against,
        "groups": [
            {
                "group": line.group,
                "annual": _amount(line.annual_minor, currency),
                "ratios": {
                    ratio.against: {
                        "ratio": ratio.value,
                        "ratio_of": against[ratio.against]["of"],
                        "band": ratio.band,
                    }
                    for ratio in line.ratios
                },
                "breach": line.breach,
                "plan": msgspec.to_builtins(line.plan),
                "missing": list(line.missing),
                "overdue": line.overdue,
            }
            for line in bands.lines
        ],
    }


def _edges(edges: Edges) -> dict[str, float]:
    return {"report_at": float(edges.report_at), "breach_at": float(edges.breach_at)}


def _history(history: ShareHistory) -> dict[str, Any]:
    return {
        "window_months": history.window_months,
        "interval": {
            "level": history.level,
            "about": "the long-run share behind the months of the window",
            "method": "studentised, for months that correlate by 0 to 0.7",
        },
        "windows": [
            {
                "first": point.first,
                "last": point.last,
                "group": point.group,
                "share": point.share,
                "minor": point.minor,
                "of_minor": point.total,
                "interval": None if point.low is None else [point.low, point.high],
            }
            for point in history.points
        ],
    }


def _run_rate(line: RunRateLine) -> dict[str, Any]:
    return {
        "method": line.method,
        "months": list(line.months),
        "claim": line.claim or None,
        "per": f"{MONTHS_A_YEAR} months",
        **_amount(line.minor, line.currency),
    }


def _amount(minor: int, currency: str) -> dict[str, Any]:
    return {"amount": str(Money(minor, currency).decimal), "minor": minor, "currency": currency}


def _plain(value: Claim | Source) -> dict[str, Any]:
    """Fields that say something; an empty one was not stated."""
    fields: dict[str, Any] = msgspec.to_builtins(value)
    return {name: field for name, field in fields.items() if field not in ("", None)}
