"""Send alerts: signed, repeated with growing pauses, and never into our own network by accident.

An alert waits in a folder, one file an address, until it is delivered, so nothing is lost when the
clerk dies; it may then be sent twice, under the same id. Where a name leads is looked up once and
that very address is called, so a name that changes between check and call leads nowhere else.

Source: standardwebhooks.com, specification 1.0.
"""

import base64
import hmac
import http.client
import ipaddress
import logging
import os
import socket
import ssl
import threading
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from quartermaster.commands.ports import Book
from quartermaster.commands.scope import group_of
from quartermaster.commands.webhook import SECRET_PREFIX, in_force, require_url, shortened
from quartermaster.commands.webhook_record import (
    Delivered,
    Delivery,
    Record,
    Tested,
    Waiting,
    again,
    delivered_path,
    outbox,
    read_delivered,
    read_record,
)
from quartermaster.kernel.budget import budget_id
from quartermaster.kernel.clock import US_PER_S, Clock, Instant, as_datetime
from quartermaster.kernel.errors import IntegrityError, QuartermasterError, UnavailableError
from quartermaster.kernel.events import BudgetCrossed
from quartermaster.kernel.ids import new_id
from quartermaster.kernel.money import Money
from quartermaster.kernel.webhook_facts import WebhookAdded

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
"""An alert leaves within this time."""

