"""The evidence of a case as sections: days, accumulated evidence, rank, clusters, topics, links."""

import re
from datetime import date
from itertools import groupby

from quartermaster.console import figures_case as figures
from quartermaster.console.board_parts import (
    DESK_PX,
    PHONE_PX,
    Line,
    Section,
    Table,
    picture,
)
from quartermaster.console.case_words import CaseDesk
from quartermaster.console.figures_case import DayBar, Edge, Marked, Node, TopicRow
from quartermaster.console.format import number
from quartermaster.kernel.case import CaseDay, CaseLink

DAYS_SHOWN = 10
"""The newest days with their figures; the pictures have all of them."""
LINKS_SHOWN = 30
"""A page of links."""
_WIDTHS = (DESK_PX, PHONE_PX)
_LINKED = {
    "common": re.compile(r"(?P<count>\d+) (?P<kind>payments|keys|networks|clients) in common"),
    "awake": re.compile(r"awake at the same half-hours \(correlation (?P<figure>[\d.]+)\)"),
}
"""What `conduct.links` says of two accounts."""


def sections(on: CaseDesk) -> list[Section]:
    """What the case stands on; nothing where it stands on reports alone."""
    found = [_days(on), _accumulated(on), _rank(on), _clusters(on), _topics(on), _links(on)]
    return [one for one in found if one is not None]


def _days(on: CaseDesk) -> Section | None:
    words, shown = on.words, on.file.case.evidence.days[-figures.DAYS_MAX :]
    if not shown:
        return None
    bars = [
        DayBar(
            date.fromisoformat(day),
            sum(one.requests for one in rows),
            round(sum(one.requests * one.new_share for one in rows)),
            words("days.hint", day=on.day(date.fromisoformat(day)),
                  requests=number(sum(one.requests for one in rows), on.lang)),
        )
        for day, rows in _by_day(shown)
    ]  # fmt: skip
    marks = [
        Marked(date.fromisoformat(one.on), words(f"model.{one.what}", model=one.model))
        for one in on.file.models
    ]
    marks += [
        Marked(date.fromisoformat(step.at.date().isoformat()), words("days.opened"))
        for step in on.file.case.steps[:1]
    ]
    desc = words("days.desc", count=len(bars))
    drawn = [
        figures.day_bars(bars, marks, title=words("days.title"), desc=desc, width=width,
                         name=f"case-days-{width}", lang=on.lang)
        for width in _WIDTHS
    ]  # fmt: skip
    head = ("day", "requests", "new", "ratio", "score", "p_population", "p_own", "evidence")
    lines = [_day_line(one, on) for one in shown[-DAYS_SHOWN:]]
    return Section(
        id="days",
        title=words("days.title"),
        picture=picture(drawn, desc),
        table=Table(
            head=tuple(words(f"days.{key}") for key in head),
            lines=tuple(lines),
            caption=words("days.caption", count=min(DAYS_SHOWN, len(shown))),
        ),
        notes=(words("days.note"),),
    )


def _day_line(one: CaseDay, on: CaseDesk) -> Line:
    def shown(value: float | None) -> str:
        return "–" if value is None else on.figures(value)

    return Line(
        (
            on.day(date.fromisoformat(one.day)),
            number(one.requests, on.lang),
            on.percent(one.new_share),
            shown(one.output_ratio),
            on.figures(one.score),
            shown(one.p_population),
            shown(one.p_own),
            shown(one.evidence),
        ),
        "risk" if one.over_line else "",
    )


def _accumulated(on: CaseDesk) -> Section | None:
    words, evidence = on.words, on.file.case.evidence
    points = [
        (date.fromisoformat(one.day), one.evidence)
        for one in evidence.days[-figures.DAYS_MAX :]
        if one.evidence is not None
    ]
    if not points:
        return None
    line = 1 / evidence.alpha if evidence.alpha else None
    times = "–" if line is None else number(round(line), on.lang)
    desc = words("evidence.desc", value=on.figures(points[-1][1]), times=times)
    drawn = [
        figures.evidence_curve(
            points,
            line=line,
            line_label=words("evidence.line", times=times),
            title=words("evidence.title"),
            desc=desc,
            width=width,
            name=f"case-evidence-{width}",
            lang=on.lang,
        )
        for width in _WIDTHS
    ]
    return Section(
        id="evidence",
        title=words("evidence.title"),
        picture=picture(drawn, desc),
        notes=(words("evidence.note"), *_holds(on)),
    )


def _holds(on: CaseDesk) -> tuple[str, ...]:
    """Under what the chance of a false alarm holds."""
    alpha = on.file.case.evidence.alpha
    return () if not alpha else (on.words("evidence.holds", alpha=on.percent(alpha)),)


