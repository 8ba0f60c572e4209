"""The way from a worker to the store in which limits are shared; nothing else waits for it.

Each round says to the store, in one script for all accounts, what was spent and what is wanted, and
hears whether another machine has changed a standing. Where it cannot be reached the worker goes on
with its even part of every limit, and comes back by itself.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from quartermaster.gateway.bucket_leased import EXCHANGE_S, Held
from quartermaster.gateway.limits_leased import Answer, LeasedLimiter
from quartermaster.gateway.limits_store import RedisStore
from quartermaster.gateway.notices import Notices
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.gateway.status import SharedShown
from quartermaster.kernel.clock import US_PER_S
from quartermaster.kernel.errors import UnavailableError
from quartermaster.kernel.notice import GONE, Obeyed
from quartermaster.kernel.shared_store import (
    LIFE,
    NAME_PREFIX,
    NOTICE,
    OBEYED,
    WORKERS,
)
from quartermaster.kernel.snapshot import OUT_OF_CONTACT_S, SNAPSHOT_POLL_S

log = logging.getLogger(__name__)

ALONE_AFTER_S: Final = 0.5
"""Without an answer for this long a worker goes on alone. What it holds of a limit until then lasts
a few exchanges, and the store keeps that for it ten times as long."""

ACCOUNTS_MAX: Final = 128
"""Accounts in one script: a millisecond of the store, in which it hears nobody else."""

RETRY_S: Final = 0.25
"""Pause after a failure; a look that fails costs up to as long again."""

SIGN_OF_LIFE_S: Final = SNAPSHOT_POLL_S
"""A worker without anything to say is counted among the others all the same, and hears as soon as
by its own machine's snapshot that somebody is suspended."""

LEAVE_S: Final = 1.0
"""A worker that ends gives back what it holds, of some ten thousand accounts, within this time."""

SETTLE_S: Final = 1.0
"""A server that was restarted, or a replica in its place, gives nobody more for this long: every
worker asks five times a second, and says then what it holds."""

LIFE_BYTES: Final = 8
"""Names one life of a worker among all that ever were."""

# Of one account: four of each bucket, slots, lacked.
_ANSWER_LEVELS: Final = 10


class Store(Protocol):
    """What runs the script."""

    async def run(
        self, keys: Sequence[str], arguments: Sequence[str | int]
    ) -> tuple[int, str, str, list[str]]:
        """The script's answer: workers of all machines, news, its life, a line for each account.

        Raises:
            UnavailableError: there is none.
        """

    async def aclose(self) -> None:
        """Hang up."""


