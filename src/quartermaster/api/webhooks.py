"""Webhooks: where alerts go, how they fared there, and the secrets that sign them."""

from datetime import datetime

import msgspec

from quartermaster.api.operation import STAFF, Body, Call, Operation
from quartermaster.api.paging import Page, Paged, page
from quartermaster.book.views import Webhook
from quartermaster.commands import webhook as webhooks
from quartermaster.commands.webhook import shortened
from quartermaster.kernel.clock import Instant, as_datetime
from quartermaster.kernel.webhook_facts import WebhookAdded

TAG = "webhooks"
_MAY_SET = frozenset({"admin"})


class WebhookShown(msgspec.Struct, frozen=True, kw_only=True):
    """Where alerts go, without the secret, and how that went."""

    webhook: str
    url: str
    """Without most of what follows its host, which may be a password, unless an admin asks."""
    group: str
    """Only alerts of this customer group, its projects and keys; empty is all."""
    allow_private: bool
    paused: bool
    added_at: datetime
    secret_since: datetime
    """When the newest secret was made."""
    delivered: int
    given_up: int
    waiting: int
    last_at: datetime | None
    last_error: str
    """Of the last attempt; empty where it was taken."""


class NewWebhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An address for alerts."""

    url: str
    """https; in a private network that is allowed also http."""
    group: str = ""
    allow_private: bool = False


class WebhookMade(msgspec.Struct, frozen=True):
    """A secret: it is shown here, once."""

    webhook: str
    url: str
    secret: str


class Pause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whether alerts go there."""

    paused: bool


class WebhookTested(msgspec.Struct, frozen=True):
    """What became of an alert that says nothing."""

    webhook: str
    url: str
    taken: bool
    refusal: str
    """Why not; empty where it was taken."""
    hint: str


class WebhookGone(msgspec.Struct, frozen=True):
    """Alerts do not go there any more."""

    webhook: str


class AlertDelivered(msgspec.Struct, frozen=True):
    """One attempt that came to an end."""

    message: str
    """The `webhook-id` that it was sent with."""
    kind: str
    at: datetime
    attempt: int
    error: str
    """Empty where it was taken."""


class AlertWaiting(msgspec.Struct, frozen=True):
    """An alert that is not delivered yet."""

    message: str
    kind: str
    attempts: int
    due: datetime
    error: str


class Deliveries(msgspec.Struct, frozen=True):
    """Alerts that wait for one address, the next one first, and its newest attempts."""

    webhook: str
    waiting: tuple[AlertWaiting, ...]
    recent: tuple[AlertDelivered, ...]
    """The latest first."""


def list_webhooks(call: Call) -> Page[WebhookShown]:
    """Every address, in the order in which they were added."""
    found = [_shown(call, one) for one in call.ports.book.view().webhooks.values()]
    return page(found, call.asked(Paged), lambda one: one.webhook)


def show_webhook(call: Call) -> WebhookShown:
    """One address."""
    return _shown(call, _asked(call))


def post_webhook(call: Call) -> WebhookMade:
    """Send alerts to an address."""
    new = call.given(NewWebhook)
    added = webhooks.add(
        call.ports.book,
        call.actor,
        new.url,
        call.ports.webhooks.secrets,
        call.now,
        group=new.group,
        allow_private=new.allow_private,
    )
    return WebhookMade(added.webhook, added.url, added.secret)


def post_rotation(call: Call) -> WebhookMade:
    """Sign with another secret."""
    turned = webhooks.rotate(
        call.ports.book, call.actor, call.path["webhook"], call.ports.webhooks.secrets, call.now
    )
    return WebhookMade(turned.webhook, turned.url, turned.secret)


def put_pause(call: Call) -> WebhookShown:
    """Pause an address, or send there again."""
    paused = call.given(Pause).paused
    found = webhooks.pause(
        call.ports.book, call.actor, call.path["webhook"], call.now, paused=paused
    )
    return _shown(call, found)


def post_test(call: Call) -> WebhookTested:
    """Send an alert that says nothing."""
    found = _asked(call).added
    tested = call.ports.webhooks.test(found, call.now)
    return WebhookTested(found.webhook, found.url, not tested.error, tested.error, tested.hint)


def list_deliveries(call: Call) -> Deliveries:
    """What became of alerts."""
    webhook = _asked(call).added.webhook
    record = call.ports.webhooks.record(webhook)
    return Deliveries(
        webhook,
        tuple(
            AlertWaiting(one.message, one.kind, one.attempts, _at(one.due), one.error)
            for one in record.waiting
        ),
        tuple(
            AlertDelivered(one.message, one.kind, _at(one.at), one.attempt, one.error)
            for one in record.delivered.recent
        ),
    )


