"""Until when? `as of March` says when somebody looked; `until March` says that it stopped."""

from collections.abc import Iterator

from quartermaster.exposure.findings import Finding, pairs, same_figure
from quartermaster.exposure.scenario import Scenario


def time_words(scenario: Scenario) -> Iterator[Finding]:
    """Claims of one figure that disagree on whether it went on.

    `detail` is the claim that was retold less often, empty when both were retold alike
    or one names no source.
    """
    figures = [claim for claim in scenario.claims if claim.has_figure]
    for left, right in pairs(figures):
        if left.time == right.time or not left.period:
            continue
        if same_figure(scenario, left) != same_figure(scenario, right):
            continue
        sources = [scenario.source_by_id.get(claim.source) for claim in (left, right)]
        distances = [source.distance for source in sources if source is not None]
        nearer = ""
        if len(distances) == len(sources) and distances[0] != distances[1]:
            nearer = (left if distances[0] < distances[1] else right).id
        yield Finding(
            kind="time_disagrees", verdict="contradicts", claims=(left.id, right.id), detail=nearer
        )
