"""Webhooks: where alerts go. The secret that signs them is shown once, and kept in the data folder.

Source: standardwebhooks.com, specification 1.0: names of headers, form of secrets and signatures.
"""

import base64
import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from quartermaster.book.views import View, Webhook
from quartermaster.commands.actor import Actor, require
from quartermaster.commands.ports import Book
from quartermaster.kernel.clock import US_PER_S, Instant
from quartermaster.kernel.errors import ConflictError, NotFoundError, UsageError
from quartermaster.kernel.ids import new_id
from quartermaster.kernel.webhook_facts import (
    WebhookAdded,
    WebhookPaused,
    WebhookRemoved,
    WebhookSecretTurned,
)

# The specification asks for 24 to 64 bytes.
SECRET_BYTES = 32
SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix that says what it is, not a secret
SECRET_MODE = 0o600
# Every alert goes to every webhook: a hundred is a list that somebody forgot to clean.
WEBHOOKS_MAX = 100
# What browsers and proxies take.
URL_CHARS_MAX = 2_000
# Of what follows the host: enough to tell two addresses apart, too little to post to one. Many
# services keep the password of an address in its path.
PATH_CHARS_SHOWN = 5
# A receiver is given a day to learn the new secret, as keys and their successors overlap.
SECRET_OVERLAP_US = 86_400 * US_PER_S


class AddedWebhook(msgspec.Struct, frozen=True):
    """A new webhook; `secret` is shown nowhere else."""

    webhook: str
    url: str
    secret: str


def add(
    book: Book,
    actor: Actor,
    url: str,
    folder: Path,
    now: Instant,
    *,
    group: str = "",
    allow_private: bool = False,
) -> AddedWebhook:
    """Send alerts to an address from now on.

    Args:
        book: where it is recorded.
        actor: who adds it.
        url: https, or in a private network that is allowed also http.
        folder: where secrets of webhooks lie.
        now: microseconds UTC.
        group: only alerts of this customer group; all when empty.
        allow_private: whether the address may be in a private network.

    Raises:
        NotAllowedError: the actor may not.
        UsageError: not an address that alerts can be sent to.
        NotFoundError: there is no such group.
        ConflictError: it is there already, or there are too many.
    """
    require(actor, "admin")
    require_url(url, allow_private=allow_private)
    secret = _new_secret()
    with book.writing() as unit:
        view = unit.view()
        if group and group not in view.groups:
            raise NotFoundError(f"there is no group {group!r}", field="group")
        known = [one.added for one in view.webhooks.values()]
        if any((one.url, one.group) == (url, group) for one in known):
            raise ConflictError(f"alerts go to {url} already", field="url")
        if len(view.webhooks) >= WEBHOOKS_MAX:
            raise ConflictError(f"there are {WEBHOOKS_MAX} webhooks", hint="remove one first")
        fact = WebhookAdded(
            webhook=new_id("whk"), url=url, group=group, allow_private=allow_private
        )
        # The secret is there before anything can be signed with it.
        _write_secret(folder / fact.webhook, secret)
        unit.journal.append(fact, actor=actor, now=now, key=f"webhook:{fact.webhook}")
    return AddedWebhook(fact.webhook, url, secret)


def remove(book: Book, actor: Actor, webhook: str, folder: Path, now: Instant) -> None:
    """Send nothing there any more, and forget the secret.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such webhook.
    """
    require(actor, "admin")
    with book.writing() as unit:
        webhook_of(unit.view(), webhook)
        unit.journal.append(WebhookRemoved(webhook=webhook), actor=actor, now=now)
    (folder / webhook).unlink(missing_ok=True)


def rotate(book: Book, actor: Actor, webhook: str, folder: Path, now: Instant) -> AddedWebhook:
    """Sign with another secret; the one before signs beside it for a day.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such webhook.
    """
    require(actor, "admin")
    secret, path = _new_secret(), folder / webhook
    with book.writing() as unit:
        found = webhook_of(unit.view(), webhook).added
        until = now + SECRET_OVERLAP_US
        before = in_force(path.read_text(), now)[:1] if path.exists() else ()
        lines = [secret, *(f"{one} {until}" for one in before)]
        beside = path.with_suffix(".new")
        beside.unlink(missing_ok=True)
        _write_secret(beside, "\n".join(lines))
        fact = WebhookSecretTurned(webhook=webhook, overlap_ends_at=until)
        unit.journal.append(fact, actor=actor, now=now)
    # After it is written down: a secret that nobody was shown must not sign anything.
    beside.replace(path)
    return AddedWebhook(webhook, found.url, secret)


def in_force(text: str, now: Instant) -> tuple[str, ...]:
    """The secrets of a secret's file that count now: the newest first."""
    newest, *before = text.splitlines() or [""]
    kept = (line.partition(" ") for line in before)
    return (
        newest.strip(),
        *(one for one, _, until in kept if until.isdigit() and now < int(until)),
    )


def pause(book: Book, actor: Actor, webhook: str, now: Instant, *, paused: bool) -> Webhook:
    """Send nothing there for now, or send again; what waited is sent then.

    Alerts that come up meanwhile are not for it. Saying what is so already changes nothing.

    Raises:
        NotAllowedError: the actor may not.
        NotFoundError: there is no such webhook.
    """
    require(actor, "admin")
    with book.writing() as unit:
        if webhook_of(unit.view(), webhook).paused != paused:
            fact = WebhookPaused(webhook=webhook, paused=paused)
            unit.journal.append(fact, actor=actor, now=now)
        return webhook_of(unit.view(), webhook)


def webhook_of(view: View, webhook: str) -> Webhook:
    """A webhook by its id.

    Raises:
        NotFoundError: there is no such webhook.
    """
    found = view.webhooks.get(webhook)
    if found is None:
        raise NotFoundError(
            f"there is no webhook {webhook!r}", field="webhook", hint="quartermaster webhook list"
        )
    return found


def require_url(url: str, *, allow_private: bool) -> None:
    """Check an address; where it leads is checked each time something is sent.

    Raises:
        UsageError: says what is wrong with it.
    """
    try:
        parts = urlsplit(url)
        plain = url.isascii() and url.isprintable() and " " not in url
        known = bool(parts.hostname) and parts.port != 0 and len(url) <= URL_CHARS_MAX
    except ValueError:
        plain = known = False
    if not (plain and known) or parts.scheme not in ("https", "http"):
        raise UsageError(
            f"{url!r} is not an https address", field="url", hint="such as https://example.com/hook"
        )
    if parts.username is not None or parts.fragment:
        raise UsageError("the address holds a password or a fragment", field="url")
    if parts.scheme == "http" and not allow_private:
        raise UsageError(
            "alerts are not sent without TLS",
            field="url",
            hint="use https, or allow a private network",
        )


def shortened(url: str) -> str:
    """An address as everybody may read it: what follows the host may be a password."""
    parts = urlsplit(url)
    after = f"{parts.path}?{parts.query}" if parts.query else parts.path
    rest = after if len(after) <= PATH_CHARS_SHOWN else f"{after[:PATH_CHARS_SHOWN]}…"
    return f"{parts.scheme}://{parts.netloc}{rest}"


def _new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _write_secret(path: Path, secret: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE)
    try:
        os.write(file, secret.encode())
        os.fsync(file)
    finally:
        os.close(file)
