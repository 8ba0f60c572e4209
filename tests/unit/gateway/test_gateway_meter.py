"""What did it cost? Vendor usage into disjoint axes, and the life of a request."""

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quartermaster.gateway.meter import (
    AFTER_DURABLE,
    AFTER_SEND,
    LIFE_CYCLE,
    Life,
    Step,
    believed,
    estimated,
)
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.units import COUNT_MAX, Counts


def usage(prompt: object = 10, completion: object = 5, **more: Any) -> bytes:
    return json.dumps({"prompt_tokens": prompt, "completion_tokens": completion, **more}).encode()


def counts(data: bytes) -> Counts:
    metered = believed(data)
    assert metered is not None
    return metered.counts


def test_nested_counts_become_disjoint() -> None:
    data = usage(
        100,
        50,
        total_tokens=150,
        prompt_tokens_details={"cached_tokens": 60, "cache_write_tokens": 5, "audio_tokens": 10},
        completion_tokens_details={
            "reasoning_tokens": 30,
            "audio_tokens": 8,
            "accepted_prediction_tokens": 4,
        },
    )
    assert counts(data) == Counts(
        input=25,
        cached_read=60,
        cache_write=5,
        output=12,
        reasoning=30,
        audio_input=10,
        audio_output=8,
    )


def test_cached_audio_is_counted_once_as_cached() -> None:
    data = usage(100, 0, prompt_tokens_details={"cached_tokens": 90, "audio_tokens": 50})
    assert counts(data) == Counts(cached_read=90, audio_input=10)


@pytest.mark.parametrize("details", [None, {}, {"cached_tokens": None}])
def test_details_may_be_missing(details: object) -> None:
    data = usage(10, 5, prompt_tokens_details=details, completion_tokens_details=None)
    assert counts(data) == Counts(input=10, output=5)


def test_who_counted() -> None:
    for data, source in ((usage(), "upstream"), (usage(count_source="engine"), "engine")):
        metered = believed(data)
        assert metered is not None
        assert metered.source == source


ABSURD = [
    usage(-1, 5),
    usage(10, -5),
    usage(COUNT_MAX + 1, 5),
    usage(10, COUNT_MAX + 1),
    usage(10, 5, prompt_tokens_details={"cached_tokens": 11}),
    usage(10, 5, prompt_tokens_details={"cached_tokens": -1}),
    usage(10, 5, prompt_tokens_details={"cached_tokens": 6, "cache_write_tokens": 5}),
    usage(10, 5, prompt_tokens_details={"audio_tokens": 11}),
    usage(10, 5, completion_tokens_details={"reasoning_tokens": 6}),
    usage("10", 5),
    usage(10.5, 5),
    b'{"completion_tokens": 5}',
    b'{"prompt_tokens": 10}',
    usage(10, None),
    b"[]",
    b'"many"',
    b"{" + b'"a":[' * 50_000,
]


OTHERS = ("usage_parts_exceed_total", "usage_unreadable")


@pytest.mark.parametrize("data", ABSURD, ids=range(len(ABSURD)))
def test_absurd_counts_are_not_believed_and_the_row_says_so(data: bytes) -> None:
    assert believed(data) is None
    guess = estimated(data, 11, 7)
    assert guess.counts == Counts(input=11, output=7)
    assert guess.source == "estimated"
    assert guess.note in ("usage_incomplete", "usage_negative", "usage_too_large", *OTHERS)


@pytest.mark.parametrize("data", [b"", b"null"])
def test_absent_counts_are_estimated_without_a_note(data: bytes) -> None:
    assert believed(data) is None
    assert estimated(data, 10, 0).note == ""


small = st.integers(-5, 200) | st.none()


@given(small, small, small, small, small, small, small)
def test_a_split_never_loses_or_invents_a_token(
    prompt: int | None,
    completion: int | None,
    cached: int | None,
    written: int | None,
    heard: int | None,
    reasoning: int | None,
    spoken: int | None,
) -> None:
    metered = believed(
        usage(
            prompt,
            completion,
            prompt_tokens_details={
                "cached_tokens": cached,
                "cache_write_tokens": written,
                "audio_tokens": heard,
            },
            completion_tokens_details={"reasoning_tokens": reasoning, "audio_tokens": spoken},
        )
    )
    if metered is not None:
        assert metered.counts.tokens == (prompt or 0) + (completion or 0)
        assert all(quantity > 0 for _, quantity in metered.counts.items())


def test_nothing_is_released_before_it_is_durable() -> None:
    into_released = {pair for pair, life in LIFE_CYCLE.items() if life is Life.RELEASED}
    assert into_released == {(Life.CLOSING, Step.DURABLE)}
    into_delivered = {pair for pair, life in LIFE_CYCLE.items() if life is Life.DELIVERED}
    assert into_delivered == {(Life.RELEASED, Step.DRAINED)}


def test_every_life_ends() -> None:
    ends = {Life.DELIVERED, Life.UNCONFIRMED, Life.LOST}
    assert {life for life, _ in LIFE_CYCLE}.isdisjoint(ends)
    assert set(Life) == {life for life, _ in LIFE_CYCLE} | ends


def test_a_step_that_does_not_exist_is_a_defect() -> None:
    assert AFTER_SEND[Life.OPEN] is Life.SENT
    for life, step in product(Life, (Step.DURABLE,)):
        if (life, step) not in LIFE_CYCLE:
            with pytest.raises(IntegrityError, match="cannot DURABLE while"):
                AFTER_DURABLE[life]
