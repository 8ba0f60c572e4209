"""What every fact of the journal has in common."""

import msgspec


class Fact(msgspec.Struct, frozen=True, tag_field="fact", kw_only=True):
    """Base of everything the journal may hold."""

    v: int = 1
