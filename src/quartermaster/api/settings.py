"""What an operator may set for the JSON API (`[api]` in the settings file)."""

import msgspec


class ApiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of the API, which the console's process serves under `/api/v1`."""

    enabled: bool = True
    """Whether it answers at all. Without a token it answers nobody."""