def post_redelivery(call: Call) -> AlertWaiting:
    """Send one alert again."""
    webhook, message = _asked(call).added.webhook, call.path["message"]
    one = call.ports.webhooks.redeliver(webhook, message)
    return AlertWaiting(one.message, one.kind, one.attempts, _at(call.now), one.error)


def delete_webhook(call: Call) -> WebhookGone:
    """Send nothing there any more."""
    webhook = call.path["webhook"]
    webhooks.remove(call.ports.book, call.actor, webhook, call.ports.webhooks.secrets, call.now)
    return WebhookGone(webhook)


def _asked(call: Call) -> Webhook:
    return webhooks.webhook_of(call.ports.book.view(), call.path["webhook"])


def _shown(call: Call, one: Webhook) -> WebhookShown:
    added = one.added
    record = call.ports.webhooks.record(added.webhook)
    how = record.delivered
    return WebhookShown(
        webhook=added.webhook,
        url=_url(call, added),
        group=added.group,
        allow_private=added.allow_private,
        paused=one.paused,
        added_at=_at(one.added_at),
        secret_since=_at(one.added_at if one.turned_at is None else one.turned_at),
        delivered=how.delivered,
        given_up=how.given_up,
        waiting=len(record.waiting),
        last_at=_at(how.last_at) if how.last_at else None,
        last_error=how.error,
    )


def _url(call: Call, added: WebhookAdded) -> str:
    return added.url if _MAY_SET & set(call.actor.roles) else shortened(added.url)


def _at(instant: int) -> datetime:
    return as_datetime(Instant(instant))


_ONE = "/webhooks/{webhook}"

OPERATIONS = (
    Operation(
        method="GET",
        path="/webhooks",
        name="listWebhooks",
        summary="Where alerts go, and how that went.",
        tag=TAG,
        roles=STAFF,
        handler=list_webhooks,
        answer=Page[WebhookShown],
        query=Paged,
    ),
    Operation(
        method="POST",
        path="/webhooks",
        name="addWebhook",
        summary="Send alerts to an address; the secret that signs them is in this answer only.",
        tag=TAG,
        roles=_MAY_SET,
        handler=post_webhook,
        answer=WebhookMade,
        body=Body(kind=NewWebhook),
        status=201,
        writes=True,
    ),
    Operation(
        method="GET",
        path=_ONE,
        name="showWebhook",
        summary="One address, and how alerts fared there.",
        tag=TAG,
        roles=STAFF,
        handler=show_webhook,
        answer=WebhookShown,
    ),
    Operation(
        method="GET",
        path=f"{_ONE}/deliveries",
        name="listWebhookDeliveries",
        summary="Alerts that wait for an address, and the newest attempts.",
        tag=TAG,
        roles=STAFF,
        handler=list_deliveries,
        answer=Deliveries,
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/rotation",
        name="rotateWebhookSecret",
        summary="Sign with another secret, shown once; the one before signs beside it for a day.",
        tag=TAG,
        roles=_MAY_SET,
        handler=post_rotation,
        answer=WebhookMade,
        status=201,
        writes=True,
    ),
    Operation(
        method="PUT",
        path=f"{_ONE}/pause",
        name="pauseWebhook",
        summary="Send nothing there for now, or send again.",
        tag=TAG,
        roles=_MAY_SET,
        handler=put_pause,
        answer=WebhookShown,
        body=Body(kind=Pause),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/test",
        name="testWebhook",
        summary="Send one alert that says nothing, now; the answer says whether it was taken.",
        tag=TAG,
        roles=_MAY_SET,
        handler=post_test,
        answer=WebhookTested,
        status=201,
        writes=True,
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/deliveries/{{message}}/redelivery",
        name="redeliverWebhookAlert",
        summary="Send an alert again under the same id, or at once where it waits.",
        tag=TAG,
        roles=_MAY_SET,
        handler=post_redelivery,
        answer=AlertWaiting,
        status=201,
        writes=True,
    ),
    Operation(
        method="DELETE",
        path=_ONE,
        name="removeWebhook",
        summary="Send nothing there any more, and forget the secret.",
        tag=TAG,
        roles=_MAY_SET,
        handler=delete_webhook,
        answer=WebhookGone,
    ),
)
