"""The pages of webhooks in words and rows."""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from quartermaster.book.views import View
from quartermaster.commands.webhook import AddedWebhook, shortened
from quartermaster.commands.webhook_record import Tested, Waiting
from quartermaster.console.control_view import owner_name
from quartermaster.console.format import moment, number
from quartermaster.console.language import Words
from quartermaster.console.report_words import catalogue
from quartermaster.console.webhook_facts import Hook
from quartermaster.kernel.budget import budget_id
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import CallerError

HERE = "/webhooks"

_REFUSALS: Final = (
    ("status", re.compile(r"answered with status (?P<status>\d+)")),
    ("silent", re.compile(r"no answer: .*", re.DOTALL)),
    ("unknown", re.compile(r"(?P<host>\S+) is not known: .*", re.DOTALL)),
    ("private", re.compile(r"(?P<host>\S+) leads into a network that is not public")),
    ("secret", re.compile(r"the secret of \S+ .*", re.DOTALL)),
)
"""What the sender says of an attempt, with the places of our words."""


class HookRow(msgspec.Struct, frozen=True, kw_only=True):
    """Where alerts go, as a table shows it."""

    href: str
    url: str
    webhook: str
    group: str
    delivered: str
    waiting: str
    given_up: str
    state: str
    kind: str
    """`risk` where something is wrong, `near`, or `fine`."""


class AlertRow(msgspec.Struct, frozen=True, kw_only=True):
    """One alert that waits, or one attempt that came to an end."""

    message: str
    what: str
    about: str
    at: str
    """Of the attempt, or of the next one."""
    attempt: str
    state: str
    kind: str
    again: str
    """Where its form leads; empty where it cannot be sent again."""


class HooksView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the list shows."""

    finding: str
    rows: tuple[HookRow, ...]
    groups: tuple[tuple[str, str], ...]
    """Id and name of those that alerts can be limited to."""


class HookView(msgspec.Struct, frozen=True, kw_only=True):
    """One address, how alerts fared there, and what may be done with it."""

    href: str
    row: HookRow
    finding: str
    paused: bool
    added: str
    secret_since: str
    private: bool
    waiting: tuple[AlertRow, ...]
    recent: tuple[AlertRow, ...]


class MadeSecret(msgspec.Struct, frozen=True):
    """A secret, shown once."""

    url: str
    secret: str
    sentence: str


def href(webhook: str) -> str:
    """The page of one."""
    return f"{HERE}/{webhook}"


def view_of(view: View, hooks: tuple[Hook, ...], words: Words) -> HooksView:
    """The list's strings."""
    rows = tuple(hook_row(view, one, words) for one in hooks)
    return HooksView(
        finding=_finding([row.kind for row in rows], words),
        rows=rows,
        groups=tuple(
            (group, found.name)
            for group, found in sorted(view.groups.items(), key=lambda one: one[1].name.casefold())
        ),
    )


def hook_row(view: View, one: Hook, words: Words) -> HookRow:
    """One address in words."""
    added, done = one.webhook.added, one.record.delivered
    state, kind = words("webhook.fine"), "fine"
    if one.webhook.paused:
        state, kind = words("webhook.paused"), "near"
    elif done.error:
        state, kind = words("webhook.failed", error=_refusal(done.error, words)), "risk"
    elif not done.last_at:
        state = words("webhook.never")
    return HookRow(
        href=href(added.webhook),
        url=shortened(added.url),
        webhook=added.webhook,
        group=_group(view, added.group, words),
        delivered=number(done.delivered, words.lang),
        waiting=number(len(one.record.waiting), words.lang),
        given_up=number(done.given_up, words.lang),
        state=state,
        kind=kind,
    )


