"""Check the claims of a scenario against each other: every step, in the order of a reader."""

import hashlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import msgspec

from quartermaster.exposure.agreement import recomputed_shares, same_figures
from quartermaster.exposure.comparability import asserted_comparisons, scored_guidance
from quartermaster.exposure.denominators import excluding_shares, spread
from quartermaster.exposure.findings import Finding, Quantity
from quartermaster.exposure.scenario import Scenario
from quartermaster.exposure.timing import time_words

SCHEMA = "quartermaster.claims/1"

STEPS: tuple[Callable[[Scenario], Iterator[Finding]], ...] = (
    recomputed_shares,
    excluding_shares,
    spread,
    same_figures,
    scored_guidance,
    asserted_comparisons,
    time_words,
)


def check(scenario: Scenario) -> tuple[Finding, ...]:
    """All findings; the last one lists the claims that no step could use."""
    findings = [finding for step in STEPS for finding in step(scenario)]
    touched = {claim for finding in findings for claim in finding.claims}
    left = tuple(claim.id for claim in scenario.claims if claim.id not in touched)
    if left:
        findings.append(Finding(kind="not_checked", verdict="note", claims=left))
    return tuple(findings)


def contradictions(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Findings in which claims cannot all be right."""
    return tuple(finding for finding in findings if finding.verdict == "contradicts")


def as_json(
    scenario: Scenario, findings: tuple[Finding, ...], sentences: tuple[str, ...], data: bytes
) -> dict[str, Any]:
    """Claims, sources and findings as plain values; the sentences are a face's."""
    return {
        "schema": SCHEMA,
        "scenario": scenario.id,
        "title": scenario.title,
        "sample": scenario.sample,
        "input_sha256": hashlib.sha256(data).hexdigest(),
        "contradictions": len(contradictions(findings)),
        "findings": [
            _finding(scenario, finding, sentence)
            for finding, sentence in zip(findings, sentences, strict=True)
        ],
        "claims": [_plain(claim) for claim in scenario.claims],
        "sources": [_plain(source) for source in scenario.sources],
        "hedges": [_plain(hedge) for hedge in scenario.hedges.values()],
    }


def _finding(scenario: Scenario, finding: Finding, sentence: str) -> dict[str, Any]:
    cited = dict.fromkeys(scenario.claim_by_id[claim].source for claim in finding.claims)
    return {
        "kind": finding.kind,
        "verdict": finding.verdict,
        "sentence": sentence,
        "claims": list(finding.claims),
        "sources": list(cited),
        "reasons": list(finding.reasons),
        "detail": finding.detail or None,
        "quantities": [_quantity(scenario, quantity) for quantity in finding.quantities],
    }


def _quantity(scenario: Scenario, quantity: Quantity) -> dict[str, Any]:
    """Shares and growth as fractions of one, money in major units; ratios, so floats are right."""
    return {
        "role": quantity.role,
        "point": _number(quantity.point),
        "low": _number(quantity.low),
        "high": _number(quantity.high),
        "unit": "fraction" if quantity.unit == "%" else quantity.unit,
        "of": scenario.scope_by_id[quantity.of].words if quantity.of else None,
        "claim": quantity.claim or None,
    }


def _number(value: Fraction) -> float:
    return float(value)


def _plain(value: msgspec.Struct) -> dict[str, Any]:
    """Fields that say something; an empty one was not stated."""
    fields: dict[str, Any] = msgspec.to_builtins(value)
    return {name: field for name, field in fields.items() if field not in ("", None)}
