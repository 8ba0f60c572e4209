"""What an operator may set for the console (`[console]` in the settings file)."""

import msgspec

from quartermaster.kernel.errors import ConfigError

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
"""Names under which a browser on this machine reaches the console."""

PORT_MAX = 65_535
"""The largest TCP port."""


class ConsoleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of the console; the defaults serve this machine only."""

    host: str = "127.0.0.1"
    """Address to listen on. Put a TLS proxy before any other than loopback."""
    port: int = 8470
    allowed_hosts: tuple[str, ...] = ()
    """Host names, besides loopback, that a request may name; others are refused, so that a page
    on the open web cannot reach the console by pointing its own name at this machine."""
    behind_tls: bool = False
    """Set where a TLS proxy stands before the console: cookies are then sent over HTTPS only."""
    session_cookie: str = "quartermaster_session"

    def __post_init__(self) -> None:
        if not 0 <= self.port <= PORT_MAX:
            raise ConfigError(f"console.port {self.port} is not a port", field="console.port")
        if any(
            "/" in name or (":" in name.strip("[]") and "." in name) for name in self.allowed_hosts
        ):
            raise ConfigError(
                "console.allowed_hosts holds something that is not a host name",
                hint='write names without scheme and port: ["console.example.com"]',
                field="console.allowed_hosts",
            )

    @property
    def url(self) -> str:
        """The address for a browser on this machine."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def hosts(self) -> frozenset[str]:
        """Every host name a request may name, in lower case."""
        return frozenset(
            name.strip("[]").lower() for name in (*LOOPBACK_NAMES, *self.allowed_hosts)
        )
