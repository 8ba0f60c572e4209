"""Signals, reasons, detectors and priors of early warning in words: German and English."""

import math
from datetime import date
from decimal import Decimal

from quartermaster.console.format import day, number, percent
from quartermaster.console.language import Words
from quartermaster.console.ports_warning import Chance, Figure, UsageReason, WarningLedger
from quartermaster.console.report_words import statistic
from quartermaster.exposure.evidence_kinds import KIND_BY_ID

CUSHION = 0.1
"""Of the log ratios among the features: see `exposure.warning_features`, which a page that only
shows must not load, because numpy comes with it. A test holds the two together."""
# A level that began from nothing is endlessly many times what it was.
_ENDLESS = "∞"
_SHARES = frozenset({"share", "share_before", "left"})
_DAYS = frozenset({"since", "day", "by", "ends"})
_PERCENT_SMALL = Decimal("0.01")


def pct(share: float, words: Words) -> str:
    """A share of one: one decimal, two under one per cent."""
    exact = statistic(share)
    small = 0 < exact < _PERCENT_SMALL
    return percent(exact, words.lang, decimals=2 if small else 1)


def against_chance(
    stated: float, came: float, ends: tuple[float, float], words: Words, *, beyond: bool
) -> str:
    """What was stated on average beside what came, and whether chance explains the distance.

    Args:
        stated: the mean probability.
        came: the share that came true.
        ends: of the interval of that share.
        words: the catalogue `warning`.
        beyond: whether what was stated lies outside of the interval, among enough statements.
    """
    key = "within"
    if beyond:
        key = "too_high" if stated > came else "too_low"
    low, high = ends
    return words(
        f"reliability.{key}",
        stated=pct(stated, words),
        came=pct(came, words),
        low=pct(low, words),
        high=pct(high, words),
    )


def plain(value: float, words: Words) -> str:
    """Two digits: a ratio is not known better, and counts below a hundred stay whole."""
    if not math.isfinite(value):
        return _ENDLESS
    exact = Decimal(f"{value:.2g}") if abs(value) < 100 else Decimal(round(value))
    return number(exact, words.lang)


def chance(found: Chance, words: Words) -> dict[str, str]:
    """A probability and the ends of its interval, as places of a sentence."""
    return {
        "probability": pct(found.probability, words),
        "low": pct(found.low, words),
        "high": pct(found.high, words),
    }


def detectors(names: str, words: Words) -> str:
    """Detectors that a signal names, in words."""
    listed = [name.strip() for name in names.split(",") if name.strip()]
    return ", ".join(words(f"detector.{name}") for name in listed)


def kind_words(kind: str, words: Words) -> str:
    """What a kind of evidence is."""
    return KIND_BY_ID[kind].said(words.lang)[0]


def fact_words(kind: str, figures: dict[str, Figure], words: Words) -> str:
    """The finding with its figures; empty for kinds that have none."""
    key = f"signal.{kind}"
    return words(key, **_places(figures, words)) if words.has(key) else ""


def reason_words(reason: UsageReason, words: Words) -> str:
    """One fact about usage and which way it moved the next quarter's chance."""
    fact = words(f"reason.{reason.feature}", **_of_feature(reason, words))
    return words("reason.raises" if reason.effect > 0 else "reason.lowers", fact=fact)


def feature_words(reason: UsageReason, words: Words) -> str:
    """The fact alone."""
    return words(f"reason.{reason.feature}", **_of_feature(reason, words))


def prior_words(ledger: WarningLedger, words: Words) -> str:
    """Where the prior comes from."""
    places = {
        name: _prior_figure(name, value, words) for name, value in ledger.prior_figures.items()
    }
    return words(f"prior.{ledger.prior_by}", **places)


def _prior_figure(name: str, value: Figure, words: Words) -> str:
    if name == "segment":
        return words(f"prior.segment_{value or 'new'}")
    if isinstance(value, str):
        return value
    return pct(value, words) if name in {"median", "p90", "bound"} else plain(value, words)


def _places(figures: dict[str, Figure], words: Words) -> dict[str, str]:
    found = {}
    for name, value in figures.items():
        if name == "detectors":
            found[name] = detectors(str(value), words)
        elif name in _DAYS:
            found[name] = day(date.fromisoformat(str(value)), words.lang)
        elif isinstance(value, str):
            found[name] = value
        elif name in _SHARES:
            found[name] = percent(statistic(value), words.lang, decimals=0)
        else:
            found[name] = plain(value, words)
    found.setdefault("rate", found.get("false_alarms_a_year", ""))
    return found


def _of_feature(reason: UsageReason, words: Words) -> dict[str, str]:
    """A feature's value back in the unit that a reader knows; see `warning_features.features`."""
    value, lang = reason.value, words.lang
    level = max(0.0, (1 + CUSHION) * math.exp(min(value, 50.0)) - CUSHION)
    numbers = {
        "idle_days": number(round(math.expm1(value)), lang),
        "tenure": number(round(math.expm1(value)), lang),
        "even_weeks": number(statistic(math.exp(value)), lang, decimals=1),
        "unsteady": number(statistic(value), lang, decimals=2),
    }
    return {
        "level": percent(statistic(level), lang, decimals=0),
        "share": percent(statistic(min(max(value, 0.0), 1.0)), lang, decimals=0),
        "number": numbers.get(reason.feature, ""),
    }
