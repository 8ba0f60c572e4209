"""The board report for a terminal, where the finding is enough, and for programs."""

from typing import Any

import msgspec

from quartermaster.console.board_facts import BoardFacts
from quartermaster.console.board_view import BoardView, view_of
from quartermaster.exposure.report_json import as_json as report_json

SCHEMA = "quartermaster.board/1"
"""Changes with the meaning of any field."""


def text(view: BoardView) -> str:
    """Title, what must be said before any figure, and the findings."""
    lines = [view.title, view.subtitle, *view.banners, "", *view.findings]
    return "\n".join(lines)


def as_json(facts: BoardFacts) -> dict[str, Any]:
    """The report as plain values; amounts of `leaving` and `forecast` are in minor units."""
    risk = None
    if facts.risk is not None:
        from quartermaster.exposure.risk_json import risk_json  # it imports numpy

        risk = risk_json(facts.risk, facts.currency)
    view = view_of(facts, "en")
    return {
        "schema": SCHEMA,
        "origin": facts.origin,
        "sample": facts.sample,
        "made_on": facts.made_on.isoformat(),
        "findings": list(view.findings),
        "rates": facts.rates,
        "exposure": report_json(facts.report),
        "risk": risk,
        "leaving": None
        if facts.leaving is None
        else {**msgspec.to_builtins(facts.leaving), "left": facts.leaving.left},
        "forecast": msgspec.to_builtins(facts.fan),
        "missing": [part.key for part in view.missing],
        "inputs": [{"what": key, **msgspec.to_builtins(file)} for key, file in facts.given.inputs],
    }
