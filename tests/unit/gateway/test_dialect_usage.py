"""Vendors' nested counts as disjoint axes, and what is not believed."""

import json
from typing import Any, get_args

import msgspec
import pytest
from tests.unit.gateway.dialect_cases import CHAT_USAGE

from quartermaster.gateway import meter
from quartermaster.gateway.budget import ABOVE_RESERVE
from quartermaster.gateway.dialects import usage
from quartermaster.gateway.dialects.anthropic_events import merged_usage
from quartermaster.gateway.dialects.usage import Problem, Reading
from quartermaster.gateway.output_cap import ABOVE_CAP
from quartermaster.kernel.units import COUNT_MAX, Counts
from quartermaster.usage.policy import FOR_REVIEW


def told(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def test_chat_counts_hold_their_parts() -> None:
    assert usage.chat(json.dumps(CHAT_USAGE).encode()) == Reading(Counts(7, 4, 2, 3, 1))
    audio = told(
        prompt_tokens=10,
        completion_tokens=9,
        prompt_tokens_details={"audio_tokens": 4},
        completion_tokens_details={"audio_tokens": 5},
        count_source="engine",
    )
    assert usage.chat(audio) == Reading(
        Counts(input=6, output=4, audio_input=4, audio_output=5), engine=True
    )


def test_messages_counts_stand_beside_each_other() -> None:
    # platform.claude.com/docs/en/build-with-claude/prompt-caching, "Tracking cache performance".
    seen = told(
        input_tokens=2048,
        cache_read_input_tokens=1800,
        cache_creation_input_tokens=248,
        output_tokens=503,
        cache_creation={"ephemeral_5m_input_tokens": 148, "ephemeral_1h_input_tokens": 100},
        output_tokens_details={"thinking_tokens": 3},
    )
    assert usage.messages(seen) == Reading(Counts(2048, 1800, 248, 500, 3))


def test_cache_writes_that_are_told_by_lifetime_alone() -> None:
    seen = told(input_tokens=1, output_tokens=1, cache_creation={"ephemeral_1h_input_tokens": 9})
    assert usage.messages(seen).counts == Counts(1, 0, 9, 1)


def test_media() -> None:
    # The OpenAI API reference, TranscriptTextUsageTokens and ImageGenUsage.
    heard = told(
        type="tokens",
        input_tokens=14,
        input_token_details={"text_tokens": 10, "audio_tokens": 4},
        output_tokens=101,
        total_tokens=115,
    )
    assert usage.media(heard).counts == Counts(input=10, output=101, audio_input=4)
    assert usage.media(told(input_tokens=50, output_tokens=50)).counts == Counts(50, output=50)
    assert usage.media(told(type="duration", seconds=9)).problem == "usage_unit_unknown"


def test_embeddings_have_no_output() -> None:
    assert usage.embeddings(told(prompt_tokens=8, total_tokens=8)).counts == Counts(8)


ABSURD: list[tuple[Any, dict[str, Any], str]] = [
    (usage.chat, {"prompt_tokens": -1, "completion_tokens": 3}, "usage_negative"),
    (usage.chat, {"prompt_tokens": 1}, "usage_incomplete"),
    (usage.chat, {"prompt_tokens": 1, "completion_tokens": "9"}, "usage_unreadable"),
    (usage.chat, {"prompt_tokens": 1, "completion_tokens": 1.5}, "usage_unreadable"),
    (usage.chat, {"prompt_tokens": COUNT_MAX + 1, "completion_tokens": 0}, "usage_too_large"),
    (usage.chat, {"prompt_tokens": 10**40, "completion_tokens": 0}, "usage_too_large"),
    (
        usage.chat,
        {"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}},
        "usage_parts_exceed_total",
    ),
    (
        usage.chat,
        {
            "prompt_tokens": 1,
            "completion_tokens": 1,
            "completion_tokens_details": {"reasoning_tokens": -5},
        },
        "usage_negative",
    ),
    (usage.messages, {"input_tokens": 1}, "usage_incomplete"),
    (
        usage.messages,
        {"input_tokens": 1, "output_tokens": 1, "cache_read_input_tokens": -3},
        "usage_negative",
    ),
    (
        usage.messages,
        {
            "input_tokens": 1,
            "output_tokens": 1,
            "output_tokens_details": {"thinking_tokens": 2},
        },
        "usage_parts_exceed_total",
    ),
    (usage.responses, {"input_tokens": 1, "output_tokens": -1}, "usage_negative"),
    (usage.embeddings, {"prompt_tokens": -8}, "usage_negative"),
]


@pytest.mark.parametrize(("reader", "fields", "problem"), ABSURD)
def test_absurd_usage_is_refused_with_its_reason(
    reader: Any, fields: dict[str, Any], problem: str
) -> None:
    assert reader(json.dumps(fields).encode()) == Reading(None, problem)  # type: ignore[arg-type]


@pytest.mark.parametrize("nothing", [b"", b"null", b"{}"])
def test_no_usage_is_no_case_for_review(nothing: bytes) -> None:
    for reader in usage.READERS.values():
        assert reader(nothing).problem == "usage_absent"


@pytest.mark.parametrize("nonsense", [b"[]", b"3", b"{", b'{"prompt_tokens":1e999}', b"\xff"])
def test_unreadable_usage(nonsense: bytes) -> None:
    for reader in usage.READERS.values():
        assert reader(nonsense).counts is None


def test_the_meter_agrees_about_chat() -> None:
    for fields in ({"prompt_tokens": 5, "completion_tokens": 2}, CHAT_USAGE):
        raw = json.dumps(fields).encode()
        metered = meter.believed(raw)
        assert metered is not None
        assert usage.chat(raw).counts == metered.counts


def test_usage_told_in_pieces() -> None:
    def raw(**fields: Any) -> Any:
        return msgspec.Raw(told(**fields))

    first = merged_usage(b"", raw(input_tokens=5, output_tokens=1, cache_read_input_tokens=2))
    both = merged_usage(first, raw(output_tokens=9, input_tokens=None))
    assert usage.messages(both).counts == Counts(5, 2, 0, 9)
    assert usage.messages(merged_usage(both, msgspec.Raw(b"[1]"))).problem == "usage_unreadable"


def test_everything_that_is_not_believed_is_for_review() -> None:
    problems = set(get_args(Problem)) - {"", "usage_absent"}
    assert set(FOR_REVIEW) == problems | {ABOVE_RESERVE, ABOVE_CAP}
