"""A query string as a struct: every name known, every value of its type, nothing said twice."""

import math
from functools import cache
from typing import get_origin, get_type_hints

import msgspec
from starlette.datastructures import QueryParams

from quartermaster.kernel.errors import UsageError

VALUES_MAX = 200
"""A hazard for each of a hundred customers, and room; a longer list belongs into a file."""


@cache
def _lists(kind: type[msgspec.Struct]) -> frozenset[str]:
    """Fields that may be given several times."""
    hints = get_type_hints(kind)
    return frozenset(name for name, hint in hints.items() if get_origin(hint) is tuple)


def parse(
    params: QueryParams, kind: type[msgspec.Struct] | None, without: frozenset[str] = frozenset()
) -> msgspec.Struct | None:
    """The query of an operation, which has no word for the fields `without`.

    Raises:
        UsageError: names the parameter that is unknown, repeated or not what it should be.
    """
    items = params.multi_items()
    if len(items) > VALUES_MAX:
        raise UsageError(f"the query has more than {VALUES_MAX} values")
    every = () if kind is None else kind.__struct_fields__
    fields = tuple(name for name in every if name not in without)
    values: dict[str, str | list[str]] = {}
    for name, value in items:
        if name not in fields:
            known = f"known are {', '.join(fields)}" if fields else "this takes none"
            raise UsageError(f"unknown parameter {name!r}", hint=known, field=name)
        assert kind is not None, "a struct without fields knows no name"
        if name in _lists(kind):
            listed = values.setdefault(name, [])
            assert isinstance(listed, list)
            listed.append(value)
        elif name in values:
            raise UsageError(f"{name} is given twice", field=name)
        else:
            values[name] = value
    if kind is None:
        return None
    try:
        found = msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        found_in = shape_error(error)
        field = None if found_in.field is None else found_in.field.partition("[")[0]
        raise UsageError(found_in.message, field=field) from error
    for name, value in msgspec.structs.asdict(found).items():
        # Not a number compares false with every bound.
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{name} is not a number", field=name)
    return found


def shape_error(error: msgspec.ValidationError) -> UsageError:
    """What does not fit, with its place in the request as the field."""
    message, _, path = str(error).partition(" - at `$")
    field = path.removesuffix("`").lstrip(".") or None
    return UsageError(f"{field or 'the request'}: {message}", field=field)