class LimitLink:
    """Exchanges with the store until it is cancelled.

    Args:
        store: what runs the script.
        limiter: whose accounts.
        app_id: names this worker among all machines' workers.
        now: microseconds, the clock of the accounts.
        notices: what other machines changed of standings.
    """

    def __init__(
        self,
        store: Store,
        limiter: LeasedLimiter,
        app_id: str,
        now: Callable[[], int],
        notices: Notices,
    ) -> None:
        self._store = store
        self.notices = notices
        """What other machines changed of standings."""
        self.when_told: Callable[[], None] = _nobody_obeys
        """Called when there is a new one."""
        self._obeyed = ""
        self._unsaid = False
        """Whether somebody waits to hear what is obeyed."""
        self._life = ""
        self._lives = 0
        """How often the store was another one than before."""
        self._saving: asyncio.Future[None] | None = None
        self.limiter = limiter
        """Whose accounts these are."""
        self._app_id = app_id
        self._now = now
        self._news = asyncio.Event()
        self._failed_s = self._said_s = 0.0
        self._error = ""
        self._exchanges = self._failures = self._fallbacks = 0
        self._waited_s = 0.0
        limiter.met = self._news.set

    async def run(self) -> None:
        """Exchange, round after round."""
        clock = asyncio.get_running_loop().time
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        hurried, rests_until_s = False, 0.0
        try:
            # The client waits by `asyncio.wait_for`, which in Python 3.11 forgets a cancellation
            # that comes in the same moment as the answer.
            while not task.cancelling():
                try:
                    await self._round(hurried=hurried)
                except UnavailableError as error:
                    self._failed(error.message)
                    await asyncio.sleep(RETRY_S)
                    hurried = False
                    continue
                if not hurried:
                    rests_until_s = clock() + EXCHANGE_S
                try:
                    async with asyncio.timeout_at(rests_until_s):
                        await self._news.wait()
                except TimeoutError:
                    pass
                # However many customers come, everybody else is asked twenty times a second.
                hurried = clock() < rests_until_s and self._news.is_set()
        finally:
            await self._leave()
            await self._store.aclose()

    async def _leave(self) -> None:
        """Give back what is held; where the store is gone it counts as used."""
        if self._error or self.limiter.alone:
            return
        ends_s = time.monotonic() + LEAVE_S
        try:
            # What was not answered is said once more before.
            await self._round(hurried=False)
            for _ in range(0, self.limiter.leave(), ACCOUNTS_MAX):
                if time.monotonic() > ends_s:
                    log.warning("%s: the rest counts as used: the store is slow", self._app_id)
                    return
                await self._round(hurried=False)
            # Nobody waits any more for what it obeys.
            self.obeys(GONE, GONE)
            await self._round(hurried=True)
        except UnavailableError as error:
            log.warning(
                "%s: what it held of shared limits counts as used: %s", self._app_id, error.message
            )

    async def _round(self, *, hurried: bool) -> None:
        self._news.clear()
        reports = self.limiter.reports(ACCOUNTS_MAX, hurried=hurried)
        now_s = time.monotonic()
        silent = now_s - self._said_s < SIGN_OF_LIFE_S
        at_rest = not self.limiter.alone and not self._error and not self._unsaid
        if not reports and silent and at_rest:
            return
        self._unsaid = False
        keys = [WORKERS, NOTICE, OBEYED, LIFE]
        arguments: list[str | int] = [self._app_id, OUT_OF_CONTACT_S * US_PER_S, 0]
        arguments += [self.notices.known, self._obeyed, int(SETTLE_S * US_PER_S)]
        for (scope, name), report in reports.items():
            keys.append(f"{NAME_PREFIX}:limit:{scope}:{name}")
            arguments.append(line_of(report))
        self._exchanges += 1
        asked_s = time.monotonic()
        try:
            peers, notice, life, answers = await self._store.run(keys, arguments)
        finally:
            self._waited_s += time.monotonic() - asked_s
        self._said_s = now_s
        if life != self._life:
            self._lives += self._life != ""
            self._life = life
            self.limiter.say_again()
        given = {name: answer_of(line) for name, line in zip(reports, answers, strict=True)}
        self.limiter.answered(given, self._now(), peers)
        if self._error:
            log.warning("%s: limits are shared again", self._app_id)
            self._error = ""
        if notice:
            self._told(notice)

    def _told(self, text: str) -> None:
        """The store has another notice of standings."""
        refused = self.notices.refused
        if self.notices.told(text):
            self.when_told()
            # A disk that hangs must not keep limits waiting.
            self._saving = asyncio.ensure_future(self._save())
        elif self.notices.refused > refused == 0:
            log.warning(
                "%s: the shared store has a notice of standings that this installation did not"
                " sign; it is not obeyed (see docs/howto/shared-limits.md)",
                self._app_id,
            )

    async def _save(self) -> None:
        try:
            await asyncio.to_thread(self.notices.save)
        except UnavailableError as error:
            log.warning("%s: %s (%s)", self._app_id, error.message, error.hint)

    def obeys(self, version: int, served: int) -> None:
        """What the worker obeys now; whoever published it is told at once.

        Args:
            version: of which it obeys what takes service away.
            served: that it serves in full.
        """
        self._obeyed = self.notices.obeyed(self._app_id, Obeyed(version, served))
        self._unsaid = True
        self._news.set()

    def _failed(self, reason: str) -> None:
        self._failures += 1
        if not self._error:
            self._failed_s = time.monotonic()
            log.warning(
                "%s: the store of shared limits does not answer: %s; until it does, every limit"
                " is held to this worker's even part, and no more budget is leased",
                self._app_id,
                reason,
            )
        self._error = reason
        if self.limiter.alone or self.silent_s > ALONE_AFTER_S:
            self._fallbacks += not self.limiter.alone
            self.limiter.stand_alone()

    @property
    def silent_s(self) -> float:
        """How long the store has not answered, since it first did not."""
        return time.monotonic() - self._failed_s if self._error else 0.0

    @property
    def out_of_contact(self) -> bool:
        """Whether prepaid customers are refused: their balance may be spent elsewhere."""
        return self.silent_s > OUT_OF_CONTACT_S

    @property
    def note(self) -> str:
        """What `/readyz` says besides; empty while the store answers."""
        return f"the store of shared limits does not answer: {self._error}" if self._error else ""

    def shown(self) -> SharedShown:
        """What the worker's status says of it."""
        return SharedShown(
            alone=self.limiter.alone,
            workers=self.limiter.peers,
            exchanges=self._exchanges,
            failures=self._failures,
            error=self._error,
            name=self._app_id,
            notices_refused=self.notices.refused,
            replaced=self._lives,
            waited_us=int(self._waited_s * US_PER_S),
            fallbacks=self._fallbacks,
        )


def _nobody_obeys() -> None:
    """Until a worker does."""


class NoLink:
    """Limits stay on this machine."""

    out_of_contact = False
    note = ""
    notices = None

    def obeys(self, version: int, served: int) -> None:
        """Nobody else has to know."""

    async def run(self) -> None:
        """Nothing, until it is cancelled."""
        await asyncio.get_running_loop().create_future()

    def shown(self) -> None:
        """Nothing."""


def open_link(
    settings: GatewaySettings,
    var: Path,
    number: int,
    app_id: str,
    now: Callable[[], int],
    pepper: bytes,
) -> LimitLink:
    """The link of one worker, with its limiter.

    Args:
        settings: of the gateway.
        var: root of the data folder.
        number: of the worker on this machine, from 0.
        app_id: of the worker; other machines may have one of this name, and this one had lives
            before, so a random part is added.
        now: microseconds.
        pepper: of the installation.

    Raises:
        UnavailableError: the client is not installed.
        ConfigError: the store's password cannot be read.
    """
    limiter = LeasedLimiter(settings.workers, number)
    name = f"{app_id}.{secrets.token_hex(LIFE_BYTES)}"
    notices = Notices(var, app_id, pepper)
    return LimitLink(RedisStore(settings, var), limiter, name, now, notices)


def line_of(report: Sequence[int]) -> str:
    """One account's report, as the script reads it."""
    return " ".join(map(str, report))


def answer_of(line: str) -> Answer:
    """One account's line of the script's answer.

    Raises:
        UnavailableError: it is another script's.
    """
    made, *levels = line.split(" ")
    try:
        numbers = [int(level) for level in levels]
    except ValueError:
        numbers = []
    if len(numbers) != _ANSWER_LEVELS:
        raise UnavailableError(f"the store answered: {line}")
    return Answer(made, Held(*numbers[:4]), Held(*numbers[4:8]), numbers[8], bool(numbers[9]))
