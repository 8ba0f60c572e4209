"""Facts about where alerts go. No secret is in them."""

from quartermaster.kernel.fact import Fact


class WebhookAdded(Fact, frozen=True, tag=True):
    """Alerts go to an address; the secret that signs them lies in the data folder, not here."""

    webhook: str
    url: str
    group: str = ""
    """Only alerts of this customer group and its keys; empty is all."""
    allow_private: bool = False
    """It may lie in a private network; without TLS as well."""


class WebhookPaused(Fact, frozen=True, tag=True):
    """Alerts do not go there for now, or go there again."""

    webhook: str
    paused: bool


class WebhookSecretTurned(Fact, frozen=True, tag=True):
    """Another secret signs what goes there; the one before signs beside it until then."""

    webhook: str
    overlap_ends_at: int
    """Microseconds UTC."""


class WebhookRemoved(Fact, frozen=True, tag=True):
    """Alerts do not go there any more."""

    webhook: str
