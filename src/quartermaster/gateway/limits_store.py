"""The Redis or Valkey server in which limits are shared, as a worker reaches it.

Every exchange ends in time, whatever the network does: a server that hangs, one whose machine takes
no connections, and a name server that does not answer.
"""

import asyncio
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.errors import UnavailableError
from quartermaster.kernel.shared_store import (
    ANSWER_WITHIN_S,
    CALL_WITHIN_S,
    store_address,
    store_secret,
)


class Names:
    """The addresses of a host, looked up anew for every connection.

    A lookup that hangs holds one thread and nobody else: no second one is begun beside it, the
    event loop's own threads are left to others, and meanwhile the host is where it was last.

    Args:
        host: a name or an address.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._looking: asyncio.Future[list[str]] | None = None
        self._last: list[str] = []

    async def addresses(self) -> list[str]:
        """Where it is.

        Raises:
            OSError: nobody knows, or not in time.
        """
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_future()
            arguments = asyncio.get_running_loop(), self._looking
            threading.Thread(target=self._look, args=arguments, daemon=True).start()
        done, _ = await asyncio.wait((self._looking,), timeout=ANSWER_WITHIN_S)
        if done:
            self._last = self._looking.result()
        if not self._last:
            raise OSError(f"the name {self._host} is not looked up in time")
        return self._last

    def _look(self, loop: asyncio.AbstractEventLoop, found: "asyncio.Future[list[str]]") -> None:
        answer: list[str] = []
        failure: OSError | None = None
        try:
            entries = socket.getaddrinfo(self._host, None, type=socket.SOCK_STREAM)
            answer += [str(entry[4][0]) for entry in entries]
        except OSError as error:
            failure = error

        def tell() -> None:
            if found.cancelled():
                return
            if failure is None:
                found.set_result(answer)
            else:
                found.set_exception(failure)

        # The worker may have ended meanwhile.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(tell)


def _named(made: Any, names: Names) -> Any:  # noqa: ANN401 - a class of the client
    """A class of connections that asks `names` where the server is; TLS still wants its name."""

    class Named(made):  # type: ignore[misc]
        """Connects to the first address that answers."""

        async def _connect(self) -> None:
            failure: BaseException | None = None
            for self._address in await names.addresses():
                try:
                    await super()._connect()
                except (OSError, TimeoutError) as error:
                    failure = error
                else:
                    return
            if failure is not None:
                raise failure

        def _connection_arguments(self) -> dict[str, object]:
            given = {**super()._connection_arguments(), "host": self._address}
            return {**given, "server_hostname": self.host} if "ssl" in given else given

    return Named


class RedisStore:
    """A Redis or Valkey server.

    Args:
        settings: which.
        var: root of the data folder.

    Raises:
        UnavailableError: the client is not installed.
        ConfigError: its password cannot be read.
    """

    def __init__(self, settings: GatewaySettings, var: Path) -> None:
        try:
            # Only here: it takes a third of a second, and nobody else needs it.
            from redis import asyncio as client
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
            from redis.exceptions import RedisError
        except ImportError as error:
            raise UnavailableError(
                "shared limits need the package redis, which is not installed",
                hint="pip install 'quartermaster-ai[shared]'",
            ) from error
        address = store_address(settings.shared_limits_url, "gateway.shared_limits_url")
        named = settings.shared_limits_secret_file
        user, password = store_secret(var / named) if named else ("", "")
        options: dict[str, Any] = address.options(user, password)
        self._client = client.Redis(**options, retry=Retry(NoBackoff(), 0))
        pool = self._client.connection_pool
        pool.connection_class = _named(pool.connection_class, Names(address.host))
        text = Path(__file__).with_name("limits_leased.lua").read_text("utf-8")
        self._script = self._client.register_script(text)
        self._failures = (RedisError, OSError, TimeoutError)

    async def run(
        self, keys: Sequence[str], arguments: Sequence[str | int]
    ) -> tuple[int, str, str, list[str]]:
        """The script's answer."""
        try:
            async with asyncio.timeout(CALL_WITHIN_S):
                peers, notice, life, *answers = await self._script(
                    keys=list(keys), args=list(arguments)
                )
        except self._failures as error:
            raise UnavailableError(str(error) or type(error).__name__) from error
        return peers, notice, life, answers

    async def aclose(self) -> None:
        """Hang up."""
        await self._client.aclose()
