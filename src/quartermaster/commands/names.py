"""Ids that people choose: short, safe in URLs and file names, and never reused."""

import re

from quartermaster.kernel.errors import UsageError

# Ids stand in URLs, file names and terminal tables.
ID_CHARS_MAX = 64
# The longest registered company names are near 160 characters.
NAME_CHARS_MAX = 200
_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{ID_CHARS_MAX - 1}}}")


def require_id(text: str, field: str) -> None:
    """Check an id.

    Raises:
        UsageError: names the field.
    """
    if not _ID.fullmatch(text):
        shown = text if len(text) <= ID_CHARS_MAX else f"{text[:ID_CHARS_MAX]}..."
        raise UsageError(
            f"{field}: {shown!r} cannot be an id",
            field=field,
            hint=f"1-{ID_CHARS_MAX} letters, digits, points, hyphens and underscores",
        )


def require_name(text: str, field: str) -> str:
    """The name without surrounding spaces.

    Raises:
        UsageError: empty, too long, or with control characters.
    """
    name = text.strip()
    if not 0 < len(name) <= NAME_CHARS_MAX or not name.isprintable():
        raise UsageError(
            f"this {field} cannot be used",
            field=field,
            hint=f"1-{NAME_CHARS_MAX} printable characters",
        )
    return name
