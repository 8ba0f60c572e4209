"""Multipart uploads: read the model's name, put the upstream's in its place, keep every other byte.

A form has no JSON: the file that it carries may be megabytes, so nothing of it is decoded or built
again. The boundary is read from the first line, where every client puts it, so that no header can
name another one than the body has.

Source: RFC 7578; the OpenAI API reference, `/v1/audio/transcriptions`, `/v1/images/edits`.
"""

import re
from typing import Final

import msgspec

from quartermaster.gateway.refusals import refused
from quartermaster.gateway.wire import ChatCall
from quartermaster.kernel.errors import RefusedError

# RFC 2046, 5.1.1: up to 70 of these; a space, which may not stand last, is used by nobody.
_FIRST_LINE: Final = re.compile(rb"--([0-9A-Za-z'()+_,\-./:=?]{1,70})\r\n")
# Strict, so that no other reader can see another field name: parameters are quoted, and a quote
# inside one is not escaped with a backslash (browsers and SDKs write %22).
_VALUE: Final = rb'"((?:[^"\\\r\n]|\\[^"\r\n])*)"'
_PARAMETER: Final = re.compile(rb"[ \t]*;[ \t]*([A-Za-z*-]+)=" + _VALUE)
_DISPOSITION: Final = re.compile(
    rb"[ \t]*form-data((?:[ \t]*;[ \t]*[A-Za-z*-]+=" + _VALUE + rb")+)[ \t]*", re.IGNORECASE
)
# What fields are called (`image[]`); a name that another reader could decode is refused.
_FIELD: Final = re.compile(rb"[A-Za-z0-9_.\-]+(?:\[[A-Za-z0-9_.\-]*\])*")
# Some readers end a header's line at a bare line feed, and would see other headers than we do.
_PLAIN_LINE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
# Clients send a dozen fields; each costs a search, so a form of thousands is an attack.
PARTS_MAX: Final = 64
# A part's head is one or two short lines.
PART_HEAD_BYTES_MAX: Final = 4_096
# Blanks before a JSON object; nobody writes any.
BLANKS_MAX: Final = 64
# Names are under 100 characters; a longer field is not one.
MODEL_BYTES_MAX: Final = 512


class FormCall(ChatCall, gc=False):
    """A multipart request: the whole body, and where in it the model's name stands."""

    form: bytes = b""
    boundary: bytes = b""
    start: int = 0
    end: int = 0

    @property
    def content_type(self) -> str:
        """The header that the upstream needs."""
        return f'multipart/form-data; boundary="{self.boundary.decode("ascii")}"'


def is_json(body: bytes) -> bool:
    """Whether a body that may be a form is JSON: a form begins with two hyphens."""
    return body[:BLANKS_MAX].lstrip()[:1] == b"{"


def read_form(body: bytes, model: str = "") -> FormCall:
    """What routing and metering need of a form.

    Args:
        body: the whole form.
        model: the model's name where the address has it; the form may then leave it out.

    Raises:
        RefusedError: 400, no form, no model in it, two of them, or one that asks for a stream.
    """
    first = _FIRST_LINE.match(body)
    if first is None:
        raise _no_form()
    boundary = first[1]
    found: dict[bytes, tuple[int, int]] = {}
    start = first.end()
    separator = b"\r\n--" + boundary
    for _ in range(PARTS_MAX):
        end = body.find(separator, start)
        if end < 0:
            raise _no_form()
        name, at = _part(body, start, end)
        if name in (b"model", b"stream"):
            if name in found:
                raise refused("invalid_type", "A field stands twice.", param=name.decode())
            found[name] = (at, end)
        after = end + len(separator)
        if body[after : after + 2] == b"--":
            if body[after + 2 :].strip(b" \t\r\n"):
                raise _no_form()  # what one reader skips, another reads on
            return _call(body, boundary, found, model)
        if body[after : after + 2] != b"\r\n":
            raise _no_form()
        start = after + 2
    raise refused("unsupported_value", f"The form has more than {PARTS_MAX} fields.")


def _no_form() -> RefusedError:
    return refused(
        "unsupported_value", "The request body must be multipart/form-data that is complete."
    )


def _part(body: bytes, start: int, end: int) -> tuple[bytes, int]:
    """A part's field name and where its value begins."""
    at = body.find(b"\r\n\r\n", start, min(end, start + PART_HEAD_BYTES_MAX))
    if at < 0:
        raise _no_form()
    return _name(body[start:at]), at + 4


def _name(head: bytes) -> bytes:
    """The field name in a part's head; anything ambiguous is refused."""
    names: list[tuple[bytes, bytes]] = []
    for line in head.split(b"\r\n"):
        header, colon, value = line.partition(b":")
        if not colon or header.strip() != header or _PLAIN_LINE.fullmatch(line) is None:
            raise _no_form()
        if header.lower() != b"content-disposition":
            continue
        disposition = _DISPOSITION.fullmatch(value)
        if disposition is None:
            raise _no_form()
        names.extend(
            (parameter[1].lower(), parameter[2])
            for parameter in _PARAMETER.finditer(disposition[1])
            if parameter[1].lower().startswith(b"name")
        )
    if len(names) != 1 or names[0][0] != b"name" or _FIELD.fullmatch(names[0][1]) is None:
        raise _no_form()
    return names[0][1]


def _call(
    body: bytes, boundary: bytes, found: dict[bytes, tuple[int, int]], named: str
) -> FormCall:
    if b"stream" in found:
        at, stop = found[b"stream"]
        if body[at:stop].strip().lower() not in (b"", b"false", b"0"):
            raise refused("unsupported_value", "This operation is not streamed.", param="stream")
    size = len(body)
    if named and b"model" not in found:
        head = b'--%b\r\nContent-Disposition: form-data; name="model"\r\n\r\n' % boundary
        body = head + b"\r\n" + body
        found = {b"model": (len(head), len(head))}
    start, end = found.get(b"model", (0, 0))
    try:
        model = named or body[start : min(end, start + MODEL_BYTES_MAX)].decode()
    except UnicodeDecodeError as error:
        raise refused("invalid_type", "The model's name is not UTF-8.", param="model") from error
    if not model:
        raise refused(
            "missing_required_parameter", "Missing required parameter: 'model'.", param="model"
        )
    return FormCall(
        model, False, True, {}, size, form=body, boundary=boundary, start=start, end=end
    )


def upstream_form(call: FormCall, upstream_model: bytes) -> bytes:
    """The form with the upstream's own model name.

    Args:
        call: the request, as `read_form` gave it.
        upstream_model: the JSON string of the deployment's model name.

    Raises:
        RefusedError: 400, the upstream's name would end the form's field.
    """
    name = msgspec.json.decode(upstream_model, type=str).encode()
    if b"\r\n--" in name:
        raise refused("unsupported_value", "The model's name cannot stand in a form.")
    return b"".join((call.form[: call.start], name, call.form[call.end :]))
