"""Lists in pages: bounded, in a fixed order, each page naming where the next one begins."""

from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

import msgspec

from quartermaster.kernel.errors import UsageError

PAGE_MAX = 500
"""Half a megabyte of contracts; a program asks for the next page."""
PAGE = 100
CURSOR_CHARS_MAX = 200
"""The longest id is 64 characters."""

T = TypeVar("T")
Limit = Annotated[int, msgspec.Meta(ge=1, le=PAGE_MAX, description="Items in a page.")]
Cursor = Annotated[
    str,
    msgspec.Meta(
        max_length=CURSOR_CHARS_MAX, description="Where the page begins: `next` of the one before."
    ),
]


class Paged(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which page of a list."""

    limit: Limit = PAGE
    after: Cursor = ""


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page of a list; `next` is null on the last one."""

    items: tuple[T, ...]
    next: str | None


def page(items: Sequence[T], asked: Paged, name: Callable[[T], str]) -> Page[T]:
    """The items after the cursor.

    Args:
        items: all of them, in a fixed order.
        asked: the query.
        name: what is unique to an item; the last one's is the cursor of the next page.

    Raises:
        UsageError: the cursor is none of these items.
    """
    begin = 0
    if asked.after:
        names = [name(item) for item in items]
        if asked.after not in names:
            raise UsageError("after is no cursor of this list", field="after")
        begin = names.index(asked.after) + 1
    shown = tuple(items[begin : begin + asked.limit])
    more = begin + len(shown) < len(items)
    return Page(shown, name(shown[-1]) if more else None)
