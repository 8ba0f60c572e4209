"""Read bands from a TOML file: edges, loss-absorbing money, and a plan for each breach.

Described with an example in docs/reference/exposure-input.md.
"""

import re
from datetime import date
from fractions import Fraction

import msgspec

from quartermaster.exposure.bands import BREACH_AT, REPORT_AT, Absorbing, BandRules, Edges, Plan
from quartermaster.exposure.csv_rows import minor_units, party_name
from quartermaster.kernel.errors import DataError, UsageError
from quartermaster.kernel.toml import parse_toml

BANDS_BYTES_MAX = 256 * 1024
"""A thousand plans of a paragraph; a person writes and reviews the file."""
_PERCENT = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,6})?) ?%", re.ASCII)


class _Absorbing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    what: str
    amount: str
    currency: str
    report_at: str = ""
    breach_at: str = ""


class _Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    group: str
    owner: str = ""
    due: date | None = None
    plan: str = ""


class _Bands(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    report_at: str = ""
    breach_at: str = ""
    absorbing: _Absorbing | None = None
    plan: tuple[_Plan, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    bands: _Bands


def percent_fraction(text: str) -> Fraction:
    """`10 %` as an exact fraction; the sign is asked for, because 10 and 0.1 both mean it.

    Raises:
        UsageError: not a percentage.
    """
    match = _PERCENT.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a percentage", hint='write it as "10 %"')
    return Fraction(match[1]) / 100


def edges_of(report_at: str, breach_at: str, defaults: Edges) -> Edges:
    """Edges from text, each with its default.

    Raises:
        UsageError: not percentages, or in the wrong order.
    """
    return Edges(
        percent_fraction(report_at) if report_at else defaults.report_at,
        percent_fraction(breach_at) if breach_at else defaults.breach_at,
    ).checked()


def absorbing_of(what: str, amount: str, currency: str, edges: Edges) -> Absorbing:
    """Loss-absorbing money from text.

    Raises:
        UsageError: no name, not an amount, or not a positive one.
    """
    minor = minor_units(amount, currency, decimal_comma=False, what="amount")
    if minor <= 0:
        raise UsageError(f"{what!r} absorbs nothing: {amount}", hint="it must be positive")
    return Absorbing(party_name(what.strip(), "what"), minor, currency, edges)


def read_bands(data: bytes, name: str) -> BandRules:
    """The rules of the file.

    Raises:
        DataError: names the file and what cannot be read.
    """
    try:
        file = msgspec.convert(parse_toml(data, name), _File)
        return _rules(file.bands)
    except msgspec.ValidationError as error:
        fields = ", ".join(_Bands.__struct_fields__)
        raise DataError(
            f"{name}: {error}", hint=f"it holds one table, [bands]: {fields}"
        ) from error
    except UsageError as error:
        raise DataError(f"{name}: {error.message}", hint=error.hint) from error


def _rules(bands: _Bands) -> BandRules:
    edges = edges_of(bands.report_at, bands.breach_at, Edges(REPORT_AT, BREACH_AT))
    absorbing = bands.absorbing
    groups = [plan.group for plan in bands.plan]
    twice = sorted({group for group in groups if groups.count(group) > 1})
    if twice:
        raise UsageError(f"there are two plans for {twice[0]!r}")
    return BandRules(
        edges,
        None
        if absorbing is None
        else absorbing_of(
            absorbing.what,
            absorbing.amount,
            absorbing.currency,
            edges_of(absorbing.report_at, absorbing.breach_at, edges),
        ),
        tuple(
            Plan(plan.group, plan.owner.strip(), plan.due, plan.plan.strip()) for plan in bands.plan
        ),
    )
