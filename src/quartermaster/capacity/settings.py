"""What an operator may set about capacity (`[capacity]` in the settings file)."""

import msgspec


class CapacitySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the fleet is described."""

    file: str = ""
    """Path of a fleet document (see docs/reference/capacity-input.md); empty: none, and the console
    then shows a sample. It is read again when it changes."""
