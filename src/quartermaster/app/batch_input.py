"""Read the input of a batch: every line checked before the first one is sent.

Codes and sentences follow OpenAI's; a batch whose input has an error costs nothing.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec

from quartermaster.book.batch_states import LineError
from quartermaster.book.batches import Line
from quartermaster.book.sealed_files import SealedReader
from quartermaster.kernel.ids import new_id

ERRORS_MAX: Final = 100
"""Who made a hundred mistakes made one mistake a hundred times; the rest is not looked for."""
CUSTOM_ID_CHARS_MAX: Final = 512
"""Longer than any id; every one is held in memory until all lines are read."""
READ_BYTES: Final = 1_048_576
_NEWLINE: Final = b"\n"

ModelError = Callable[[str], LineError | None]
"""Why a model cannot be asked for in this batch, or None."""


class LineRead(msgspec.Struct, frozen=True):
    """One request of an input file."""

    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


class _Body(msgspec.Struct):
    model: str = ""
    stream: bool | None = None


class Input(NamedTuple):
    """A checked input: its lines, or what is wrong with it."""

    lines: list[Line]
    errors: tuple[LineError, ...]
    model: str
    """The one model that all lines ask for, or empty."""


_decode_line: Final = msgspec.json.Decoder(LineRead).decode
_decode_body: Final = msgspec.json.Decoder(_Body).decode


def check(
    reader: SealedReader,
    endpoint: str,
    *,
    lines_max: int,
    line_bytes_max: int,
    model_error: ModelError,
) -> Input:
    """Read a whole input file.

    Args:
        reader: of the sealed file.
        endpoint: what every line must ask for.
        lines_max: requests in one batch.
        line_bytes_max: of one line; the gateway takes no larger request.
        model_error: looks whether a model can be asked for.
    """
    lines: list[Line] = []
    errors: list[LineError] = []
    custom_ids: set[str] = set()
    models: dict[str, LineError | None] = {}
    for number, offset, data in raw_lines(reader, line_bytes_max):
        if not data.strip():
            continue
        if len(lines) >= lines_max:
            text = f"The batch has more than {lines_max} requests."
            errors.append(LineError("too_many_tasks", text, line=number))
            break
        problem, model = _checked(data, endpoint, line_bytes_max, custom_ids)
        if problem is None:
            if model not in models:
                models[model] = model_error(model)
            problem = models[model]
        if problem is not None:
            errors.append(msgspec.structs.replace(problem, line=number))
            if len(errors) >= ERRORS_MAX:
                break
        lines.append(Line(number, offset, len(data), new_id("req")))
    if not lines and not errors:
        errors.append(LineError("empty_file", "The file has no requests.", "input_file_id"))
    return Input(lines, tuple(errors), next(iter(models)) if len(models) == 1 else "")


def raw_lines(reader: SealedReader, line_bytes_max: int) -> Iterator[tuple[int, int, bytes]]:
    """Number, offset and bytes of each line; one that is too long comes cut to one byte more."""
    number, begin, length, held = 1, 0, 0, bytearray()
    for chunk in reader.chunks():
        parts = chunk.split(_NEWLINE)
        for at, part in enumerate(parts):
            length += len(part)
            # What is too long is counted, and not kept.
            held += part[: max(0, line_bytes_max + 1 - len(held))]
            if at == len(parts) - 1:
                break  # the line goes on in the next chunk
            yield number, begin, bytes(held)
            number, begin, length = number + 1, begin + length + len(_NEWLINE), 0
            held.clear()
    if held:
        yield number, begin, bytes(held)


def read_line(data: bytes) -> LineRead:
    """A line that was checked before."""
    return _decode_line(data)


def _checked(
    data: bytes, endpoint: str, bytes_max: int, custom_ids: set[str]
) -> tuple[LineError | None, str]:
    """What is wrong with a line, and the model that it asks for."""
    if len(data) > bytes_max:
        return LineError("line_too_long", f"The line is larger than {bytes_max} bytes."), ""
    try:
        line = _decode_line(data)
        body = _decode_body(line.body)
    except msgspec.ValidationError as error:
        return _shape(error), ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return LineError("invalid_json_line", "This line is not parseable as valid JSON."), ""
    return _problem(line, body, endpoint, custom_ids), body.model


def _problem(line: LineRead, body: _Body, endpoint: str, custom_ids: set[str]) -> LineError | None:
    if not 0 < len(line.custom_id) <= CUSTOM_ID_CHARS_MAX:
        text = f"custom_id has 1 to {CUSTOM_ID_CHARS_MAX} characters."
        return LineError("invalid_custom_id", text, "custom_id")
    if line.custom_id in custom_ids:
        text = f"The custom_id '{line.custom_id}' stands on another line, too."
        return LineError("duplicate_custom_id", text, "custom_id")
    custom_ids.add(line.custom_id)
    if line.method != "POST":
        return LineError("invalid_method", "The method must be POST.", "method")
    if line.url != endpoint:
        text = f"The URL must be the endpoint of the batch, {endpoint}."
        return LineError("invalid_url", text, "url")
    if not body.model:
        return LineError("missing_required_parameter", "The body names no model.", "body.model")
    if body.stream:
        text = "Answers in a batch are not streamed."
        return LineError("unsupported_value", text, "body.stream")
    return None


def _shape(error: msgspec.ValidationError) -> LineError:
    message, _, path = str(error).partition(" - at `$")
    if "missing required field" in message:
        field = message.rpartition("`")[0].rpartition("`")[2]
        text = f"Missing required parameter: '{field}'."
        return LineError("missing_required_parameter", text, field)
    return LineError("invalid_type", message, path.removesuffix("`").lstrip(".") or None)
