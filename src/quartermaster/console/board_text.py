"""The board report for a terminal, where the finding is enough, and for programs."""

import json
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


def dumped(document: dict[str, Any]) -> str:
    """The document as JSON text."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_json(facts: BoardFacts) -> dict[str, Any]:
    """The report as plain values; amounts of `forecast` are in minor units, others in major."""
    risk = what_if = None
    if facts.risk is not None and facts.levers is not None:
        # They import numpy, which a machine without the simulation does not have.
        from quartermaster.exposure.risk_json import risk_json, what_if_json

        risk = risk_json(facts.risk, facts.currency)
        what_if = what_if_json(facts.levers, facts.currency)
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
        "departure": None
        if facts.bridge is None
        else {**msgspec.to_builtins(facts.bridge), "after": facts.bridge.after},
        "what_if": what_if,
        "forecast": msgspec.to_builtins(facts.fan),
        "missing": [part.key for part in view.missing],
        "inputs": [{"what": key, **msgspec.to_builtins(file)} for key, file in facts.given.inputs],
    }
