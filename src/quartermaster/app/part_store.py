"""The Redis or Valkey server in which machines say which parts of budgets they hold."""

import platform
import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quartermaster.app.budget_shares import BudgetShares, Holding, Told
from quartermaster.app.standing_store import open_client
from quartermaster.app.store_thread import StoreThread
from quartermaster.billing.parts import Part
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.errors import UnavailableError
from quartermaster.kernel.shared_store import NAME_PREFIX

if TYPE_CHECKING:
    import redis

SETTLE_S = 3
"""Nothing grows for this long after a machine came or the data is new: a living machine looks every
second, so that each then knows of the others, and has said what it holds."""

FORGET_AFTER_MS = 90 * 86_400 * 1_000
"""Usage of a period comes in for weeks after its end; in a quarter its invoice is issued."""

BUDGETS_MAX = 128
"""Budgets in one script: a millisecond of the store, in which it hears nobody else."""

NAME_BYTES = 4
"""Host names are given twice; these are not."""

FOLDER = "shared"
"""In the data folder. A copy of it on another machine would be taken for this one."""

US_PER_MS = 1_000
HINT = "see docs/howto/shared-limits.md; budgets lease nothing new meanwhile"


class RedisParts:
    """A server, as the budget office knows it.

    Args:
        client: of the server.
        settle_us: how long nothing grows after a machine came or the data is new.
    """

    def __init__(self, client: "redis.Redis", settle_us: int = SETTLE_S * 1_000_000) -> None:
        from redis.exceptions import RedisError

        self._script = client.register_script(Path(__file__).with_suffix(".lua").read_text("utf-8"))
        self._client = client
        self._settle_us = settle_us
        self._failures = (RedisError, OSError)
        self._thread = StoreThread()

    def join(
        self, machine: str, known: Iterable[str], last: str = ""
    ) -> tuple[str, frozenset[str]]:
        """Be there, with all machines that are known; the data's generation, and all machines.

        Data that does not know the generation with which this machine was last begins a new one.

        Raises:
            UnavailableError: the server cannot be reached, or may forget budgets.
        """
        answer = self._run([MACHINES], [machine, self._settle_us, "", last, *known])
        generation, policy, *machines = answer
        if policy != "noeviction":
            raise UnavailableError(
                f"the shared store may forget budgets: its maxmemory-policy is {policy}",
                hint="set maxmemory-policy to noeviction",
            )
        return generation, frozenset(machines)

    def hold(self, machine: str, generation: str, said: Sequence[Holding]) -> list[Told] | None:
        """Say what is held; None where the generation is another one.

        Raises:
            UnavailableError: the server cannot be reached.
        """
        told: list[Told] = []
        for begin in range(0, len(said), BUDGETS_MAX):
            some = said[begin : begin + BUDGETS_MAX]
            keys = [MACHINES, *(f"{NAME_PREFIX}:budget:{':'.join(one.name)}" for one in some)]
            arguments: list[str | int] = [machine, self._settle_us, generation]
            for one in some:
                forget_ms = one.forget_at // US_PER_MS + FORGET_AFTER_MS if one.forget_at else 0
                words = f"{one.part.held} {one.part.settled} {one.part.used}"
                arguments += [one.seen, words, int(one.grows), forget_ms]
            answers = self._run(keys, arguments)
            if answers[0] == "again":
                return None
            told += [_told(outcome, words) for outcome, words in answers]
        return told

    def release(self, machine: str) -> bool:
        """Wait for a machine no longer; whether it was known.

        Raises:
            UnavailableError: the server cannot be reached.
        """
        return bool(self._call(lambda: self._client.hdel(MACHINES, f"m:{machine}")))

    def machines(self) -> list[str]:
        """All machines that share budgets.

        Raises:
            UnavailableError: the server cannot be reached.
        """
        fields = [str(field) for field in self._call(lambda: self._client.hkeys(MACHINES))]
        return sorted(field[2:] for field in fields if field.startswith("m:"))

    def _run(self, keys: list[str], arguments: list[str | int]) -> Any:  # noqa: ANN401 - Lua's
        return self._call(lambda: self._script(keys=keys, args=arguments))

    def _call(self, do: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the server answers
        try:
            return self._thread.call(do)
        except self._failures as error:
            raise _gone(error) from error


MACHINES = f"{NAME_PREFIX}:machines"


def open_parts(settings: GatewaySettings, var: Path) -> RedisParts:
    """The server that the settings name.

    Raises:
        UnavailableError: the client is not installed.
        ConfigError: the server's password cannot be read.
    """
    return RedisParts(open_client(settings, var))


def open_shares(settings: GatewaySettings, var: Path) -> BudgetShares | None:
    """This machine's parts of budgets; None where the settings name no server.

    Raises:
        UnavailableError: the client is not installed.
        ConfigError: the server's password cannot be read.
    """
    if not settings.shared_limits_url:
        return None
    folder = var / FOLDER
    return BudgetShares(machine_name(var), open_parts(settings, var), folder / "machines.json")


def machine_name(var: Path) -> str:
    """What this machine is called among others, for as long as its data folder lives."""
    path = var / FOLDER / "machine"
    try:
        return path.read_text("utf-8").strip()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{platform.node() or 'machine'}-{secrets.token_hex(NAME_BYTES)}"
        beside = path.with_suffix(".new")
        beside.write_text(name, "utf-8")
        beside.replace(path)
        return name


def _told(outcome: str, words: list[str]) -> Told:
    if outcome == "held":
        return Told("held", int(words[0]))
    if outcome == "waits":
        return Told("waits", missing=tuple(words))
    fields = dict(zip(words[::2], words[1::2], strict=True))
    parts = {
        field.removeprefix("p:"): Part(*(int(number) for number in value.split(" ")[1:]))
        for field, value in fields.items()
        if field.startswith("p:")
    }
    return Told("stale", int(fields.get("version", "0")), parts)


def _gone(error: Exception) -> UnavailableError:
    return UnavailableError(
        f"the shared store of budgets does not answer: {error or type(error).__name__}", hint=HINT
    )
