"""Requests: what is honoured, what is refused, and that the refusal names the field."""

import json
from typing import Any

import pytest

from quartermaster.model.chat import Message
from quartermaster.model.exchange import choice_seed
from quartermaster.model.wire import BadRequestError, error_body, parse

PLAIN = {"model": "toy", "messages": [{"role": "user", "content": "Hi"}]}


def body(**changes: Any) -> bytes:
    return json.dumps({**PLAIN, **changes}).encode()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "pirate", "content": "Hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 9}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"seed": 2**63}, "seed"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stop": "x" * 1_001}, "stop"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"logprobs": True}, "logprobs"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
    ],
)
def test_a_refusal_names_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse(body(**changes))
    assert caught.value.field == field
    assert error_body(caught.value)["error"]["param"] == field
    assert caught.value.http_status == 400


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"model": "toy"}'])
def test_malformed_bodies_are_refused(data: bytes) -> None:
    with pytest.raises(BadRequestError):
        parse(data)


def test_harmless_defaults_and_unknown_fields_pass() -> None:
    request = parse(
        body(
            tools=[],
            logprobs=False,
            frequency_penalty=0,
            presence_penalty=0.0,
            response_format={"type": "text"},
            user="u1",
            metadata={"a": "b"},
            stop=None,
            temperature=None,
        )
    )
    assert request.choices == 1
    assert request.stops == ()


def test_the_newer_cap_wins() -> None:
    assert parse(body(max_tokens=5, max_completion_tokens=7)).tokens_wanted == 7


def test_text_parts_are_joined_and_developer_is_system() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    request = parse(
        body(
            messages=[
                {"role": "developer", "content": "Be brief."},
                {
                    "role": "user",
                    "content": parts,
                },
            ]
        )
    )
    assert request.conversation() == [Message("system", "Be brief."), Message("user", "ab")]


def test_an_image_is_refused_by_its_place() -> None:
    request = parse(body(messages=[{"role": "user", "content": [{"type": "image_url"}]}]))
    with pytest.raises(BadRequestError) as caught:
        request.conversation()
    assert caught.value.field == "messages[0].content[0]"


def test_choices_get_different_seeds_and_the_first_its_own() -> None:
    seeds = [choice_seed(42, index) for index in range(8)]
    assert seeds[0] == 42
    assert len(set(seeds)) == 8
    assert all(-(2**63) <= seed < 2**63 for seed in seeds)
