"""Standings on their way to gateway workers of other machines, and what these say they obey."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from quartermaster.app.store_thread import StoreThread
from quartermaster.commands.publish import Acknowledgement
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.clock import US_PER_S
from quartermaster.kernel.errors import UnavailableError
from quartermaster.kernel.notice import (
    GONE,
    NOTICE_CHARS_MAX,
    Notice,
    Obeyed,
    notice_of,
    read,
    read_obeyed,
    sign,
)
from quartermaster.kernel.shared_store import (
    NOTICE,
    OBEYED,
    WORKERS,
    store_address,
    store_secret,
)
from quartermaster.kernel.snapshot import OUT_OF_CONTACT_S, Snapshot

if TYPE_CHECKING:
    import redis

TRIES: Final = 4
"""A notice beside which another one was written is looked at again."""

# Only what was seen is replaced: of two that write, the later one looks again.
_REPLACE: Final = """
local seen = redis.call('GET', KEYS[1]) or ''
if seen ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""
_LOOK: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local since, living = string.format('%.0f', now - tonumber(ARGV[1])), {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. since, '+inf')) do
  living[name] = true
end
local obeyed, answer = redis.call('HGETALL', KEYS[2]), {}
for i = 1, #obeyed, 2 do
  local at, said = string.match(obeyed[i + 1], '^(%d+) (.*)$')
  if living[obeyed[i]] or (at and now - tonumber(at) < tonumber(ARGV[2])) then
    answer[#answer + 1] = {obeyed[i], said or '', living[obeyed[i]] and 1 or 0}
  end
end
return answer
"""

SILENT_NAMED_S: Final = 60
"""A worker that is silent for longer has ended or is cut off from the store; its own machine says
which."""

_T = TypeVar("_T")


class Obeying(msgspec.Struct, frozen=True):
    """One life of a worker of any machine."""

    name: str
    obeyed: Obeyed
    living: bool

    @property
    def place(self) -> str:
        """What its other lives are called, too."""
        return self.name.rpartition(".")[0]


class StandingStore:
    """The notice in the shared store, and who obeys it.

    Args:
        client: of the server.
        pepper: of the installation, under which everything is signed.
    """

    def __init__(self, client: "redis.Redis", pepper: bytes) -> None:
        from redis.exceptions import RedisError

        self._client = client
        self._pepper = pepper
        self._replace = client.register_script(_REPLACE)
        self._look = client.register_script(_LOOK)
        self._failures = (RedisError, OSError)
        self._thread = StoreThread()

    def notice(self) -> Notice | None:
        """What is said there now; None where that is nothing of ours.

        Raises:
            UnavailableError: the server cannot be reached.
        """
        return read(self._call(self._text), self._pepper)

    def tell(self, snapshot: Snapshot) -> None:
        """Say what a snapshot says, unless something later is said there.

        Raises:
            UnavailableError: the server cannot be reached.
        """
        mine = notice_of(snapshot)
        text = sign(mine, self._pepper)
        if len(text) > NOTICE_CHARS_MAX:
            raise UnavailableError(
                "more groups have a standing than one notice in the shared store may name",
                hint="other machines hear of it from their own clerks",
            )
        for _ in range(TRIES):
            seen = self._call(self._text)
            said = read(seen, self._pepper)
            if said is not None and said.version >= mine.version:
                return
            given = [seen, text]
            if self._call(lambda given=given: self._replace(keys=[NOTICE], args=given)):  # type: ignore[misc]
                return
        raise UnavailableError("the notice in the shared store changes all the time")

    def _obeyed(self) -> list[Obeying]:
        keys, arguments = (
            [WORKERS, OBEYED],
            [OUT_OF_CONTACT_S * US_PER_S, SILENT_NAMED_S * US_PER_S],
        )
        answer = self._call(lambda: self._look(keys=keys, args=arguments))
        every = [
            Obeying(name, read_obeyed(said, name, self._pepper), bool(living))
            for name, said, living in answer
        ]
        return [one for one in every if one.obeyed.version < GONE]

    def serving(
        self, version: int, here: Collection[str], *, all_said: bool = False
    ) -> Acknowledgement:
        """Which workers of other machines obey a version.

        Args:
            version: that was published.
            here: workers of this machine.
            all_said: whether the notice of it says all that is new in it.

        Raises:
            UnavailableError: the server cannot be reached.
        """
        elsewhere = [one for one in self._obeyed() if one.name not in here]
        restarted = {one.place for one in elsewhere if one.living}
        done, partly, late, silent = [], [], [], []
        for one in sorted(elsewhere, key=lambda one: one.name):
            if one.obeyed.served >= version or (all_said and one.obeyed.version >= version):
                done.append(one.name)
            elif one.obeyed.version >= version:
                partly.append(one.name)
            elif one.living:
                late.append(one.name)
            elif one.place not in restarted:
                silent.append(one.name)
        return Acknowledgement(tuple(done), tuple(late), tuple(silent), partly=tuple(partly))

    def highest(self) -> int:
        """The highest version that anybody obeys or was told of; 0 where there is none.

        Raises:
            UnavailableError: the server cannot be reached.
        """
        said = self.notice()
        obeyed = [one.obeyed.version for one in self._obeyed()]
        return max(0 if said is None else said.version, *obeyed, 0)

    def _text(self) -> str:
        return str(self._client.get(NOTICE) or "")

    def _call(self, do: Callable[[], _T]) -> _T:
        try:
            return self._thread.call(do)
        except self._failures as error:
            raise UnavailableError(
                f"the shared store does not answer: {error or type(error).__name__}",
                hint="see docs/howto/shared-limits.md",
            ) from error


def open_standings(settings: GatewaySettings, var: Path, pepper: bytes) -> StandingStore | None:
    """What other machines are told through; None where the settings name no store.

    Raises:
        UnavailableError: the client is not installed.
        ConfigError: the server's password cannot be read.
    """
    return StandingStore(open_client(settings, var), pepper) if settings.shared_limits_url else None


def open_client(settings: GatewaySettings, var: Path) -> "redis.Redis":
    """A client of the server that the settings name; it connects when it is asked something.

    Raises:
        UnavailableError: the client is not installed.
        ConfigError: the server's password cannot be read.
    """
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise UnavailableError(
            "what machines share needs the package redis, which is not installed",
            hint="pip install 'quartermaster-ai[shared]'",
        ) from error
    named = settings.shared_limits_secret_file
    user, password = store_secret(var / named) if named else ("", "")
    address = store_address(settings.shared_limits_url, "gateway.shared_limits_url")
    options: dict[str, Any] = address.options(user, password)
    return redis.Redis(**options, retry=Retry(NoBackoff(), 0))
