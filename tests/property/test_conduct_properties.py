"""What must hold of fingerprints, features and evidence for any input."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quartermaster.conduct.alarm import PLAYERS, Player, accumulate, bet, conformal_p, own_p
from quartermaster.conduct.features import NAMES, SIGNS, features
from quartermaster.conduct.model import shipped
from quartermaster.conduct.observe import FIELDS, Observer
from quartermaster.conduct.records import Request
from quartermaster.conduct.score import best_score
from quartermaster.conduct.sketch import stacked
from quartermaster.conduct.slices import slices

KEY = bytes(range(32))
OBSERVER = Observer(KEY)
MARKED = "write rate tasks diverse answer our order cat explain only json 回答 问题 the ? ###"
WORDS = st.sampled_from(MARKED.split())
REQUESTS = st.builds(
    lambda system, turns: Request(tuple(turns), system),
    st.one_of(st.just(""), st.text(max_size=40)),
    st.lists(
        st.one_of(st.text(max_size=80), st.lists(WORDS, max_size=30).map(" ".join)),
        min_size=1,
        max_size=3,
    ),
)
SCORES = st.lists(st.floats(-5, 5), max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.lists(REQUESTS, min_size=1, max_size=20))
def test_scores_are_finite_and_do_not_hang_on_the_order_of_requests(
    requests: list[Request],
) -> None:
    sample = stacked(OBSERVER.observe(request) for request in requests)
    assert sample.facts.shape == (len(requests), len(FIELDS))
    rows = features(sample)
    assert np.isfinite(rows).all()
    assert (rows >= 0).all()
    turned = sample.take(np.arange(len(sample))[::-1])
    assert np.allclose(features(turned), rows)
    assert np.allclose(best_score(turned, shipped()), best_score(sample, shipped()))


@settings(max_examples=60, deadline=None)
@given(st.lists(REQUESTS, min_size=1, max_size=30))
def test_slices_are_disjoint_and_cover_what_is_large_enough(requests: list[Request]) -> None:
    sample = stacked(OBSERVER.observe(request) for request in requests)
    rows = [row for part in slices(sample) for row in part.rows.tolist()]
    assert len(rows) == len(set(rows))
    assert set(rows) <= set(range(len(sample)))
    assert len(sample) - len(rows) < 6 or not rows


@given(
    st.lists(st.floats(0, 1), min_size=len(NAMES), max_size=len(NAMES)),
    st.integers(0, len(NAMES) - 1),
)
def test_a_feature_only_moves_the_score_in_its_sign(values: list[float], at: int) -> None:
    row = np.array(values)
    more = row.copy()
    more[at] += 0.2
    change = float(shipped().log_odds(more)) - float(shipped().log_odds(row))
    assert change * SIGNS[at] >= -1e-9


@given(SCORES, st.floats(-5, 5), st.floats(1e-6, 1))
def test_ranks_are_probabilities(others: list[float], score: float, draw: float) -> None:
    assert 0 < conformal_p(others, score) <= 1
    assert 0 < own_p(others, score, draw) <= 1


@given(
    st.floats(1e-12, 1),
    st.floats(1e-12, 1),
    st.integers(14, 900),
    st.integers(0, 55),
    st.sampled_from(PLAYERS),
)
def test_a_smaller_p_value_is_worth_more(
    one: float, other: float, before: int, since: int, player: Player
) -> None:
    low, high = sorted((one, other))
    assert bet(low, before, since, player) >= bet(high, before, since, player) >= 0


@settings(deadline=None)
@given(SCORES, SCORES)
def test_evidence_is_never_negative_and_begins_at_one(
    scores: list[float], ordinary: list[float]
) -> None:
    found = accumulate(scores, ordinary, KEY, "a")
    assert len(found) == len(scores)
    assert all(one.value > 0 for one in found)
    if found:
        assert found[0].value == 1
