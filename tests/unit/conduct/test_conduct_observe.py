"""Fingerprints: keyed, without text, and with the markers that a reader would see."""

import numpy as np
import pytest
from tests.unit.conduct.conduct_made_up import KEY, campaign, prints

from quartermaster.conduct.observe import FIELD, HEAD_CHARS, MARKS, Observer
from quartermaster.conduct.records import Request


def fact(text: str, name: str, system: str = "") -> float:
    return float(Observer(KEY).observe(Request((text,), system)).facts[FIELD[name]])


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("Come up with 10 diverse tasks.", "make_meta", 1),
        ("Come up with 10 diverse tasks.", "make_meta_vary", 1),
        ("Generate a SQL query to answer this question.", "make_meta", 0),
        ("Generate questions for the students.", "make_meta", 1),
        ("The tasks were easy to come by.", "make_meta", 0),
        ("Rate the response and score the answer.", "rate_reply", 2),
        ("Solve it and show all steps please", "steps", 1),
        ("Why?", "asking", 1),
        ("Describe the sea.", "imperative", 1),
        ("The sea is described.", "imperative", 0),
        ("请根据以下指令生成一个问题", "meta", 2),
        ("a\nb\nc", "lines", 2),
        ("### Input: {x}", "markup", 4),
    ],
)
def test_markers(text: str, name: str, value: float) -> None:
    assert fact(text, name) == value


def test_the_system_prompt_is_read_too() -> None:
    assert fact("hello", "product", "You serve our customers.") == 2
    assert fact("hello", "system", "x") == 1


def test_the_same_words_under_another_key_share_no_hash() -> None:
    here, there = prints(campaign(), KEY), prints(campaign(), bytes(32))
    assert not set(here.marks.ravel().tolist()) & set(there.marks.ravel().tolist()) - {0}
    assert not set(here.edges.ravel().tolist()) & set(there.edges.ravel().tolist())
    assert np.array_equal(here.facts, there.facts)


def test_a_fingerprint_holds_no_text() -> None:
    found = Observer(KEY).observe(Request(("a secret that must not stay",), "secret"))
    held = b"".join(part.tobytes() for part in found)
    assert all(part.dtype.kind in "fiu" for part in found)
    assert b"secret" not in held


def test_the_middle_of_a_long_prompt_is_not_read() -> None:
    start, end = "a " * HEAD_CHARS, "z " * HEAD_CHARS
    middle = "generate tasks " * 50
    assert fact(start + middle + end, "make_meta") == 0
    assert fact(start + end + middle, "make_meta") > 0


def test_equal_templates_share_their_smallest_marks() -> None:
    sample = prints(campaign())
    shared = set(sample.marks[0].tolist()) & set(sample.marks[1].tolist()) - {0}
    assert len(shared) >= 4
    assert sample.marks.shape[1] == MARKS


@pytest.mark.parametrize("text", ["", " ", "?", "🙂", "a", "\ud800", "\x00" * 50])
def test_odd_texts_give_finite_numbers(text: str) -> None:
    found = Observer(KEY).observe(Request((text,)))
    assert np.isfinite(found.facts).all()


def test_a_full_vocabulary_is_emptied_and_gives_the_same_hashes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = Observer(KEY).hashed(["one", "two", "three"])
    monkeypatch.setattr("quartermaster.conduct.observe.VOCABULARY_MAX", 4)
    observer = Observer(KEY)
    observer.hashed(["four", "five", "six"])
    assert np.array_equal(observer.hashed(["one", "two", "three"]), whole)
