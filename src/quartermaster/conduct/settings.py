"""What an operator may set about the daily analysis (`[conduct]` in the settings file)."""

import msgspec

from quartermaster.kernel.errors import ConfigError


class ConductSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How rarely an ordinary customer may be alarmed on."""

    alpha: float = 0.01
    """The chance of ever alarming on an ordinary customer: one in a hundred, whatever the days."""
    link_p: float = 0.001
    """Share of unrelated pairs of customers for which as much speaks as for linked ones."""

    def __post_init__(self) -> None:
        for name in ("alpha", "link_p"):
            if not 0 < getattr(self, name) < 1:
                raise ConfigError(
                    f"conduct.{name} is between 0 and 1",
                    hint="such as 0.01",
                    field=f"conduct.{name}",
                )