PAUSES_S: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds between attempts, as the specification proposes: three days in all."""

TIMEOUT_S: Final = 15
"""The specification asks for 15 to 30 seconds."""

DAMAGED: Final = ".damaged"
"""The end of the name of an alert that cannot be read."""

_GONE: Final = 410
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
# All that is routed on the internet. Beside it lie a company's own translation to IPv4
# (RFC 8215), IPv4-compatible and site-local addresses, which lead inside.
_UNICAST: Final = ipaddress.ip_network("2000::/3")


class NotTakenError(QuartermasterError):
    """The address did not take an alert."""

    code = "webhook_refused"

    def __init__(self, message: str, *, final: bool = False, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.final = final


class Webhooks:
    """Puts alerts into the folder and sends what is due, in a thread of its own.

    Args:
        var: root of the data folder.
        book: where webhooks are agreed.
        now: the wall clock.
    """

    def __init__(self, var: Path, book: Book, now: Clock) -> None:
        self._outbox = outbox(var)
        self._outbox.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._var = var
        self._book = book
        self._now = now
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def announce(self, fact: BudgetCrossed) -> None:
        """Put the alert of a budget where it will be sent from; twice is the same as once."""
        name = budget_id(fact.scope, fact.name)
        digest = sha256(f"{name}|{fact.epoch}|{fact.amount_minor}|{fact.percent}".encode())
        message = f"msg_{digest.hexdigest()[:32]}"
        body = budget_alert(fact, self._now())
        view = self._book.view()
        group = group_of(view, fact.scope, fact.name)
        for webhook in view.webhooks.values():
            if webhook.added.group in ("", group) and not webhook.paused:
                self._put(Waiting(message, webhook.added.webhook, body))

    def start(self) -> None:
        """Send until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """What is not delivered stays in the folder."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            try:
                self.send_due()
            except (OSError, UnavailableError) as error:
                log.warning("alerts cannot be sent: %s", error)
            except Exception:
                log.exception("alerts wait for a defect of ours")

    def send_due(self) -> None:
        """Try everything that is due."""
        waiting = sorted(self._outbox.glob("*.json"))
        if not waiting:
            return
        webhooks, now = self._book.view().webhooks, self._now()
        for path in waiting:
            try:
                one = msgspec.json.decode(path.read_bytes(), type=Waiting)
            except msgspec.DecodeError as error:
                log.warning("the alert %s cannot be read and is laid aside: %s", path, error)
                path.replace(path.with_suffix(DAMAGED))
                continue
            webhook = webhooks.get(one.webhook)
            if webhook is None:
                path.unlink(missing_ok=True)
            elif webhook.paused:
                continue
            # A clock that went back must not keep an alert for longer than a pause.
            elif one.due <= now or one.due > now + PAUSES_S[-1] * US_PER_S:
                try:
                    self._try(path, one, webhook.added)
                except QuartermasterError as error:
                    # What is wrong with one address must not silence the others.
                    url = shortened(webhook.added.url)
                    log.warning("%s: %s (%s)", url, error.message, error.hint)

    def _try(self, path: Path, one: Waiting, webhook: WebhookAdded) -> None:
        before = self._before(one.webhook)
        now, attempt = self._now(), one.attempts + 1
        try:
            secrets = read_secrets(self._var, one.webhook, now)
            deliver(webhook, secrets, one.message, one.body, now)
        except NotTakenError as error:
            last = error.final or one.attempts >= len(PAUSES_S)
            url, ending = shortened(webhook.url), "; given up" if last else ""
            log.warning("%s: %s%s", url, error.message, ending)
            failed = Delivery(one.message, one.kind, now, attempt, error.message, one.body)
            _write_delivered(self._var, one.webhook, before.after(failed, given_up=last))
            if last:
                path.unlink(missing_ok=True)
            else:
                due = now + PAUSES_S[one.attempts] * US_PER_S
                self._put(
                    msgspec.structs.replace(one, attempts=attempt, due=due, error=error.message)
                )
            return
        taken = Delivery(one.message, one.kind, now, attempt, body=one.body)
        _write_delivered(self._var, one.webhook, before.after(taken))
        path.unlink(missing_ok=True)

    def _before(self, webhook: str) -> Delivered:
        """The record of an address; a damaged one is laid aside, as no alert needs it."""
        try:
            return read_delivered(self._var, webhook)
        except IntegrityError as error:
            log.warning("%s; it is laid aside, and counts begin anew", error.message)
            path = delivered_path(self._var, webhook)
            path.replace(path.with_suffix(DAMAGED))
            return Delivered()

    def _put(self, one: Waiting) -> None:
        _put(self._outbox, one)


def _put(folder: Path, one: Waiting) -> None:
    """Lay an alert where it will be sent from; the same one takes its own place."""
    _replace(folder / f"{one.message}.{one.webhook}.json", msgspec.json.encode(one))


def secrets_folder(var: Path) -> Path:
    """Where secrets of webhooks lie, one file each."""
    return var / "secrets" / "webhooks"


def read_secrets(var: Path, webhook: str, now: Instant) -> tuple[str, ...]:
    """The secrets that sign what goes to a webhook: two while a replaced one still counts.

    Raises:
        NotTakenError: there is none.
    """
    try:
        found = in_force((secrets_folder(var) / webhook).read_text(), now)
        for secret in found:
            base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
        return found
    except ValueError as error:
        raise NotTakenError(
            f"the secret of {webhook} is none", hint="restore it, or rotate it"
        ) from error
    except OSError as error:
        raise NotTakenError(
            f"the secret of {webhook} cannot be read: {error.strerror}",
            hint="restore secrets/webhooks from the backup, or rotate it",
        ) from error


def _write_delivered(var: Path, webhook: str, delivered: Delivered) -> None:
    _replace(delivered_path(var, webhook), msgspec.json.encode(delivered))


def _replace(path: Path, data: bytes) -> None:
    """Write a file anew, so that it is there after a power loss, or as it was before."""
    beside = path.with_suffix(".new")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise UnavailableError(
            f"{path} cannot be written: {error.strerror}", hint="free space; it is tried again"
        ) from error


class OwnWebhooks:
    """What faces ask about webhooks, and may have done with them.

    Args:
        var: root of the data folder.
    """

    def __init__(self, var: Path) -> None:
        self._var = var
        self.secrets = secrets_folder(var)

    def record(self, webhook: str) -> Record:
        """What became of its alerts."""
        return read_record(self._var, webhook)

    def test(self, webhook: WebhookAdded, now: Instant) -> Tested:
        """Send one alert that says nothing, now."""
        try:
            secrets = read_secrets(self._var, webhook.webhook, now)
            deliver(webhook, secrets, new_id("msg"), greeting(now), now)
        except NotTakenError as error:
            return Tested(error.message, error.hint)
        return Tested()

    def redeliver(self, webhook: str, message: str) -> Waiting:
        """Have an alert sent again, or at once where it waits."""
        found, folder = again(self.record(webhook), webhook, message), outbox(self._var)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _put(folder, found)
        return found


# -- what is sent ----------------------------------------------------------------------------------


def budget_alert(fact: BudgetCrossed, now: Instant) -> str:
    """The body of a budget's alert."""
    kind = "budget.exhausted" if fact.percent >= 100 else "budget.threshold_reached"
    data = {
        "budget": budget_id(fact.scope, fact.name),
        "period": fact.label,
        "percent": fact.percent,
        "spent": str(Money(fact.spent_minor, fact.currency).decimal),
        "amount": str(Money(fact.amount_minor, fact.currency).decimal),
        "currency": fact.currency,
    }
    return _body(kind, data, now)


