"""Request bodies: bounded while they are read, and of a media type that was asked for."""

import msgspec
from starlette.requests import ClientDisconnect, Request

from quartermaster.api.operation import Body, Upload
from quartermaster.api.query import shape_error
from quartermaster.kernel.errors import DataError, RefusedError

CONTENT_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE = 413, 415
JSON = "application/json"


async def read(request: Request, body: Body | None) -> bytes:
    """The body's bytes; what is longer than the operation takes is not read to its end.

    Raises:
        RefusedError: too large, or of another media type.
    """
    limit = 0 if body is None else body.bytes_max
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > limit:
        raise _too_large(limit)
    if body is not None and _media_type(request) not in body.media_types:
        raise RefusedError(
            f"this takes {' or '.join(body.media_types)}",
            code="unsupported_media_type",
            http_status=UNSUPPORTED_MEDIA_TYPE,
            hint="name it in the header Content-Type",
            field="Content-Type",
        )
    taken = bytearray()
    try:
        async for chunk in request.stream():
            taken += chunk
            if len(taken) > limit:
                raise _too_large(limit)
    except ClientDisconnect as error:
        raise DataError("the request ended before its body did") from error
    return bytes(taken)


def decode(request: Request, body: Body | None, data: bytes) -> msgspec.Struct | Upload | None:
    """The body as the operation wants it.

    Raises:
        DataError: not JSON.
        UsageError: JSON of another shape; names the field.
    """
    if body is None:
        return None
    if body.kind is None:
        return Upload(_media_type(request), data)
    try:
        decoded = msgspec.json.decode(data, type=body.kind)
    except msgspec.ValidationError as error:
        raise shape_error(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"the body is not JSON: {error}") from error
    assert isinstance(decoded, msgspec.Struct)
    return decoded


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _too_large(limit: int) -> RefusedError:
    return RefusedError(
        f"the body is larger than the {limit} bytes that this takes",
        code="too_large",
        http_status=CONTENT_TOO_LARGE,
        hint="larger files: the command line has no such limit",
    )
