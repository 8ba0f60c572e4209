"""What the customer's contract says about it: findings are explained by a permitted use, or not.

A permitted use explains the kinds of finding that it would leave behind. It never explains a public
training corpus away, because nobody needs somebody else's training prompts to run a product.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from quartermaster.conduct.detectors import Finding, Kind
from quartermaster.kernel.contract import Contract, PermittedUse

Status = Literal["explained", "open", "contradicted"]

EXPLAINS: Mapping[PermittedUse, frozenset[Kind]] = {
    "application": frozenset(),
    "evaluation": frozenset({"reasoning_harvest", "benchmark_items"}),
    "judging": frozenset({"rubric_harvest"}),
    "synthetic_data_own_use": frozenset({"meta_generation", "answer_harvest", "reasoning_harvest"}),
}
"""What each use leaves behind in traffic; distillation is dealt with by model."""
DISTILLATION: frozenset[Kind] = frozenset(
    {
        "meta_generation",
        "answer_harvest",
        "reasoning_harvest",
        "rubric_harvest",
        "public_corpus",
        "model_pivot",
    }
)
"""What distilling a named model leaves behind."""
TRAINING: frozenset[Kind] = frozenset({"meta_generation", "public_corpus"})
"""Findings that hardly have another purpose than training data."""
STRONG = 0.5
"""Below half of its strength a finding contradicts nobody's word."""


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an account may do, as its contract says."""

    permitted_uses: tuple[PermittedUse, ...] = ("application", "evaluation")
    distillation_models: tuple[str, ...] = ()

    @classmethod
    def of(cls, contract: Contract) -> "Terms":
        """The terms of a contract."""
        return cls(contract.permitted_uses, contract.distillation_models)


class Reading(msgspec.Struct, frozen=True):
    """One finding in the light of the contract."""

    kind: Kind
    status: Status
    words: str


def read(
    findings: Iterable[Finding], terms: Terms | None, models: Mapping[str, int]
) -> tuple[Reading, ...]:
    """Each finding in the light of the contract.

    Args:
        findings: what detectors said.
        terms: the contract's; without them everything stays open.
        models: requests of the day by model.
    """
    return tuple(_read(finding, terms, models) for finding in findings)


def all_explained(readings: Sequence[Reading]) -> bool:
    """Whether there are findings, and the contract explains each of them."""
    return bool(readings) and all(reading.status == "explained" for reading in readings)


def _read(finding: Finding, terms: Terms | None, models: Mapping[str, int]) -> Reading:
    if terms is None:
        return Reading(finding.kind, "open", "no contract was given")
    for use in terms.permitted_uses:
        if finding.kind in EXPLAINS.get(use, frozenset()):
            return Reading(finding.kind, "explained", f"the contract permits {use}")
    if "distillation_named_models" in terms.permitted_uses and finding.kind in DISTILLATION:
        outside = sorted(set(models) - set(terms.distillation_models))
        if models and not outside:
            named = ", ".join(sorted(models))
            return Reading(finding.kind, "explained", f"the contract permits distilling {named}")
        where = f"not {', '.join(outside)}" if outside else "but models were not recorded"
        words = f"the contract permits distilling {', '.join(terms.distillation_models)}, {where}"
        return Reading(finding.kind, "contradicted" if outside else "open", words)
    if finding.kind in TRAINING and finding.strength >= STRONG:
        uses = ", ".join(terms.permitted_uses) or "nothing"
        return Reading(finding.kind, "contradicted", f"the contract permits {uses} only")
    return Reading(finding.kind, "open", "the contract does not speak of it")
