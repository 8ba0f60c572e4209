"""One account's day against its past: what is new, how that looks, what explains it.

Change is easy to find and says little: an ordinary product launch is as new as a campaign. So the
new requests are taken apart from the day, and what counts is how they look by themselves. A day's
score is its newness up to a cap, plus the harvest score of the new requests within bounds: without
news a day is quiet however it looks, and beyond the cap more news adds nothing.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from quartermaster.conduct.declared import Reading, Terms, all_explained, read
from quartermaster.conduct.detectors import Finding
from quartermaster.conduct.history import PAST_DAYS, Past
from quartermaster.conduct.model import Model
from quartermaster.conduct.score import Workload, best_score, blind_spots, judged
from quartermaster.conduct.sketch import Sample, SketchedDay, Traces

NEWNESS_CAP = 3.0
"""Three standard errors of newness are news; ten are no more suspicious."""
HARVEST_BOUNDS = (-2.0, 3.0)
"""The harvest score of new requests, cut where both sides have few days."""
NEW_MIN = 3
"""Two new requests are no workload."""
PIVOT_SHARE = 0.25
"""A quarter of a day at models never used before is a move, not a trial."""
CROWD = 10
"""One customer's traffic out of ten networks or clients without end-user ids looks resold."""


class DayScore(msgspec.Struct, frozen=True):
    """A day of a known account."""

    account: str
    day: str
    requests: int
    sampled_fraction: float
    past_days: int
    newness: float
    """Excess of new requests in standard errors; 0 where nothing is new."""
    new_requests: int
    new_share: float
    score: float
    over_line: bool
    """Whether the score is above the line for known tenants. A reason to look, not a verdict."""
    workload: Workload | None
    """The new requests; `None` where there are too few."""
    findings: tuple[Finding, ...]
    declared: tuple[Reading, ...]
    explained: bool
    """Whether the contract explains every finding; such a day does not count towards an alarm."""
    blind: tuple[str, ...]


class JudgedDay(NamedTuple):
    """A day and the rows of its sample that may become part of the account's past.

    New requests that look more like a harvest than the median ordinary day stay out of it until
    the contract explains them; else a campaign would be the account's usual traffic on its second
    day.
    """

    found: DayScore
    usual: npt.NDArray[np.intp]


def day_score(
    past: Sequence[SketchedDay], today: SketchedDay, model: Model, terms: Terms | None = None
) -> DayScore | None:
    """Judge a day against at most 28 days before it; `None` where the past is too short.

    Args:
        past: the account's days before, oldest first.
        today: the day.
        model: the weights of the harvest score.
        terms: what the contract permits.
    """
    judged_day = judge_day(past, today, model, terms)
    return None if judged_day is None else judged_day.found


def judge_day(
    past: Sequence[SketchedDay], today: SketchedDay, model: Model, terms: Terms | None = None
) -> JudgedDay | None:
    """As `day_score`, with what may become part of the account's past."""
    used = past[-PAST_DAYS:]
    before = Past([day.sample for day in used])
    sample = today.sample
    if not before.known or not len(sample):
        return None
    newness = before.newness(sample)
    new = sample.take(newness.new)
    parts = judged(new, model) if len(new) >= NEW_MIN else []
    workload = max(parts, key=lambda part: part.score, default=None)
    found = (*(workload.findings if workload else ()), *_metered(used, today))
    readings = read(found, terms, today.traces.models)
    scale = 1 / today.sampled_fraction
    score = combined(newness.z, workload.score if workload else None)
    found_day = DayScore(
        account=today.account,
        day=today.day,
        requests=today.totals.requests,
        sampled_fraction=today.sampled_fraction,
        past_days=len(used),
        newness=newness.z,
        new_requests=round(len(new) * scale),
        new_share=len(new) / len(sample),
        score=score,
        over_line=score > model.day_line,
        workload=workload,
        findings=found,
        declared=readings,
        explained=all_explained(readings),
        blind=blind_spots(today),
    )
    suspect = workload is not None and workload.score > 0 and not found_day.explained
    usual = np.setdiff1d(np.arange(len(sample)), newness.new) if suspect else np.arange(len(sample))
    return JudgedDay(found_day, usual)


def quick_parts(past: Past, today: Sample, model: Model) -> tuple[float, float | None]:
    """What the score of `day_score` is combined of, without its reasons."""
    newness = past.newness(today)
    new = today.take(newness.new)
    return newness.z, best_score(new, model)[0] if len(new) >= NEW_MIN else None


def combined(z: float, harvest: float | None) -> float:
    """Newness up to a cap, plus the harvest score of what is new within bounds."""
    low, high = HARVEST_BOUNDS
    return min(z, NEWNESS_CAP) + float(np.clip(low if harvest is None else harvest, low, high))


def _metered(past: Sequence[SketchedDay], today: SketchedDay) -> list[Finding]:
    """What the meter adds: a move to other models, and traffic that looks resold."""
    out = []
    used = today.traces.models
    known = {name for day in past for name in day.traces.models}
    moved = sum(count for name, count in used.items() if name not in known)
    share = moved / sum(used.values()) if used else 0.0
    if known and share >= PIVOT_SHARE:
        words = f"{share:.0%} of the requests went to models that the account did not use before"
        out.append(Finding("model_pivot", share, share, words, observe_only=True))
    crowd = _crowd(today.traces)
    if crowd >= CROWD and not today.totals.with_end_user:
        words = f"requests came out of {crowd} networks or clients, none with an end-user id"
        out.append(Finding("reseller", min(1.0, crowd / (4 * CROWD)), 1.0, words, True))
    return out


def _crowd(traces: Traces) -> int:
    return max(len(traces.networks), len(traces.clients))
