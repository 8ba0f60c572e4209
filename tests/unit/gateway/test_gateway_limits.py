"""Limits of keys and groups: what passes, what is given back, and how a refusal reads."""

import msgspec
import pytest
from tests.unit.gateway.gateway_fakes import a_grant

from quartermaster.gateway.dialects.errors import Shape, refusal_body
from quartermaster.gateway.dialects.plan import read_call
from quartermaster.gateway.dialects.routes import Operation
from quartermaster.gateway.limits import CONCURRENT_WAIT_US, Limiter, Permit, Scoped, scoped
from quartermaster.gateway.rate_headers import (
    RateLimitedError,
    Reading,
    duration,
    rate_headers,
    retry_headers,
)
from quartermaster.gateway.token_estimate import (
    MEDIA_PART_TOKENS,
    OUTPUT_TOKENS_UNSTATED,
    estimate,
)
from quartermaster.kernel.clock import US_PER_S
from quartermaster.kernel.limit import Limits

MINUTE = 60 * US_PER_S


def key(**limits: int) -> Scoped:
    return Scoped("key", "key_1", Limits(**limits))


def group(**limits: int) -> Scoped:
    return Scoped("group", "grp_1", Limits(**limits))


def admit(limiter: Limiter, *limited: Scoped, tokens: int = 0, now: int = 0) -> Permit:
    return limiter.admit(limited, tokens, now)


def refused(limiter: Limiter, *limited: Scoped, tokens: int = 0, now: int = 0) -> RateLimitedError:
    with pytest.raises(RateLimitedError) as caught:
        limiter.admit(limited, tokens, now)
    return caught.value


def test_a_minute_s_requests_pass_at_once_and_come_back_one_by_one() -> None:
    limiter, limited = Limiter(1, 0), key(requests_per_minute=6)
    remaining = [
        reading.remaining
        for reading in (admit(limiter, limited).requests for _ in range(6))
        if reading is not None
    ]
    assert remaining == [5, 4, 3, 2, 1, 0]
    assert refused(limiter, limited).wait_us == 10 * US_PER_S
    assert refused(limiter, limited, now=4 * US_PER_S).wait_us == 6 * US_PER_S
    admit(limiter, limited, now=10 * US_PER_S)
    refused(limiter, limited, now=10 * US_PER_S)


def test_what_was_estimated_too_high_is_given_back() -> None:
    limiter, limited = Limiter(1, 0), key(tokens_per_minute=1_000)
    permit = admit(limiter, limited, tokens=900)
    assert refused(limiter, limited, tokens=200).kind == "tokens"
    permit.metered(100, 0)
    permit.metered(0, 0)  # once is enough
    tokens = admit(limiter, limited, tokens=200).tokens
    assert tokens == Reading(1_000, 700, 18 * US_PER_S)


