"""On public prompts: a family of campaigns that weights never saw is still found."""

import gzip
from itertools import islice

import msgspec
import numpy as np
from tests.public_data import public_file

from bench.conduct_parts.cold import Fold, held_in, training
from bench.conduct_parts.corpus import KEY, Row, Source, group
from bench.conduct_parts.fit import auroc, nested
from quartermaster.conduct.observe import Observer
from quartermaster.conduct.score import best_score
from quartermaster.conduct.sketch import stacked

REQUESTS, ACCOUNTS = 30, 5
"""A part of each account, a few accounts a family: enough to see a defect, not to measure."""
HELD_OUT = Fold(
    "harvest:selfinst", frozenset({"ordinary:support", "ordinary:summ", "ordinary:intent"})
)


def some_sources() -> list[Source]:
    observer = Observer(KEY)
    decoder = msgspec.json.Decoder(Row)
    taken: dict[str, int] = {}
    out = []
    with gzip.open(public_file("conduct/dev.jsonl.gz")) as file:
        for at, row in enumerate(map(decoder.decode, file)):
            name, harvest = group(row), row.label == "extraction"
            pure = row.family != "mixed" and (not harvest or row.fraction == 1)
            if not pure or taken.get(name, 0) >= ACCOUNTS:
                continue
            taken[name] = taken.get(name, 0) + 1
            prints = stacked(observer.observe(r) for r in islice(row.requests, REQUESTS))
            out.append(Source(at, harvest, name, row.evasion, prints))
    return out


def test_a_campaign_of_an_unseen_family_scores_above_unseen_ordinary_families() -> None:
    sources = some_sources()
    model = nested(*held_in(training(sources), HELD_OUT))
    sides: dict[bool, list[float]] = {True: [], False: []}
    for source in sources:
        if source.family == HELD_OUT.campaign or source.family in HELD_OUT.ordinary:
            sides[source.harvest].append(best_score(source.sample, model)[0])
    assert (len(sides[True]), len(sides[False])) == (ACCOUNTS, 3 * ACCOUNTS)
    assert auroc(np.array(sides[True]), np.array(sides[False])) > 0.95
