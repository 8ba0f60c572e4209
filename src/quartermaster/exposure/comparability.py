"""Growth against guidance: only on one basis, of one definition, for one period."""

from collections.abc import Iterator

from quartermaster.exposure.claims import Claim, Relation, parse_unit, stated
from quartermaster.exposure.findings import Finding, Quantity, Reason, comparable_figure, quantity
from quartermaster.exposure.scenario import Scenario
from quartermaster.stats.interval import Interval


def reasons_against(left: Claim, right: Claim) -> tuple[Reason, ...]:
    """Why two figures cannot be set against each other; nothing is converted."""
    currencies = [parse_unit(claim.unit).currency for claim in (left, right)]
    differs: tuple[tuple[Reason, bool], ...] = (
        ("measure", left.measure != right.measure),
        ("metric", left.metric != right.metric),
        ("currency", currencies[0] != currencies[1]),
        ("period", left.period != right.period),
        ("subject", (left.subject, left.scope) != (right.subject, right.scope)),
        ("denominator", left.denominator != right.denominator),
        ("basis", left.basis != right.basis),
        ("metric_version", left.metric_version != right.metric_version),
    )
    return tuple(reason for reason, yes in differs if yes)


def scored_guidance(scenario: Scenario) -> Iterator[Finding]:
    """Each guided growth against each actual of its metric and period, or why not."""
    growth = [claim for claim in scenario.claims if claim.measure == "growth"]
    for guidance in growth:
        if guidance.role != "guidance":
            continue
        actuals = [
            claim
            for claim in growth
            if claim.role == "actual"
            and (claim.metric, claim.span) == (guidance.metric, guidance.span)
        ]
        scored = False
        for actual in actuals:
            reasons = reasons_against(actual, guidance)
            scored = scored or not reasons
            yield (
                _refused(scenario, actual, guidance, reasons)
                if reasons
                else _scored(scenario, actual, guidance)
            )
        if not scored:
            yield _not_scorable(scenario, guidance, actuals)


def asserted_comparisons(scenario: Scenario) -> Iterator[Finding]:
    """Comparisons made in words; a comparable figure stands in where theirs is not one."""
    for claim in scenario.claims:
        if claim.compares is None:
            continue
        left = scenario.claim_by_id[claim.compares.left]
        right = scenario.claim_by_id[claim.compares.right]
        relation = claim.compares.relation
        reasons = reasons_against(left, right)
        standing_in = _stand_in(scenario, left, right) if reasons else left
        quantities = (_figure(scenario, left, "left"), _figure(scenario, right, "right"))
        if standing_in is None:
            yield Finding(
                kind="asserted_comparison",
                verdict="refused",
                claims=(claim.id, left.id, right.id),
                quantities=quantities,
                reasons=reasons,
                detail=relation,
            )
            continue
        sides = [comparable_figure(scenario, side)[0] for side in (standing_in, right)]
        held = holds(relation, *sides)
        used = () if standing_in is left else (standing_in.id,)
        yield Finding(
            kind="asserted_comparison",
            verdict="agrees" if held else "contradicts",
            claims=(claim.id, left.id, right.id, *used),
            quantities=(*quantities, _figure(scenario, standing_in, "comparable")),
            reasons=reasons,
            detail=relation,
        )


def holds(relation: Relation, left: Interval, right: Interval) -> bool:
    """Whether some pair of allowed values stands in the relation."""
    if relation == "below":
        return left.low < right.low
    if relation == "above":
        return left.high > right.high
    return left.meets(right)


def _stand_in(scenario: Scenario, left: Claim, right: Claim) -> Claim | None:
    """The figure that should have been compared: `left`'s role on `right`'s basis."""
    for claim in scenario.claims:
        if claim.has_figure and claim.role == left.role and claim.id != right.id:
            if not reasons_against(claim, right):
                return claim
    return None


def _scored(scenario: Scenario, actual: Claim, guidance: Claim) -> Finding:
    band = scenario.meant(guidance)
    value = stated(actual).middle
    place = "low_end" if value == band.low < band.high else band.place(value)
    return Finding(
        kind="guidance_scored",
        verdict="scored",
        claims=(actual.id, guidance.id),
        quantities=(
            _figure(scenario, actual, "actual"),
            _figure(scenario, guidance, "guidance"),
        ),
        detail=place,
    )


def _refused(
    scenario: Scenario, actual: Claim, guidance: Claim, reasons: tuple[Reason, ...]
) -> Finding:
    return Finding(
        kind="comparison_refused",
        verdict="refused",
        claims=(actual.id, guidance.id),
        quantities=(
            _figure(scenario, actual, "actual"),
            _figure(scenario, guidance, "guidance"),
        ),
        reasons=reasons,
    )


def _not_scorable(scenario: Scenario, guidance: Claim, actuals: list[Claim]) -> Finding:
    """No actual fits. `detail` is the day the definition ended, where it did."""
    ended = ""
    for metric in scenario.metrics:
        for version in metric.versions:
            if (metric.id, version.id) == (guidance.metric, guidance.metric_version):
                ended = version.until
    reasons: list[Reason] = []
    for actual in actuals:
        reasons += [r for r in reasons_against(actual, guidance) if r not in reasons]
    return Finding(
        kind="guidance_not_scorable",
        verdict="refused",
        claims=(guidance.id, *(actual.id for actual in actuals)),
        quantities=(_figure(scenario, guidance, "guidance"),),
        reasons=tuple(reasons),
        detail=ended,
    )


def _figure(scenario: Scenario, claim: Claim, role: str) -> Quantity:
    meant, point, unit = comparable_figure(scenario, claim)
    return quantity(role, meant, point, unit, claim=claim.id)
