"""The day's sketch: exact counts, a uniform keyed sample, bounded memory."""

import numpy as np
from tests.unit.conduct.conduct_made_up import KEY, THINGS, campaign

from quartermaster.conduct.observe import FIELD, Observer
from quartermaster.conduct.records import Meter, Request
from quartermaster.conduct.sketch import SAMPLE, DaySketch


def flood(count: int, key: bytes = KEY) -> DaySketch:
    """Words in a prompt say when it came."""
    sketch = DaySketch("a", "2026-11-23", Observer(key), key)
    for at in range(count):
        sketch.add(Request(("word " * (1 + at * 100 // count),)))
    return sketch


def test_a_short_day_is_kept_whole() -> None:
    sketch = flood(40)
    assert (len(sketch.sample), sketch.sampled_fraction, sketch.read) == (40, 1.0, 40)


def test_a_long_day_is_sampled_evenly_and_the_fraction_is_recorded() -> None:
    sketch = flood(5_000)
    assert sketch.totals.requests == 5_000
    assert sketch.sampled_fraction == SAMPLE / 5_000
    assert sketch.read < 1_300  # 256 x (1 + ln(5000 / 256)) = 1,017
    when = sketch.sample.facts[:, FIELD["words"]]
    assert abs(float(when.mean()) - 50.5) < 6  # three standard errors of a uniform sample


def test_the_draw_cannot_be_foreseen_without_the_key() -> None:
    words = [flood(2_000, key).sample.facts[:, FIELD["words"]] for key in (KEY, bytes(32))]
    assert not np.array_equal(words[0], words[1])


def test_memory_does_not_grow_and_fits_the_budget() -> None:
    assert flood(10).nbytes == flood(3_000).nbytes <= 64 * 1024


def test_distinct_prompts_are_counted_roughly() -> None:
    sketch = DaySketch("a", "", Observer(KEY), KEY)
    for at in range(200):
        sketch.add(Request((f"question {THINGS[at % 20]} please",)))
    assert 16 <= sketch.distinct_read <= 24
    assert int(sketch.cells.sum()) == 200


def test_the_meter_counts_every_request() -> None:
    sketch = DaySketch("a", "", Observer(KEY), KEY)
    for request in campaign(10):
        sketch.add(Request(request.turns, meter=Meter(input_tokens=100, output_tokens=250, n=4)))
    sketch.add(Request(("no meter",)))
    totals = sketch.totals
    assert (totals.requests, totals.metered, totals.many_answers) == (11, 10, 10)
    assert totals.output_ratio == 2.5


def test_traces_are_hashed_and_bounded() -> None:
    sketch = DaySketch("a", "", Observer(KEY), KEY)
    for at in range(200):
        meter = Meter(network=f"net {at}", key="k", model=f"m{at % 30}", second_of_day=at * 400)
        sketch.add(Request(("hello",), meter=meter))
    held = sketch.traces
    assert len(held.networks) == 64
    assert len(held.keys) == 1
    assert len(held.models) == 17
    assert held.models["other models"] == sum(1 for at in range(200) if at % 30 >= 16)
    assert int(held.half_hours.sum()) == 200
    assert sketch.nbytes <= 64 * 1024
