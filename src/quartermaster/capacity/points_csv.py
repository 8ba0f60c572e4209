"""Read measured points from a CSV, as an engine's benchmark writes them."""

import msgspec

from quartermaster.capacity.csv_lines import records, refuse
from quartermaster.capacity.fleet import Point, said_of

REQUIRED = (
    *("model", "gpu", "tensor_parallel", "prompt_tokens", "batch"),
    *("prefill_ms", "decode_ms"),
)


def read_points(data: bytes, name: str) -> tuple[Point, ...]:
    """Every point of the file.

    Raises:
        DataError: names the file and each bad line with its field; nothing is half-read.
    """
    found: list[Point] = []
    bad: list[str] = []
    for line, fields in records(data, name, REQUIRED, ("output_tokens", "prefill_batch")):
        filled = {column: text for column, text in fields.items() if text}
        try:
            found.append(msgspec.convert(filled, Point, strict=False))
        except msgspec.ValidationError as error:
            bad.append(f"line {line}: {said_of(error)}")
    refuse(bad, name)
    return tuple(found)
