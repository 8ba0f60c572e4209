"""Does a line drawn on one half of the families keep its false-positive rate on the other half?

Beside it stand lines that know more: one drawn on both halves, and one drawn on other accounts of
the families that it is applied to. Where those do not keep their rate either, no way to draw one
line can. How often a perfect score would pass is simulated: the same scores with the accounts
shuffled over the halves, so that families do not matter and only chance is left. A line that is
drawn on an account's own days needs no families at all.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.conduct_parts.cold import SEED, Training, training
from bench.conduct_parts.compose import Mixer
from bench.conduct_parts.corpus import Source
from bench.conduct_parts.fit import nested
from bench.conduct_parts.measures import line_at
from bench.conduct_parts.tenants import tenant
from quartermaster.conduct.alarm import own_p
from quartermaster.conduct.daily import combined, quick_parts
from quartermaster.conduct.history import Past
from quartermaster.conduct.model import Model
from quartermaster.conduct.score import best_score

RATES = (0.01, 0.05)
DAYS = 500
"""Ordinary account-days of each half: a rate of 1 % is five of them."""
CAMPAIGN_DAYS = 60
PARTS = 4
REDRAWS, UPPER = 200, 0.9
"""The upper line is above what nine of ten redraws of the families give."""
SHUFFLES = 200
"""Experiments with a score that does not know families; of 200 the chance of one in 20 is known."""
WAYS = (
    "the other half of the families",
    "of them, what nine of ten redraws of the families stay below",
    "the kind with the highest line of them",
    "both halves, which nobody has",
    "other accounts of the same families",
)
OWN_RATE, OWN_DAYS = 0.05, 28
"""Of 28 own days a rate of 1 in 20 can be told, a rate of 1 in 100 cannot."""
OWN_TENANTS = 48
"""Of each half, seven days each: independent ones would stay within twice in 98 of 100 halves."""
SHARE = 0.2


class Transfer(NamedTuple):
    """What became of a line on families it was not drawn on."""

    way: str
    rate: float
    false_alarms: float
    found: float
    """Share of campaigns above the line."""


class Transfers(NamedTuple):
    """What became of lines, and of those of a score that does not know families."""

    seen: list[Transfer]
    perfect: dict[float, npt.NDArray[np.float64]]
    """By rate the false alarms: a row for each shuffle, a column for each split and direction."""


class Days(NamedTuple):
    """Scores of ordinary days, and what they were drawn from."""

    scores: npt.NDArray[np.float64]
    family: npt.NDArray[np.str_]
    source: npt.NDArray[np.int64]


def transfers(sources: Sequence[Source], splits: int) -> Transfers:
    """Both directions of random splits of the families into halves."""
    table = training(sources)
    out = []
    perfect: dict[float, list[npt.NDArray[np.float64]]] = {rate: [] for rate in RATES}
    for split in range(splits):
        draw = np.random.default_rng([SEED, 5, split])
        halves = _halves(sources, draw)
        for here, there in (halves, halves[::-1]):
            model, known = _drawn(table, sources, here, draw)
            mixer = _mixer(sources, there, draw)
            days = _ordinary(mixer, model, DAYS)
            campaigns = np.array(
                [
                    best_score(mixer.campaign_day(name, 1.0, mixer.size()).sample, model)[0]
                    for name in mixer.campaigns
                    for _ in range(CAMPAIGN_DAYS // len(mixer.campaigns))
                ]
            )
            out += [
                Transfer(way, rate, float((on > line).mean()), float((campaigns > line).mean()))
                for rate in RATES
                for way, line, on in _lines(known, days, rate, draw)
            ]
            for rate in RATES:
                perfect[rate].append(_shuffled(known, days, rate))
    return Transfers(out, {rate: np.stack(found, axis=1) for rate, found in perfect.items()})


def _shuffled(known: Days, days: Days, rate: float) -> npt.NDArray[np.float64]:
    """False alarms of a line where accounts are dealt to the halves whatever their family."""
    scores = np.concatenate([known.scores, days.scores])
    source = np.concatenate([known.source, days.source])
    every = np.unique(source)
    count = len(np.unique(known.source))
    draw = np.random.default_rng([SEED, 7])
    out = []
    for _ in range(SHUFFLES):
        first = np.isin(source, draw.permutation(every)[:count])
        out.append(float((scores[~first] > line_at(scores[first], rate)).mean()))
    return np.array(out)


def _upper(known: Days, rate: float, draw: np.random.Generator) -> float:
    """The line that `UPPER` of the redraws of the families stay below."""
    rows = [np.flatnonzero(known.family == name) for name in np.unique(known.family)]
    lines = []
    for _ in range(REDRAWS):
        picked = draw.integers(len(rows), size=len(rows))
        lines.append(line_at(known.scores[np.concatenate([rows[at] for at in picked])], rate))
    return float(np.quantile(lines, UPPER, method="higher"))


def _lines(
    known: Days, days: Days, rate: float, draw: np.random.Generator
) -> list[tuple[str, float, npt.NDArray[np.float64]]]:
    """Each way to draw a line, the line, and the ordinary days that it is applied to."""
    highest = max(line_at(known.scores[known.family == f], rate) for f in set(known.family))
    both = line_at(np.concatenate([known.scores, days.scores]), rate)
    # A generator of its own: the draws of what stood here before stay what they were.
    upper = _upper(known, rate, np.random.default_rng([SEED, 8]))
    order = draw.permutation(np.unique(days.source))
    first = np.isin(days.source, order[: len(order) // 2])
    lines = (
        (line_at(known.scores, rate), days.scores),
        (upper, days.scores),
        (highest, days.scores),
        (both, days.scores),
        (line_at(days.scores[first], rate), days.scores[~first]),
    )
    return [(way, *line) for way, line in zip(WAYS, lines, strict=True)]


class OwnLine(NamedTuple):
    """What became of a line that each account's own days draw, on one half of the families."""

    false_alarms: float
    launches: float
    found: float


