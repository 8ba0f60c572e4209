"""TOML from outside: whatever the bytes are, a tree or an error that names the document."""

import tomllib
from typing import Any

from quartermaster.kernel.errors import DataError


def parse_toml(data: bytes, name: str) -> dict[str, Any]:
    """The tree in a document of UTF-8, with or without a byte-order mark.

    Args:
        data: the document.
        name: how messages call it, such as its file name.

    Raises:
        DataError: not UTF-8, not TOML, nested too deep, or a number that no machine should read.
    """
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{name}, line {line}: not UTF-8 text", hint="save the file as UTF-8"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{name}: not TOML: {error}", hint="mend the line it names") from error
    except (RecursionError, ValueError) as error:
        raise DataError(
            f"{name}: not readable as TOML: nested too deep, or a number of too many digits",
            hint="is it the right file?",
        ) from error