def test_what_was_estimated_too_low_is_taken_afterwards() -> None:
    limiter, limited = Limiter(1, 0), key(tokens_per_minute=1_000)
    admit(limiter, limited, tokens=10).metered(1_510, 0)
    refusal = refused(limiter, limited, tokens=500)
    assert refusal.wait_us == MINUTE * 1_010 // 1_000
    assert refusal.tokens == Reading(1_000, 0, MINUTE * 1_510 // 1_000)
    admit(limiter, limited, tokens=500, now=refusal.wait_us)


def test_what_time_has_given_back_is_not_given_back_again() -> None:
    limiter, limited = Limiter(1, 0), key(tokens_per_minute=1_000)
    permit = admit(limiter, limited, tokens=1_000)
    admit(limiter, limited, tokens=900, now=MINUTE)
    permit.metered(0, MINUTE)
    refused(limiter, limited, tokens=200, now=MINUTE)


def test_an_absurd_count_locks_nobody_out_for_more_than_an_hour() -> None:
    limiter, limited = Limiter(1, 0), key(tokens_per_minute=10)
    admit(limiter, limited, tokens=1).metered(1_000_000_000, 0)
    assert refused(limiter, limited, tokens=10).wait_us == 60 * MINUTE
    admit(limiter, limited, tokens=10, now=60 * MINUTE)


def test_open_requests_count_until_they_end() -> None:
    limiter, limited = Limiter(1, 0), key(concurrent=2)
    first, _ = admit(limiter, limited), admit(limiter, limited)
    refusal = refused(limiter, limited)
    assert (refusal.wait_us, refusal.kind) == (CONCURRENT_WAIT_US, "requests")
    first.end()
    first.end()  # once is enough
    admit(limiter, limited)
    refused(limiter, limited)


def test_a_refusal_takes_nothing_from_anybody() -> None:
    limiter = Limiter(1, 0)
    own, shared = key(requests_per_minute=5, concurrent=5), group(tokens_per_minute=100)
    for _ in range(9):
        refused(limiter, own, shared, tokens=101)
    permit = admit(limiter, own, shared, tokens=100)
    assert (permit.requests, permit.tokens) == (
        Reading(5, 4, 12 * US_PER_S),
        Reading(100, 0, MINUTE),
    )


def test_keys_of_a_group_share_its_limit_and_see_the_tighter_one() -> None:
    limiter, shared = Limiter(1, 0), group(requests_per_minute=3)
    one = Scoped("key", "one", Limits(requests_per_minute=2))
    two = Scoped("key", "two", Limits(requests_per_minute=9))
    assert admit(limiter, one, shared).requests == Reading(2, 1, 30 * US_PER_S)
    assert admit(limiter, two, shared).requests == Reading(3, 1, 40 * US_PER_S)
    admit(limiter, one, shared)
    refusal = refused(limiter, one, shared)
    # The key would be back in 30 s, and so is the group in 20 s.
    assert (refusal.wait_us, "this API key" in refusal.message) == (30 * US_PER_S, True)
    assert "this account" in refused(limiter, two, shared).message


def test_a_request_larger_than_the_limit_is_not_to_be_tried_again() -> None:
    refusal = refused(Limiter(1, 0), key(tokens_per_minute=100), tokens=101)
    assert refusal.never
    assert retry_headers(refusal) == b"x-should-retry: false\r\n"
    assert refusal.message == (
        "Request too large for this API key on tokens per minute: limit 100, requested 101."
    )


def test_new_limits_hold_at_once_and_forgive_nothing() -> None:
    limiter = Limiter(1, 0)
    for _ in range(4):
        admit(limiter, key(requests_per_minute=4))
    refused(limiter, key(requests_per_minute=3))
    assert admit(limiter, key(requests_per_minute=6)).requests == Reading(6, 1, 50 * US_PER_S)
    admit(limiter, key(concurrent=9))
    limiter.keep([])
    refused(limiter, key(concurrent=5))  # they are open still, and are not forgotten


def test_who_has_no_limits_any_more_is_forgotten() -> None:
    limiter = Limiter(1, 0)
    admit(limiter, key(requests_per_minute=1)).end()
    limiter.keep([key(requests_per_minute=1)])
    refused(limiter, key(requests_per_minute=1))
    limiter.keep([])
    admit(limiter, key(requests_per_minute=1))


def test_workers_never_let_more_pass_together() -> None:
    limited = key(requests_per_minute=3, concurrent=9)
    passed, lost = 0, 0
    for number in range(4):
        limiter = Limiter(4, number)
        while True:
            try:
                reading = admit(limiter, limited).requests
                assert reading == Reading(3, 0, MINUTE)
            except RateLimitedError as refusal:
                lost += refusal.elsewhere
                break
            passed += 1
    # The fourth worker has no share, and sends its clients to another one.
    assert (passed, lost) == (3, 1)


def test_only_what_has_limits_is_looked_at() -> None:
    own, shared = Limits(concurrent=1), Limits(requests_per_minute=1)
    assert scoped(a_grant(), None) == ()
    assert scoped(a_grant(limits=own), shared, own) == (
        Scoped("key", "key_1", own),
        Scoped("project", "cus_1/default", own),
        Scoped("group", "grp_1", shared),
    )


def test_a_project_is_told_apart_from_a_key_and_from_the_account() -> None:
    limits = Limits(requests_per_minute=1)
    limiter, project = Limiter(1, 0), Scoped("project", "cus_1/prj_1", limits)
    admit(limiter, project)
    assert "for this project on requests per minute" in str(refused(limiter, project))
    admit(limiter, Scoped("project", "cus_2/prj_1", limits))


# -- as SDKs read it ---------------------------------------------------------------------------


def lines(headers: bytes) -> dict[str, str]:
    pairs = [line.partition(": ") for line in headers.decode().split("\r\n") if line]
    return {name: value for name, _, value in pairs}


def test_headers_as_openai_names_them() -> None:
    given = rate_headers("openai", Reading(60, 59, 1_000_000), Reading(150_000, 7, 361_000_001), 0)
    assert lines(given) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "7",
        "x-ratelimit-reset-tokens": "6m1.001s",
    }
    assert rate_headers("openai", None, None, 0) == b""


def test_azure_counts_in_seconds() -> None:
    given = lines(rate_headers("azure", None, Reading(10, 0, 1_000_001), 0))
    assert given["x-ratelimit-reset-tokens"] == "2"
    assert "x-ratelimit-limit-requests" not in given