def own_lines(sources: Sequence[Source], splits: int) -> list[OwnLine]:
    """Days ranked among 28 days of the same account, by weights of the other half."""
    table = training(sources)
    out = []
    for split in range(splits):
        draw = np.random.default_rng([SEED, 6, split])
        halves = _halves(sources, draw)
        for here, there in (halves, halves[::-1]):
            model, mixer = _fit(table, here), _mixer(sources, there, draw)
            kinds: dict[str, list[bool]] = {"ordinary": [], "launch": [], "campaign": []}
            for _ in range(OWN_TENANTS):
                for kind, over in _own_days(mixer, model, draw):
                    kinds[kind].append(over)
            out.append(OwnLine(*(float(np.mean(found)) for found in kinds.values())))
    return out


def _own_days(mixer: Mixer, model: Model, draw: np.random.Generator) -> Iterator[tuple[str, bool]]:
    """For each later day of a tenant its kind, and whether it ranks among the highest."""
    made = tenant(mixer, draw, OWN_DAYS + OWN_DAYS // 4)
    past = Past(made.past)
    own: list[float] = []
    for day in made.days:
        if day.kind != "ordinary" and day.share != SHARE:
            continue
        score = combined(*quick_parts(past, day.sample, model))
        if len(own) < OWN_DAYS:
            own.append(score)
        else:
            yield day.kind, own_p(own, score, 1 - draw.random()) <= OWN_RATE


def _drawn(
    table: Training, sources: Sequence[Source], half: frozenset[str], draw: np.random.Generator
) -> tuple[Model, Days]:
    """A model of a half, and its ordinary days, each judged by a model without its family."""
    found = []
    ordinary = sorted(name for name in half if name.startswith("ordinary"))
    for part in range(PARTS):
        held = frozenset(ordinary[part::PARTS])
        mixer = _mixer(sources, held, draw)
        found.append(_ordinary(mixer, _fit(table, half - held), DAYS // PARTS))
    return _fit(table, half), Days(*map(np.concatenate, zip(*found, strict=True)))


def _fit(table: Training, families: frozenset[str]) -> Model:
    keep = np.array([name in families for name in table.family])
    names = [name for name in table.family if name in families]
    return nested(table.rows[keep], table.harvest[keep], names)


def _ordinary(mixer: Mixer, model: Model, count: int) -> Days:
    names = mixer.workloads
    days = [mixer.ordinary_day(names[at % len(names)], mixer.size()) for at in range(count)]
    return Days(
        np.array([best_score(day.sample, model)[0] for day in days]),
        np.array([day.family for day in days]),
        np.array([day.source for day in days]),
    )


def _halves(
    sources: Sequence[Source], draw: np.random.Generator
) -> tuple[frozenset[str], frozenset[str]]:
    here: set[str] = set()
    everything = {source.family for source in sources}
    for side in (True, False):
        names = draw.permutation(sorted({s.family for s in sources if s.harvest == side}))
        here |= set(names[: len(names) // 2].tolist())
    return frozenset(here), frozenset(everything - here)


def _mixer(sources: Sequence[Source], families: frozenset[str], draw: np.random.Generator) -> Mixer:
    held = [source for source in sources if source.family in families]
    return Mixer([s for s in held if s.harvest], [s for s in held if not s.harvest], draw)
