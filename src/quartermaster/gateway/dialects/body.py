"""Reading JSON of strangers: whatever the bytes are, typed values or a refusal with its parameter.

Only what has to be understood is decoded; every other value stays the bytes that it was.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from quartermaster.gateway.refusals import refused
from quartermaster.kernel.errors import RefusedError

T = TypeVar("T")

Fields = dict[str, msgspec.Raw]

ABSENT: Final = msgspec.Raw(b"")
NULL: Final = msgspec.Raw(b"null")
TRUE: Final = msgspec.Raw(b"true")
FALSE: Final = msgspec.Raw(b"false")
# What says nothing: absent, null, an empty string, list or object.
EMPTY: Final = frozenset((b"", b"null", b'""', b"[]", b"{}"))
# What asks for nothing: absent, null or false.
OFF: Final = frozenset((b"", b"null", b"false"))

UNREADABLE: Final = (msgspec.DecodeError, ValueError, RecursionError)
"""Everything that msgspec raises for bytes it cannot take; ValueError covers bad UTF-8 and numbers
of thousands of digits."""

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_str = msgspec.json.Decoder(str).decode
_decode_flag = msgspec.json.Decoder(bool | None).decode
encode: Final = msgspec.json.Encoder().encode


def fields_of(body: bytes) -> Fields:
    """The top level of a request; of a key that is repeated, the last one counts.

    Raises:
        RefusedError: 400, no JSON object.
    """
    try:
        fields = _decode_fields(body)
        if not body.isascii():
            body.decode()
    except msgspec.ValidationError as error:
        raise refused("invalid_json", "The request body must be a JSON object.") from error
    except RecursionError as error:
        raise refused("invalid_json", "The request body is nested too deeply.") from error
    except UNREADABLE as error:
        raise refused("invalid_json", f"The request body is not valid JSON: {error}.") from error
    return fields


def read(decode: Callable[[msgspec.Raw], T], raw: msgspec.Raw, param: str) -> T:
    """Decode one value of a request.

    Args:
        decode: the decoder's method.
        raw: the value's bytes.
        param: where the value stands, for the refusal.

    Raises:
        RefusedError: 400 that names the place inside the value.
    """
    try:
        return decode(raw)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        place = param + path.removesuffix("`")
        raise refused(
            "invalid_type", f"Invalid type for '{place}': {reason}.", param=place
        ) from error
    except UNREADABLE as error:
        raise refused("invalid_json", f"'{param}' cannot be read: {error}.", param=param) from error


def required(fields: Fields, name: str) -> msgspec.Raw:
    """A field that must be there.

    Raises:
        RefusedError: 400 where it is absent or null.
    """
    raw = fields.get(name)
    if raw is None or bytes(raw) == b"null":
        raise refused(
            "missing_required_parameter", f"Missing required parameter: '{name}'.", param=name
        )
    return raw


def model_of(fields: Fields) -> str:
    """The model's name.

    Raises:
        RefusedError: 400 where it is absent, empty or no string.
    """
    model = read(_decode_str, required(fields, "model"), "model")
    if not model:
        raise refused(
            "missing_required_parameter", "Missing required parameter: 'model'.", param="model"
        )
    return model


def flag(fields: Fields, name: str) -> bool:
    """A boolean that defaults to false."""
    return bool(read(_decode_flag, fields.get(name, NULL), name))


def given(fields: Fields, name: str) -> msgspec.Raw | None:
    """A field that says something, or None where it is absent or null."""
    raw = fields.get(name)
    return None if raw is None or bytes(raw) == b"null" else raw


def unsupported(param: str, why: str, *, hint: str = "") -> RefusedError:
    """A 400 for something that exists elsewhere and is not served here."""
    return refused("unsupported_value", why, param=param, hint=hint)


def raw(value: object) -> msgspec.Raw:
    """A value of ours as JSON bytes."""
    return msgspec.Raw(encode(value))
