"""Multipart uploads: only the model's name changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.gateway.dialect_cases import IDENTITY

from quartermaster.gateway.dialects.form import PARTS_MAX, read_form, upstream_form
from quartermaster.gateway.dialects.plan import plan, read_call
from quartermaster.kernel.errors import RefusedError


def field(name: str, value: bytes, extra: str = "") -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"{extra}\r\n\r\n'
    return b"--abc\r\n" + head.encode() + value + b"\r\n"


FILE = field("file", b"\x00\xff--ab\r\n\r\nmodel", '; filename="a.mp3"\r\nContent-Type: audio/mpeg')
END = b"--abc--\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + END


def test_only_the_model_changes() -> None:
    body = form(FILE, field("model", b"toy"), field("language", b"de"))
    call = read_call("audio.transcriptions", body)
    assert (call.model, call.stream, call.input_bytes) == ("toy", False, len(body))
    made = plan("audio.transcriptions", call, "openai", b'"theirs-2"', IDENTITY)
    assert made.body == form(FILE, field("model", b"theirs-2"), field("language", b"de"))
    assert made.content_type == 'multipart/form-data; boundary="abc"'


def test_a_file_name_is_no_field_name() -> None:
    body = form(field("file", b"x", '; filename="model"'), field("model", b"toy"))
    assert read_form(body).model == "toy"


def test_a_name_from_the_address_counts_and_may_be_missing_from_the_form() -> None:
    for body in (form(FILE), form(field("model", b"other"), FILE)):
        call = read_call("audio.transcriptions", body, "toy")
        assert (call.model, call.input_bytes) == ("toy", len(body))
        made = plan("audio.transcriptions", call, "azure", b'"theirs"', IDENTITY)
        assert made.body == form(field("model", b"theirs"), FILE)


@pytest.mark.parametrize(
    "disposition",
    [
        'form-data; filename="a; name="; name="model"',
        'form-data; filename="a\\"; name="model"',
        'form-data; name="file"; name="model"',
        "form-data; name=\"file\"; name*=UTF-8''model",
        'form-data; name="file"; NAME="model"',
        "form-data; name=model",
        'form-data; name="file"\r\nContent-Disposition: form-data; name="model"',
        'form-data; name="file";\r\n name="model"',
        "form-data",
    ],
)
def test_a_name_that_another_reader_could_see_otherwise_is_refused(disposition: str) -> None:
    part = f"--abc\r\nContent-Disposition: {disposition}\r\n\r\ndear\r\n".encode()
    with pytest.raises(RefusedError):
        read_form(form(part, field("model", b"cheap")))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"--abc\r\n",
        form(FILE)[:-6],
        form(FILE),
        form(field("model", b"")),
        form(field("model", b"\xff")),
        form(field("model", b"cheap"), field("model", b"toy")),
        form(field("model", b"toy"), field("stream", b"true")),
        form(*[field("a", b"")] * PARTS_MAX, field("model", b"toy")),
        b"--abc\r\n" + b"x" * 9_000 + b"\r\n" + END,
        b"--" + b"a" * 80 + b"\r\n",
    ],
)
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedError) as caught:
        read_form(body)
    assert caught.value.http_status == 400


def test_an_upstream_name_cannot_end_the_field() -> None:
    with pytest.raises(RefusedError):
        upstream_form(read_form(form(field("model", b"toy"))), b'"a\\r\\n--abc"')


@given(st.binary(max_size=80), st.binary(max_size=20))
def test_any_bytes_are_read_or_refused(junk: bytes, value: bytes) -> None:
    for body in (junk, form(field("model", value), field("file", junk))):
        try:
            call = read_form(body)
        except RefusedError as refusal:
            assert refusal.http_status == 400  # noqa: PT017
            continue
        assert upstream_form(call, b'"x"').startswith(b"--")