def test_headers_as_anthropic_names_them() -> None:
    given = rate_headers("anthropic", Reading(50, 49, 1_200_000), None, 1_700_000_000_000_000)
    assert lines(given) == {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2023-11-14T22:13:22Z",
    }


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, b"0s"),
        (1, b"1ms"),
        (12_000, b"12ms"),
        (999_001, b"1s"),
        (7_660_000, b"7.66s"),
        (59_999_999, b"1m0s"),
        (360_000_000, b"6m0s"),
        (3_630_500_000, b"1h0m30.5s"),
    ],
)
def test_times_as_openai_writes_them(us: int, text: bytes) -> None:
    assert duration(us) == text


def test_when_to_come_back_is_never_too_early() -> None:
    refusal = RateLimitedError("", kind="requests", wait_us=1_000_001, hint="")
    assert lines(retry_headers(refusal)) == {"retry-after": "2", "retry-after-ms": "1001"}
    soon = RateLimitedError("", kind="requests", wait_us=1, hint="")
    assert lines(retry_headers(soon)) == {"retry-after": "1", "retry-after-ms": "1"}


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("openai", {"type": "tokens", "param": None, "code": "rate_limit_exceeded"}),
        ("azure", {"type": "tokens", "param": None, "code": "429"}),
        ("anthropic", {"type": "rate_limit_error"}),
    ],
)
def test_a_refusal_in_every_dialect(shape: Shape, expected: dict[str, object]) -> None:
    limiter, limited = Limiter(1, 0), key(tokens_per_minute=100)
    admit(limiter, limited, tokens=100)
    refusal = refused(limiter, limited, tokens=10)
    assert refusal.http_status == 429
    error = msgspec.json.decode(refusal_body(shape, refusal))["error"]
    assert error.pop("message") == (
        "Rate limit reached for this API key on tokens per minute: limit 100, requested 10."
        " Please try again in 6s."
    )
    assert error == expected


# -- the estimate ------------------------------------------------------------------------------

WORDS = {"model": "m", "messages": [{"role": "user", "content": "Say a sentence."}]}
IMAGE = "iVBORw0KGgo" * 10_000


def estimated(fields: dict[str, object], operation: Operation = "chat.completions") -> int:
    body = msgspec.json.encode(fields)
    return estimate(read_call(operation, body), body, answers=operation != "embeddings")


@pytest.mark.parametrize(
    ("operation", "fields", "output"),
    [
        ("chat.completions", {**WORDS}, OUTPUT_TOKENS_UNSTATED),
        ("chat.completions", {**WORDS, "max_tokens": 7}, 7),
        ("chat.completions", {**WORDS, "max_completion_tokens": 9, "max_tokens": 7}, 9),
        ("chat.completions", {**WORDS, "max_tokens": 7, "n": 3}, 21),
        ("chat.completions", {**WORDS, "max_tokens": "many", "n": -1}, OUTPUT_TOKENS_UNSTATED),
        ("completions", {"model": "m", "prompt": "p", "max_tokens": 5, "best_of": 4, "n": 2}, 20),
        ("responses", {"model": "m", "input": "i", "max_output_tokens": 11}, 11),
        ("messages", {**WORDS, "max_tokens": 12}, 12),
        ("embeddings", {"model": "m", "input": "text"}, 0),
    ],
)
def test_the_estimate_is_a_quarter_of_the_bytes_and_the_most_output(
    operation: Operation, fields: dict[str, object], output: int
) -> None:
    assert estimated(fields, operation) == -(-len(msgspec.json.encode(fields)) // 4) + output


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}},
        {"type": "input_audio", "input_audio": {"data": IMAGE, "format": "wav"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}},
    ],
)
def test_an_image_is_not_its_bytes(part: dict[str, object]) -> None:
    message = {"role": "user", "content": [part, {"type": "text", "text": "What is it?"}]}
    tokens = estimated({"model": "m", "messages": [message], "max_tokens": 1})
    assert MEDIA_PART_TOKENS < tokens < MEDIA_PART_TOKENS + 100


def test_long_words_of_any_script_are_text() -> None:
    for text in ("word " * 4_000, "词" * 4_000, "слово, " * 4_000):
        message = {"role": "user", "content": text}
        assert estimated({"model": "m", "messages": [message]}) > len(text.encode()) // 4


def test_an_upload_is_one_part() -> None:
    body = (
        b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n'
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        + b"\x00" * 100_000
        + b"\r\n--b--\r\n"
    )
    assert estimate(read_call("audio.transcriptions", body), body) == MEDIA_PART_TOKENS