def hook_view(view: View, one: Hook, now: Instant, words: Words) -> HookView:
    """The page of one address."""
    webhook, lang = one.webhook, words.lang
    since = webhook.added_at if webhook.turned_at is None else webhook.turned_at
    here = href(webhook.added.webhook)
    about = _abouts(view, words)
    waiting = {alert.message for alert in one.record.waiting}
    offered: set[str] = set()
    recent = []
    for sent in one.record.delivered.recent:
        # One button an alert, at its newest attempt; one that waits has its own.
        can = bool(sent.body) and sent.message not in waiting | offered
        offered.add(sent.message)
        what, whose = _said(sent.kind, sent.body, about, words)
        recent.append(
            AlertRow(
                message=sent.message,
                what=what,
                about=whose,
                at=moment(Instant(sent.at), lang),
                attempt=number(sent.attempt, lang),
                state=_refusal(sent.error, words) if sent.error else words("alert.taken"),
                kind="risk" if sent.error else "fine",
                again=_again(here, sent.message) if can else "",
            )
        )
    row = hook_row(view, one, words)
    said = one.record.delivered.last_at or webhook.paused
    return HookView(
        href=here,
        row=row,
        finding=words("page.state", state=row.state) if said else words("alert.nothing_sent"),
        paused=webhook.paused,
        added=moment(Instant(webhook.added_at), lang),
        secret_since=moment(Instant(since), lang),
        private=webhook.added.allow_private,
        waiting=tuple(
            _waiting(alert, one, now, here, about, words) for alert in one.record.waiting
        ),
        recent=tuple(recent),
    )


def made_secret(made: AddedWebhook, words: Words, *, turned: bool) -> MadeSecret:
    """A new secret, and what becomes of the one before."""
    sentence = words("made.turned" if turned else "made.added")
    return MadeSecret(shortened(made.url), made.secret, sentence)


def tested_words(tested: Tested, words: Words) -> tuple[str, str]:
    """What became of a test, and how it is coloured."""
    if tested.error:
        return words("test.refused", error=_refusal(tested.error, words)), "risk"
    return words("test.taken"), "fine"


def why(error: CallerError, words: Words) -> str:
    """Why something was not done; what nobody has words for is quoted as it was said."""
    key = f"refused.{error.field}"
    if error.field and words.has(key):
        return words(key)
    return f"{error.message}. {error.hint}".strip()


def _waiting(
    alert: Waiting, one: Hook, now: Instant, here: str, about: dict[str, str], words: Words
) -> AlertRow:
    what, whose = _said(alert.kind, alert.body, about, words)
    if one.webhook.paused:
        at = words("alert.when_resumed")
    elif alert.due <= now:
        at = words("alert.at_once")
    else:
        at = moment(Instant(alert.due), words.lang)
    return AlertRow(
        message=alert.message,
        what=what,
        about=whose,
        at=at,
        attempt=number(alert.attempts, words.lang),
        state=_refusal(alert.error, words) if alert.error else words("alert.not_tried"),
        kind="risk" if alert.error else "fine",
        again="" if one.webhook.paused or alert.due <= now else _again(here, alert.message),
    )


def _again(here: str, message: str) -> str:
    return f"{here}/deliveries/{message}"


class _Data(msgspec.Struct, frozen=True):
    budget: str = ""
    period: str = ""
    percent: int = 0


class _Sent(msgspec.Struct, frozen=True):
    data: _Data = _Data()


def _said(kind: str, body: str, abouts: dict[str, str], words: Words) -> tuple[str, str]:
    """What an alert says, and whose budget it is about."""
    try:
        data = msgspec.json.decode(body, type=_Sent).data if body else _Data()
    except msgspec.DecodeError:
        data = _Data()  # an alert of another kind says other things
    what = words("kind.spent", percent=data.percent) if data.percent else kind
    return what, abouts.get(data.budget, data.budget)


def _abouts(view: View, words: Words) -> dict[str, str]:
    """Whose each budget is, by the id that alerts call it by."""
    control = catalogue("control", words.lang)
    return {
        budget_id(scope, name): owner_name(view, scope, name, control)
        for scope, name in view.budgets
    }


def _group(view: View, group: str, words: Words) -> str:
    if not group:
        return words("webhook.all")
    known = view.groups.get(group)
    return group if known is None else known.name


def _refusal(error: str, words: Words) -> str:
    """Why an alert was not taken; what nobody has words for is quoted as it was said."""
    for name, pattern in _REFUSALS:
        found = pattern.fullmatch(error)
        if found is not None:
            return words(f"webhook_refusal.{name}", **found.groupdict())
    return error


def _finding(kinds: Iterable[str], words: Words) -> str:
    found = list(kinds)
    if not found:
        return words("finding.none")
    risk = found.count("risk")
    places = {"count": number(risk, words.lang), "all": number(len(found), words.lang)}
    key = "fine" if not risk else "failing_one" if risk == 1 else "failing"
    if len(found) == 1:
        key = f"only_{'failing' if risk else 'fine'}"
    return words(f"finding.{key}", **places)
