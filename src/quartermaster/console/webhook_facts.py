"""Where alerts go and how they fared there, as tables: an address is never shown whole."""

import msgspec

from quartermaster.book.views import View, Webhook
from quartermaster.commands.webhook import shortened
from quartermaster.commands.webhook_record import Record, Webhooks
from quartermaster.console.tables import Cell, Rows, iso
from quartermaster.kernel.clock import Instant

SCHEMA = "webhooks/1"

HOOK_COLUMNS: tuple[str, ...] = (
    *("webhook", "url", "group", "paused", "delivered", "waiting", "given_up"),
    *("last_at", "last_error"),
)
COLUMNS: dict[str, tuple[str, ...]] = {
    "webhooks": HOOK_COLUMNS,
    "deliveries": ("webhook", "message", "kind", "state", "attempt", "at", "next_try", "error"),
}


class Hook(msgspec.Struct, frozen=True):
    """Where alerts go, and what became of them."""

    webhook: Webhook
    record: Record


def all_hooks(view: View, sender: Webhooks) -> tuple[Hook, ...]:
    """Every address, in the order in which they were added."""
    return tuple(Hook(one, sender.record(one.added.webhook)) for one in view.webhooks.values())


def rows_of(hooks: tuple[Hook, ...]) -> dict[str, Rows]:
    """Both tables; of deliveries those that wait first, then the newest attempts."""
    return {
        "webhooks": [hook_row(one) for one in hooks],
        "deliveries": [row for one in hooks for row in _deliveries(one)],
    }


def as_json(hooks: tuple[Hook, ...], now: Instant) -> bytes:
    """Both tables in one object."""
    return msgspec.json.encode({"schema": SCHEMA, "at": iso(now), **rows_of(hooks)})


def hook_row(one: Hook) -> dict[str, Cell]:
    """One address as a row of `HOOK_COLUMNS`."""
    added, done = one.webhook.added, one.record.delivered
    return {
        "webhook": added.webhook,
        "url": shortened(added.url),
        "group": added.group,
        "paused": one.webhook.paused,
        "delivered": done.delivered,
        "waiting": len(one.record.waiting),
        "given_up": done.given_up,
        "last_at": iso(Instant(done.last_at)) if done.last_at else "",
        "last_error": done.error,
    }


def _deliveries(one: Hook) -> Rows:
    webhook = one.webhook.added.webhook
    waiting: Rows = [
        {
            "webhook": webhook,
            "message": alert.message,
            "kind": alert.kind,
            "state": "waiting",
            "attempt": alert.attempts,
            "at": "",
            "next_try": iso(Instant(alert.due)) if alert.due else "",
            "error": alert.error,
        }
        for alert in one.record.waiting
    ]
    ended: Rows = [
        {
            "webhook": webhook,
            "message": sent.message,
            "kind": sent.kind,
            "state": "refused" if sent.error else "taken",
            "attempt": sent.attempt,
            "at": iso(Instant(sent.at)),
            "next_try": "",
            "error": sent.error,
        }
        for sent in one.record.delivered.recent
    ]
    return [*waiting, *ended]
