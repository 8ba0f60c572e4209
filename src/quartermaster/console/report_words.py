"""Catalogues of reports, claims checks and disclosure drafts: `locale/<name>.<lang>.toml`.

Apart from the console's own catalogue, because the command line reads them without the console.
"""

import tomllib
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from quartermaster.console.format import Lang, percent
from quartermaster.console.language import Words, flattened

Catalogue = Literal[
    "account",
    "board",
    "capacity",
    "case",
    "claims",
    "control",
    "departure",
    "disclosure",
    "exposure",
    "forecast",
    "guidance",
    "report",
    "risk",
    "revenue",
    "traffic",
    "warning",
    "webhook",
    "what_if",
]


@lru_cache
def catalogue(name: Catalogue, lang: Lang) -> Words:
    """The packaged catalogue of that name."""
    source = files("quartermaster.console") / f"locale/{name}.{lang}.toml"
    return Words(lang, flattened(tomllib.loads(source.read_text("utf-8"))))


def percent_words(share: Decimal, lang: Lang) -> str:
    """One decimal, two under one per cent."""
    small = 0 < abs(share) < Decimal("0.01")
    return percent(share, lang, decimals=2 if small else 1)


def refusal(reason: str, lang: Lang) -> str:
    """Why there is no loss, in the reader's words; what nobody has words for is quoted.

    Args:
        reason: of `exposure.risk_assumptions.refusal_of`, or a message of a check.
        lang: the reader's.
    """
    words, key = catalogue("risk", lang), f"refused.{reason}"
    return words(key) if words.has(key) else words("refused.other", reason=reason)


def statistic(value: float) -> Decimal:
    """A statistic for the formatter; twelve digits are more than any of them is good for."""
    return Decimal(f"{value:.12g}")
