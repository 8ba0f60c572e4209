"""Counts against vectors that OpenAI published."""

import json
import subprocess
import sys

import pytest

from quartermaster.kernel.errors import DataError
from quartermaster.tokens import count as count_module
from quartermaster.tokens.chat import count_messages, read_messages
from quartermaster.tokens.count import count, estimate
from quartermaster.tokens.encodings import encoding_of

# Lengths of the id lists in openai/tiktoken tests/test_encoding.py, and of the comparisons in the
# OpenAI cookbook "How to count tokens with tiktoken", sections 3-5.
PUBLISHED = [
    ("cl100k_base", "hello world", 2),
    ("cl100k_base", "rer", 1),
    ("cl100k_base", "'rer", 2),
    ("cl100k_base", "today\n ", 3),
    ("cl100k_base", "today\n \n", 2),
    ("cl100k_base", "today\n  \n", 2),
    ("cl100k_base", " \x850", 4),
    ("cl100k_base", "\N{THUMBS UP SIGN}", 3),
    ("cl100k_base", "\ud83d\udc4d", 3),
    ("cl100k_base", "tiktoken is great!", 6),
    ("cl100k_base", "antidisestablishmentarianism", 6),
    ("cl100k_base", "2 + 2 = 4", 7),
    ("cl100k_base", "お誕生日おめでとう", 9),
    ("o200k_base", "tiktoken is great!", 6),
    ("o200k_base", "antidisestablishmentarianism", 6),
    ("o200k_base", "2 + 2 = 4", 7),
    ("o200k_base", "お誕生日おめでとう", 8),
    ("cl100k_base", "", 0),
]

# The cookbook's example conversation and its printed results (section 6): the API itself counted
# 129 tokens for gpt-4 and 124 for gpt-4o.
COOKBOOK = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates corporate "
        "jargon into plain English.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "New synergies will help drive top-line growth.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Things working well together will increase revenue.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on opportunities "
        "for increased leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client "
        "deliverable.",
    },
]


@pytest.mark.parametrize(("encoding", "text", "tokens"), PUBLISHED)
def test_counts_equal_published_vectors(encoding: str, text: str, tokens: int) -> None:
    assert count(text, encoding) == (tokens, "tokenizer")


@pytest.mark.parametrize(
    ("model", "tokens"),
    [("gpt-3.5-turbo", 129), ("gpt-4-0613", 129), ("gpt-4o", 124), ("gpt-4o-mini", 124)],
)
def test_chat_overhead_equals_the_cookbook_and_is_flagged(model: str, tokens: int) -> None:
    assert count_messages(read_messages(json.dumps(COOKBOOK)), model) == (tokens, "estimated")


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4", "cl100k_base"),
        ("gpt-4-32k-0613", "cl100k_base"),
        ("gpt-4o-2024-05-13", "o200k_base"),
        ("gpt-4.1-mini", "o200k_base"),
        ("gpt-5.2", "o200k_base"),
        ("o1-preview", "o200k_base"),
        ("ft:gpt-4o-mini:acme", "o200k_base"),
        ("gpt-35-turbo-16k", "cl100k_base"),
        ("llama-3-70b", None),
        ("smollm2-135m-instruct", None),
    ],
)
def test_models_map_to_their_encoding(model: str, encoding: str | None) -> None:
    assert encoding_of(model) == encoding


def test_other_models_get_a_flagged_estimate() -> None:
    assert count("x" * 9, "mistral-large") == (3, "estimated")
    assert count("", "mistral-large") == (0, "estimated")


def test_without_the_extra_even_openai_models_are_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rs_bpe.bpe", None)
    count_module._counter.cache_clear()
    try:
        assert count("hello world", "gpt-4") == (estimate("hello world"), "estimated")
    finally:
        count_module._counter.cache_clear()


def test_messages_that_are_none_are_refused_by_their_place() -> None:
    with pytest.raises(DataError, match=r"\$\[1\]"):
        read_messages('[{"role": "user", "content": "Hi"}, {"role": "user"}]')


def test_a_control_token_in_user_text_is_ordinary_text() -> None:
    tokens, source = count("hello <|endoftext|>", "cl100k_base")
    assert (tokens, source) == (7, "tokenizer")


def test_a_megabyte_of_one_letter_is_counted_in_time() -> None:
    assert count("x" * 1_000_000, "o200k_base")[0] > 0


def test_import_loads_no_vocabulary() -> None:
    program = (
        "import sys, quartermaster.tokens.count, quartermaster.tokens.chat;"
        "sys.exit(any(n.split('.')[0] in ('rs_bpe', 'tiktoken') for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
