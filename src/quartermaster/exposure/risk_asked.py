"""What is asked of a risk figure, in text: hazards, commitments and how far ahead."""

import math
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import msgspec

from quartermaster.exposure.report import InputFile
from quartermaster.exposure.risk_assumptions import Assumptions, CustomerTerms, Hazards
from quartermaster.exposure.rollup import Exposure
from quartermaster.kernel.errors import UnavailableError, UsageError
from quartermaster.kernel.money import exact_decimal

ENGINE_PACKAGES = ("numpy", "scipy", "numba")
NAMES_SAID_MAX = 5
"""The largest customers come first; a sentence of more is not read."""
TEXT_SAID_MAX = 200
"""Of what was typed, in a refusal: as long as a name may be."""
MONTHS_DIGITS_MAX = 4
"""More months than a horizon has are refused in words; a thousand digits are not even read."""


class RiskAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Assumptions that somebody states; None is as in the file, or as the product ships them."""

    hazard: tuple[str, ...] = ()
    """Departures a year: `top=35%`, `rest=10%`, or `GROUP=20%`."""
    horizon: int | None = None
    quantile: str | None = None
    ramp: float | None = None
    notice: float | None = None
    frailty: float | None = None
    commitment: tuple[str, ...] = ()
    """`GROUP=AMOUNT:MONTHS`: the least owed for a month, and for how many."""


def assumed(asked: RiskAsked, found: Assumptions, groups: Sequence[str]) -> Assumptions:
    """The assumptions with what was asked before them.

    Args:
        asked: goes before the others.
        found: of a file, or the defaults.
        groups: whom they may name.

    Raises:
        UsageError: something that has no meaning, or a customer that is not there.
    """
    changes: dict[str, Any] = {}
    if asked.horizon is not None:
        changes["horizon_months"] = asked.horizon
    if asked.quantile is not None:
        changes["quantile"] = fraction(asked.quantile, "quantile")
    departure = {
        "ramp_months": asked.ramp,
        "notice_months": asked.notice,
        "frailty_variance": asked.frailty,
    }
    given = {name: value for name, value in departure.items() if value is not None}
    changes["departure"] = msgspec.structs.replace(found.departure, **given)
    terms = {one.group: one for one in found.customer}
    changes["hazard_per_year"] = _hazards(asked.hazard, found.hazard_per_year, terms)
    for text in asked.commitment:
        _commit(text, terms)
    for group in terms:
        if group not in groups:
            named = ", ".join(groups[:NAMES_SAID_MAX])
            raise UsageError(
                f"there is no customer {group!r} in this file",
                hint=f"its customers are {named}" + (" ..." if groups[NAMES_SAID_MAX:] else ""),
                field="customer",
            )
    return msgspec.structs.replace(found, **changes, customer=tuple(terms.values()))


def fraction(text: str, field: str) -> float:
    """A rate or share such as `0.35` or `35%`.

    Raises:
        UsageError: neither.
    """
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        said = f"{field} {text[:TEXT_SAID_MAX]!r} is not a number"
        raise UsageError(said, hint="write 0.35 or 35%", field=field)
    return value


def need_engine() -> None:
    """Refuse early where the packages of the simulation are missing; there is no second engine.

    Raises:
        UnavailableError: one of them is not installed.
    """
    missing = [name for name in ENGINE_PACKAGES if find_spec(name) is None]
    if missing:
        raise UnavailableError(
            f"simulation needs {', '.join(missing)}, not installed here",
            hint="pip install 'quartermaster-ai[risk]'",
        )


def data_json(title: str, source: InputFile, exposure: Exposure) -> dict[str, Any]:
    """What the revenue is, for the documents of risk and what-if."""
    return {
        "title": title,
        "sample": exposure.sample,
        "filled": exposure.filled,
        "input": msgspec.to_builtins(source),
        "data_sha256": exposure.data_sha256,
        "denominator": msgspec.to_builtins(exposure.denominator),
    }


def _hazards(texts: tuple[str, ...], found: Hazards, terms: dict[str, CustomerTerms]) -> Hazards:
    for text in texts:
        who, equals, rate = text.rpartition("=")
        if not equals:
            said = f"hazard {text[:TEXT_SAID_MAX]!r} names nobody"
            raise UsageError(said, hint="write top=35%", field="hazard")
        value = fraction(rate, "hazard")
        if who in ("top", "rest"):
            found = msgspec.structs.replace(found, **{who: value})
        else:
            own = terms.get(who, CustomerTerms(group=who))
            terms[who] = msgspec.structs.replace(own, hazard_per_year=value)
    return found


def _is_amount(text: str) -> bool:
    try:
        exact_decimal(text)
    except UsageError:
        return False
    return True


def _commit(text: str, terms: dict[str, CustomerTerms]) -> None:
    who, _, rest = text.rpartition("=")
    amount, colon, months = rest.partition(":")
    counted = months.isascii() and months.isdigit() and len(months) <= MONTHS_DIGITS_MAX
    if not (who and colon and counted and _is_amount(amount)):
        raise UsageError(
            f"commitment {text[:TEXT_SAID_MAX]!r} cannot be read",
            hint="write 'Acme=10000000:24': an amount a month for 24 months",
            field="commitment",
        )
    own = terms.get(who, CustomerTerms(group=who))
    terms[who] = msgspec.structs.replace(
        own, commitment_per_month=amount, commitment_months=int(months)
    )
