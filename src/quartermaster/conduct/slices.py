"""An account-day cut into workloads, so that a small one is not averaged away.

Requests that share their commonest template are one slice; requests without any template are sliced
by whether a system prompt and earlier turns come with them. Slices too small to judge are put
together. A covert fifth of a day then stands alone, and so does each workload of an ordinary tenant
with several, which is why mixing as such moves no score.
"""

from collections import defaultdict
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from quartermaster.conduct.features import once_a_row
from quartermaster.conduct.observe import FIELD
from quartermaster.conduct.sketch import Sample

SLICE_MIN = 6
"""Fewer requests show neither a template nor its absence."""
COMMON_SHARE = 0.05
"""A template of less than a twentieth of the day makes no slice of its own."""
COMMON_COUNT_MIN = 3
"""Two equal runs of words happen by chance in short prompts."""


class Slice(NamedTuple):
    """Requests of one account-day that belong together."""

    kind: str
    rows: npt.NDArray[np.intp]


def slices(sample: Sample) -> list[Slice]:
    """The workloads of a sample, largest first; empty where it is too small for any."""
    groups: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for row, label in enumerate(_labels(sample)):
        groups[label].append(row)
    found, rest = [], []
    for (kind, _), rows in groups.items():
        if len(rows) >= SLICE_MIN:
            found.append(Slice(kind, np.array(rows, dtype=np.intp)))
        else:
            rest += rows
    if len(rest) >= SLICE_MIN:
        found.append(Slice("several small workloads", np.array(sorted(rest), dtype=np.intp)))
    return sorted(found, key=lambda part: -len(part.rows))


def _labels(sample: Sample) -> list[tuple[str, int]]:
    values, counts = np.unique(once_a_row(sample.marks), return_counts=True)
    common = (values > 0) & (counts >= max(COMMON_COUNT_MIN, COMMON_SHARE * len(sample)))
    count_of = dict(zip(values[common].tolist(), counts[common].tolist(), strict=True))
    led = (sample.facts[:, FIELD["system"]] > 0).tolist()
    continued = (sample.facts[:, FIELD["turns"]] > 1).tolist()
    labels = []
    for row, marks in enumerate(sample.marks.tolist()):
        best = max(((count_of[mark], mark) for mark in marks if mark in count_of), default=None)
        if best is not None:
            labels.append(("one template", best[1]))
        else:
            labels.append((_bare(led[row], continued[row]), 0))
    return labels


def _bare(led: bool, continued: bool) -> str:
    if led:
        return "a system prompt and free questions"
    return "conversations without a template" if continued else "single prompts without a template"
