"""From slices of requests to their text: every dialect, whole and cut."""

import json
from typing import Any

import pytest

from quartermaster.conduct.content import answer_of, request_of
from quartermaster.kernel.events import Endpoint
from quartermaster.kernel.tapped import Content

AT = 1_794_744_061_000_000  # 2026-11-15, 12:01:01 UTC


def content(
    body: dict[str, Any], *, answer: bytes = b"", cut: int = 0, endpoint: Endpoint = "responses"
) -> Content:
    data = json.dumps(body).encode()
    head, tail = (data[:cut], data[-cut:]) if cut else (data, b"")
    return Content(
        "req_1", AT, "acme", "key_1", "m", endpoint, 0.5, head, tail, len(data), answer, 200
    )


def said(*pairs: tuple[str, Any]) -> list[dict[str, Any]]:
    return [{"role": role, "content": text} for role, text in pairs]


HI = [{"type": "text", "text": "Hi"}]
PICTURE = [
    {"type": "image_url", "image_url": {"url": "x"}},
    {"type": "text", "text": "What is it?"},
]
TALK = said(("user", "Hi"), ("assistant", "Hello"), ("user", "More"), ("assistant", "{"))


@pytest.mark.parametrize(
    ("body", "system", "turns"),
    [
        ({"messages": said(("system", "Be brief."), ("user", "Hi"))}, "Be brief.", ("Hi",)),
        (
            {"system": [{"type": "text", "text": "Be brief."}], "messages": said(("user", HI))},
            "Be brief.",
            ("Hi",),
        ),
        ({"instructions": "Be brief.", "input": "Hi"}, "Be brief.", ("Hi",)),
        ({"input": said(("developer", "Be brief."), ("user", HI))}, "Be brief.", ("Hi",)),
        ({"prompt": ["One", "Two"]}, "", ("One", "Two")),
        ({"messages": TALK}, "", ("Hi", "Hello", "More")),
        ({"messages": said(("user", PICTURE))}, "", ("What is it?",)),
    ],
)
def test_dialects(body: dict[str, Any], system: str, turns: tuple[str, ...]) -> None:
    found = request_of(content(body))
    assert found is not None
    assert (found.system, found.turns) == (system, turns)


def test_parameters_become_meter_facts() -> None:
    body = {
        "messages": [{"role": "user", "content": "Hi"}],
        "n": 3,
        "max_completion_tokens": 90,
        "temperature": 1,
        "logprobs": True,
        "metadata": {"user_id": "u7"},
    }
    found = request_of(content(body))
    assert found is not None
    meter = found.meter
    assert meter is not None
    assert (meter.n, meter.max_tokens, meter.temperature, meter.logprobs) == (3, 90, 1.0, True)
    assert (meter.end_user, meter.key, meter.model) == ("u7", "key_1", "m")
    assert meter.second_of_day == 12 * 3600 + 61


def test_a_cut_request_keeps_its_system_prompt_and_its_last_question() -> None:
    messages = [
        {"role": "system", "content": 'Be "brief".'},
        {"role": "user", "content": "long " * 500},
        {"role": "assistant", "content": "ok"},
        {"role": "user", "content": "Which one?\n\u00fcber"},
    ]
    found = request_of(content({"messages": messages}, cut=200))
    assert found is not None
    assert found.system == 'Be "brief".'
    assert found.turns[-1] == "Which one?\n\u00fcber"
    assert len(found.turns) == 3


def test_one_long_question_keeps_both_of_its_ends() -> None:
    asked = "Translate this: " + "word " * 800 + "Answer in German."
    found = request_of(content({"messages": [{"role": "user", "content": asked}]}, cut=300))
    assert found is not None
    assert found.turns[-1].startswith("Translate this: word")
    assert found.turns[-1].endswith("Answer in German.")


def test_what_holds_no_text_gives_none() -> None:
    assert request_of(content({"input": [{"type": "audio"}]})) is None
    assert request_of(content({"messages": 7})) is None


@pytest.mark.parametrize("name", ["temperature", "n", "max_tokens"])
def test_a_number_that_nothing_can_hold_stops_no_watcher(name: str) -> None:
    found = request_of(content({"messages": said(("user", "Hi")), name: 10**400}))
    assert found is not None
    assert found.turns == ("Hi",)


@pytest.mark.parametrize("end", range(0, 120, 7))
def test_answers_are_read_wherever_they_are_cut(end: int) -> None:
    stream = b'data: {"choices":[{"delta":{"content":"Hell\\u00f6"}}]}\n\n'
    stream += b'data: {"choices":[{"delta":{"content":" you"}}]}\n\n'
    found = answer_of(content({}, answer=stream[:end]))
    assert "Hell\u00f6  you".startswith(found)


def test_plain_answers_are_read() -> None:
    plain = json.dumps({"choices": [{"message": {"role": "assistant", "content": "Yes, sir."}}]})
    assert answer_of(content({}, answer=plain.encode())) == "Yes, sir."
