"""The chat completion dialect."""

import json
from typing import Any

import pytest
from tests.unit.gateway.gateway_fakes import HELLO

from quartermaster.gateway.wire import (
    finish_reason,
    has_error_shape,
    message_bytes,
    read_answer,
    read_call,
    upstream_body,
)
from quartermaster.kernel.errors import RefusedError


def call_of(**fields: Any) -> bytes:
    return json.dumps({**HELLO, **fields}).encode()


def sent(body: bytes) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(upstream_body(read_call(body), b'"theirs"'))
    return content


def test_what_the_gateway_reads() -> None:
    call = read_call(call_of(stream=True, stream_options={"include_usage": True}))
    assert (call.model, call.stream, call.asks_usage) == ("toy", True, True)
    call = read_call(call_of(stream=None))
    assert (call.model, call.stream, call.asks_usage) == ("toy", False, False)
    assert call.input_bytes == len(call_of(stream=None))


def test_unknown_fields_pass_through_byte_for_byte() -> None:
    odd = b'{"model":"toy","messages":[ {"role" : "user", "content":"\\u00e9 \xc3\xa9"} ],"x":1.50}'
    assert upstream_body(read_call(odd), b'"theirs"') == odd.replace(b'"toy"', b'"theirs"')


def test_usage_is_asked_for_in_every_stream() -> None:
    assert sent(call_of(stream=True))["stream_options"] == {"include_usage": True}
    options = {"include_usage": False, "include_obfuscation": False}
    asked = sent(call_of(stream=True, stream_options=options))["stream_options"]
    assert asked == {"include_usage": True, "include_obfuscation": False}
    assert sent(call_of(stream=True, stream_options=None))["stream_options"] == {
        "include_usage": True
    }
    assert "stream_options" not in sent(call_of())


def test_a_repeated_key_cannot_smuggle_a_model() -> None:
    body = b'{"model":"cheap","messages":[1],"\\u006dodel":"toy"}'
    assert read_call(body).model == "toy"
    assert upstream_body(read_call(body), b'"theirs"').count(b"odel") == 1


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"{", "invalid_json", None),
        (b"[]", "invalid_json", None),
        (b'"model"', "invalid_json", None),
        (b'{"model":"toy","messages":[1,]}', "invalid_json", None),
        (b'{"model":"toy","messages":["\xff"]}', "invalid_json", None),
        (b'{"messages":' + b"[" * 100_000, "invalid_json", None),
        (b'{"messages":[1]}', "missing_required_parameter", "model"),
        (b'{"model":"","messages":[1]}', "missing_required_parameter", "model"),
        (b'{"model":"toy"}', "missing_required_parameter", "messages"),
        (b'{"model":3,"messages":[1]}', "invalid_type", "model"),
        (b'{"model":"toy","messages":[]}', "invalid_type", "messages"),
        (b'{"model":"toy","messages":[ \n ]}', "invalid_type", "messages"),
        (b'{"model":"toy","messages":{}}', "invalid_type", "messages"),
        (b'{"model":"toy","messages":[1],"stream":"yes"}', "invalid_type", "stream"),
        (
            b'{"model":"toy","messages":[1],"service_tier":"priority"}',
            "unsupported_value",
            "service_tier",
        ),
        (
            b'{"model":"toy","messages":[1],"stream":true,"stream_options":[]}',
            "invalid_type",
            "stream_options",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(body: bytes, code: str, param: str | None) -> None:
    with pytest.raises(RefusedError) as caught:
        read_call(body)
    assert (caught.value.code, caught.value.field, caught.value.http_status) == (code, param, 400)


def test_what_the_meter_reads_of_an_answer() -> None:
    answer = read_answer(
        b'{"id":"c","choices":[{"message":{"a":1},"finish_reason":null},'
        b'{"message":{},"finish_reason":"length"}],"usage":{"prompt_tokens":1}}'
    )
    assert answer is not None
    assert answer.id == "c"
    assert bytes(answer.usage) == b'{"prompt_tokens":1}'
    assert finish_reason(answer) == "length"
    assert message_bytes(answer) == len(b'{"a":1}{}')


@pytest.mark.parametrize("tier", [b"null", b'"auto"', b'"default"'])
def test_the_standard_tier_may_be_named(tier: bytes) -> None:
    body = b'{"model":"toy","messages":[1],"service_tier":%b}' % tier
    assert bytes(read_call(body).fields["service_tier"]) == tier


@pytest.mark.parametrize("body", [b"", b"[]", b"oops", b'"text"'])
def test_what_is_no_object_is_no_answer(body: bytes) -> None:
    assert read_answer(body) is None


@pytest.mark.parametrize(
    ("body", "size"),
    [
        (b"{}", 0),
        (b'{"choices":null}', 0),
        (b'{"id":7,"choices":[]}', 0),
        (b'{"choices":333}', 3),
        (b'{"id":7,"choices":[{"text":"x"}]}', 14),
    ],
)
def test_an_odd_answer_is_measured_by_its_choices(body: bytes, size: int) -> None:
    answer = read_answer(body)
    assert answer is not None
    assert (finish_reason(answer), message_bytes(answer)) == ("", size)


@pytest.mark.parametrize(
    ("body", "shaped"),
    [
        (b'{"error":{"message":"m"}}', True),
        (b'{"error":"m"}', False),
        (b'{"detail":"m"}', False),
        (b"<html>", False),
    ],
)
def test_error_shapes(body: bytes, shaped: bool) -> None:
    assert has_error_shape(body) is shaped
