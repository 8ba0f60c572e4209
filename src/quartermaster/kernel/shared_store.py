"""Where machines that share limits and budgets meet: the address of a Redis or Valkey server.

Parsing and the names of its keys only; who needs a connection imports the client itself, and only
where the setting is set.
"""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from quartermaster.kernel.errors import ConfigError

PORT_DEFAULT: Final = 6379
SCHEMES: Final = {"redis": False, "rediss": True}
"""Schemes by whether they speak TLS; certificates are always verified."""

ANSWER_WITHIN_S: Final = 0.25
"""A server in the same network answers within a millisecond; one that needs longer than this is
treated as gone, so that a look costs whoever makes it no more."""

CALL_WITHIN_S: Final = 3 * ANSWER_WITHIN_S
"""To look up its name and connect, to say who asks, and to ask: each has its own time, and all
together have this."""

NAME_PREFIX: Final = "{quartermaster}"
"""Of every key. The braces keep all of them in one slot of a cluster, where scripts need them."""

WORKERS: Final = f"{NAME_PREFIX}:workers"
"""Gateway workers of all machines, by when they were last heard, in the server's microseconds."""

NOTICE: Final = f"{NAME_PREFIX}:standing"
"""The newest signed notice of standings."""

LIFE: Final = f"{NAME_PREFIX}:life"
"""Which life of the server this is, and since when."""

OBEYED: Final = f"{NAME_PREFIX}:obeyed"
"""By worker, the version of the snapshot that it obeys, signed."""

_HINT: Final = "use redis://host:6379/0, or rediss:// for TLS; the password goes into a file"


class StoreAddress(msgspec.Struct, frozen=True):
    """A server, without its password."""

    host: str
    port: int
    database: int
    tls: bool

    def options(self, user: str, password: str) -> dict[str, object]:
        """What every client of it is made with."""
        return {
            "host": self.host,
            "port": self.port,
            "db": self.database,
            "username": user or None,
            "password": password or None,
            "ssl": self.tls,
            "socket_timeout": ANSWER_WITHIN_S,
            "socket_connect_timeout": ANSWER_WITHIN_S,
            "decode_responses": True,
        }


def store_address(url: str, field: str) -> StoreAddress:
    """The address that a setting names.

    Args:
        url: `redis://host:port/database` or `rediss://…`.
        field: the setting, for the refusal.

    Raises:
        ConfigError: it is no such URL, or it holds a password.
    """
    try:
        parts = urlsplit(url)
        port = PORT_DEFAULT if parts.port is None else parts.port
    except ValueError as error:
        raise ConfigError(f"{field} is no URL: {error}", hint=_HINT, field=field) from error
    # The URL is not repeated in a refusal: it may hold a password.
    if parts.password or parts.username:
        raise ConfigError(
            f"{field} holds a user or a password",
            hint="write `password` or `user:password` into a file of the data folder and name it"
            " in gateway.shared_limits_secret_file",
            field=field,
        )
    database = parts.path.removeprefix("/") or "0"
    known = parts.scheme in SCHEMES and bool(parts.hostname)
    if not known or not database.isdecimal() or parts.query or parts.fragment:
        raise ConfigError(f"{field} names no Redis or Valkey server", hint=_HINT, field=field)
    return StoreAddress(parts.hostname or "", port, int(database), SCHEMES[parts.scheme])


def store_secret(path: Path) -> tuple[str, str]:
    """User and password in a file that holds `password` or `user:password`.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        secret = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the password of the shared store cannot be read from {path}: {error}",
            hint="write it there, readable for this account only",
            field="gateway.shared_limits_secret_file",
        ) from error
    user, separator, password = secret.partition(":")
    return (user, password) if separator else ("", secret)
