"""What an operator may set about decisions (`[standing]` in the settings file)."""

from decimal import Decimal

import msgspec

from quartermaster.kernel.errors import ConfigError

SIGN_OFF_SHARE = "0.10"
"""Accounting standards ask to name a customer from a tenth of revenue (ASC 280-10-50-42): whom the
annual report would name is not suspended by one person."""


class StandingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a change of standing needs a second person."""

    sign_off_share: str = SIGN_OFF_SHARE
    """Above this share of revenue, as a decimal from 0 to 1; at 1 one person is always enough."""

    def __post_init__(self) -> None:
        try:
            usable = Decimal(0) <= Decimal(self.sign_off_share) <= Decimal(1)
        except ArithmeticError:
            usable = False
        if not usable:
            raise ConfigError(
                f"standing.sign_off_share = {self.sign_off_share!r} is no share",
                hint='write it as a decimal from 0 to 1, such as "0.10"',
                field="standing.sign_off_share",
            )

    @property
    def share(self) -> Decimal:
        """The share as a number."""
        return Decimal(self.sign_off_share)