def _rank(on: CaseDesk) -> Section | None:
    words, evidence = on.words, on.file.case.evidence
    ordinary = evidence.ordinary[: figures.TENANTS_MAX]
    if not ordinary or not evidence.days:
        return None
    last = evidence.days[-1]
    above = sum(one >= last.score for one in ordinary)
    desc = words("rank.desc", above=above, tenants=len(ordinary))
    drawn = [
        figures.percentile_strip(
            ordinary,
            last.score,
            line=evidence.line,
            labels=(on.file.group_name, words("rank.line"), words("rank.tenants")),
            title=words("rank.title"),
            desc=desc,
            width=width,
            name=f"case-strip-{width}",
        )
        for width in _WIDTHS
    ]
    lines = [
        Line((words("rank.neighbour", number=at), on.figures(one.distance), on.figures(one.score)))
        for at, one in enumerate(evidence.neighbours, 1)
    ]
    table = None
    if lines:
        head = (words("rank.nearest"), words("rank.distance"), words("rank.score"))
        table = Table(head=head, lines=tuple(lines), caption=words("rank.caption"))
    return Section(id="rank", title=words("rank.title"), picture=picture(drawn, desc), table=table)


def _clusters(on: CaseDesk) -> Section | None:
    words, evidence = on.words, on.file.case.evidence
    if not evidence.findings:
        return None
    lines = [
        Line(
            (
                on.kind(one.kind),
                "–" if one.kind == "reported" else on.percent(one.share),
                "–" if one.kind == "reported" else on.figures(one.strength),
                words(f"status.{one.status}"),
                words("cluster.observe_only" if one.observe_only else "cluster.may_act"),
                "; ".join(filter(None, (one.account, one.source))),
            )
        )
        for one in evidence.findings
    ]
    reasons = [
        words("cluster.reason", feature=_feature(reason.feature, on), adds=on.figures(reason.adds))
        for cluster in evidence.clusters
        for reason in cluster.reasons
    ]
    key = on.file.content
    items = [words("cluster.exemplar", text=text) for text in on.file.exemplars]
    head = tuple(words(f"cluster.{name}") for name in
                 ("kind", "share", "strength", "status", "leads", "source"))  # fmt: skip
    return Section(
        id="clusters",
        title=words("cluster.title"),
        table=Table(head=head, lines=tuple(lines), words_from=3),
        items=(*items, *reasons),
        notes=(words(f"content.{key}"),) if key else (words("content.shown"),),
    )


def _feature(name: str, on: CaseDesk) -> str:
    key = f"feature.{name}"
    return on.words(key) if on.words.has(key) else name


def _topics(on: CaseDesk) -> Section | None:
    words, evidence = on.words, on.file.case.evidence
    new = [one.cells for one in evidence.clusters if one.cells]
    if not new or not evidence.past_cells:
        return None
    together = tuple(sum(cells) for cells in zip(*new, strict=True))
    rows = [
        TopicRow(words("topics.past"), evidence.past_cells),
        TopicRow(words("topics.new"), together, risk=True),
    ]
    if evidence.fleet_cells:
        rows.append(TopicRow(words("topics.fleet"), evidence.fleet_cells))
    touched = sum(count > 0 for count in together)
    unknown = sum(
        count for count, past in zip(together, evidence.past_cells, strict=True) if not past
    )
    desc = words(
        "topics.desc",
        touched=touched,
        cells=len(together),
        unknown=on.percent(unknown / max(1, sum(together))),
    )
    drawn = [
        figures.topic_map(rows, title=words("topics.title"), desc=desc, width=width,
                          name=f"case-topics-{width}", lang=on.lang)
        for width in _WIDTHS
    ]  # fmt: skip
    return Section(
        id="topics",
        title=words("topics.title"),
        picture=picture(drawn, desc),
        notes=(words("topics.note"),),
    )


def _links(on: CaseDesk) -> Section | None:
    words, links = on.words, on.file.case.evidence.links
    if not links:
        return None
    asked = {one.account for one in on.file.case.evidence.days}
    names = sorted({name for one in links for name in (one.left, one.right)})
    nodes = [Node(name, name in asked) for name in names[: figures.NODES_MAX]]
    edges = [Edge(one.left, one.right, bool(one.reasons), _shared(one, on)) for one in links]
    desc = words("links.desc", accounts=len(names), links=sum(bool(one.reasons) for one in links))
    drawn = [
        figures.link_graph(nodes, edges, title=words("links.title"), desc=desc, width=width,
                           name=f"case-links-{width}")
        for width in _WIDTHS
    ]  # fmt: skip
    lines = [
        Line((one.left, one.right, on.figures(one.p), _shared(one, on)))
        for one in links[:LINKS_SHOWN]
    ]
    head = tuple(words(f"links.{name}") for name in ("left", "right", "p", "shared"))
    return Section(
        id="links",
        title=words("links.title"),
        picture=picture(drawn, desc),
        table=Table(head=head, lines=tuple(lines), words_from=3),
    )


def _shared(link: CaseLink, on: CaseDesk) -> str:
    return "; ".join(_reason(one, on) for one in link.reasons) or on.words("links.text")


def _reason(said: str, on: CaseDesk) -> str:
    """What a link says it rests on, in words; what nobody has words for stands as it is."""
    for name, pattern in _LINKED.items():
        found = pattern.fullmatch(said)
        if found is not None:
            places = found.groupdict()
            return on.words(
                f"links.{places.get('kind', name)}",
                count=places.get("count", ""),
                figure=on.figures(float(places["figure"])) if "figure" in places else "",
            )
    return said


def _by_day(days: tuple[CaseDay, ...]) -> list[tuple[str, list[CaseDay]]]:
    ordered = sorted(days, key=lambda one: one.day)
    return [(day, list(rows)) for day, rows in groupby(ordered, key=lambda one: one.day)]
