"""What an operator may set about cases (`[cases]` in the settings file)."""

import msgspec

from quartermaster.kernel.errors import ConfigError

CODE_CHARS = 3
"""Of a currency in ISO 4217."""


class CaseSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Deadlines, who signs, what is assumed of costs. The assumptions are shown with each case."""

    answer_days: int = 14
    """For the customer's answer to a notice: two working weeks reach a legal department."""
    appeal_days: int = 30
    """From a measure on, for the customer's appeal: a month, as statutes commonly give."""
    appeal_decision_days: int = 10
    """For the other person's decision on an appeal."""
    proposal_days: int = 7
    """Until a proposed move that nobody signs is void."""
    review_hours: int = 24
    """Until a person must have looked at an automatic suspension; else it ends by itself."""
    automatic_suspend_minor_max: int = 0
    """Revenue a year, in minor units, up to which a suspension may be automatic; 0 is never."""
    automatic_suspend_currency: str = "USD"
    """Of that limit; who pays in another currency, or in several, is never suspended by itself."""
    credit_percent: int = 25
    """Of a day's mean revenue for each day suspended wrongly: what large clouds credit for a month
    below 99 % availability."""
    base_rate: float = 0.005
    """Harvesters among the operator's customers, before any evidence: 5 of 1,000."""
    churn_wrongful: float = 0.3
    """Probability that an innocent customer leaves for good after a suspension."""
    suspended_days: int = 14
    """How long a suspension is taken to last until an innocent customer is reinstated."""
    damage_multiple: float = 20.0
    """Damage for each unit of money that harvested answers were billed at. An assumption, no
    measurement: the rival saves the human work that the answers stand for."""

    def __post_init__(self) -> None:
        for name in ("base_rate", "churn_wrongful"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"cases.{name} is a share: 0 to 1", field=f"cases.{name}")
        for name in ("answer_days", "appeal_days", "appeal_decision_days", "proposal_days",
                     "review_hours", "suspended_days"):  # fmt: skip
            if getattr(self, name) < 1:
                raise ConfigError(f"cases.{name} is at least 1", field=f"cases.{name}")
        if not 0 <= self.credit_percent <= 100:
            raise ConfigError("cases.credit_percent is 0 to 100", field="cases.credit_percent")
        currency = self.automatic_suspend_currency
        if len(currency) != CODE_CHARS or not (currency.isascii() and currency.isupper()):
            raise ConfigError(
                f"{currency!r} is no currency code",
                hint="such as USD",
                field="cases.automatic_suspend_currency",
            )
        if self.automatic_suspend_minor_max < 0 or not self.damage_multiple >= 0:
            raise ConfigError("costs are not below zero", field="cases")