def greeting(now: Instant) -> str:
    """The body of an alert that only says that alerts arrive."""
    return _body("webhook.test", {}, now)


def _body(kind: str, data: dict[str, Any], now: Instant) -> str:
    at = as_datetime(now).isoformat()
    return msgspec.json.encode({"type": kind, "timestamp": at, "data": data}).decode()


def signature(secret: str, message: str, at_s: int, body: str) -> str:
    """What receivers compare: `v1,<base64>` of HMAC-SHA256 over id, time and body."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message}.{at_s}.{body}".encode()
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def deliver(
    webhook: WebhookAdded, secrets: tuple[str, ...], message: str, body: str, now: Instant
) -> None:
    """One attempt.

    Args:
        webhook: where it goes.
        secrets: whichever sign it; the receiver knows one of them.
        message: its id.
        body: JSON.
        now: microseconds UTC.

    Raises:
        NotTakenError: the address may not be called, does not answer, or says no.
    """
    require_url(webhook.url, allow_private=webhook.allow_private)
    parts = urlsplit(webhook.url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = _address(host, port, allow_private=webhook.allow_private)
    at_s = now // US_PER_S
    headers = {
        "host": parts.netloc,
        "content-type": "application/json",
        "user-agent": "quartermaster-webhooks",
        "webhook-id": message,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(signature(one, message, at_s, body) for one in secrets),
    }
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = _Pinned(host, port, address, tls=parts.scheme == "https")
    # Who answers a byte at a time would hold up every other alert.
    deadline = threading.Timer(TIMEOUT_S, connection.hang_up)
    deadline.daemon = True
    deadline.start()
    try:
        connection.request("POST", target, body.encode(), headers)
        answer = connection.getresponse()  # of which nobody needs more than the status
    except (OSError, http.client.HTTPException) as error:
        raise NotTakenError(f"no answer: {error}") from error
    finally:
        deadline.cancel()
        connection.close()
    if not 200 <= answer.status < 300:
        # A redirect is no delivery: it could lead anywhere.
        raise NotTakenError(f"answered with status {answer.status}", final=answer.status == _GONE)


class _Pinned(http.client.HTTPConnection):
    """A connection to one address, under the name that its certificate must have."""

    def __init__(self, host: str, port: int, address: str, *, tls: bool) -> None:
        super().__init__(host, port, timeout=TIMEOUT_S)
        self._address = address
        self._tls = tls

    def connect(self) -> None:
        """Call the address that was checked."""
        self.sock = socket.create_connection((self._address, self.port), TIMEOUT_S)
        if self._tls:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host)

    def hang_up(self) -> None:
        """End what is on its way, from another thread."""
        taking = self.sock
        if taking is not None:
            with suppress(OSError):  # closed by now
                taking.shutdown(socket.SHUT_RDWR)


def _address(host: str, port: int, *, allow_private: bool) -> str:
    """The address behind a name.

    Raises:
        NotTakenError: there is none, or one of them lies in a network that is not public.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotTakenError(f"{host} is not known: {error}") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not allow_private:
        for address in addresses:
            if not is_public(address):
                raise NotTakenError(
                    f"{host} leads into a network that is not public",
                    hint="add it with --allow-private if that is meant",
                )
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an address is anybody's on the internet, also where it wraps another one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if wrapped is None and ip in _NAT64:
            wrapped = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if wrapped is not None and not is_public(str(wrapped)):
            return False
        if wrapped is None and ip not in _UNICAST:
            return False
    return ip.is_global and not ip.is_multicast
