"""What an operator may set about the gateway; every default is a named limit with its reason."""

import re
from typing import Final, Self

import msgspec

from quartermaster.gateway.addresses import Networks, networks
from quartermaster.kernel.errors import ConfigError
from quartermaster.kernel.ring import CAPACITY_MIN
from quartermaster.kernel.shared_store import store_address

# More processes than cores of a large machine; a larger number is a typing error.
WORKERS_MAX = 64
# Ports 847x are unassigned by IANA; the console has 8470 and the embedded model 8472.
PORT = 8471
# Prompts of ten million characters fit; a larger body is a file and belongs to a file endpoint.
BODY_BYTES_MAX = 16 * 1024 * 1024
# The largest file of a batch at OpenAI, with its form around it; it passes through unheld.
UPLOAD_BYTES_MAX = 201 * 1024 * 1024
# nginx allows 4 x 8 KiB, Node 16 KiB; keys and traces fit many times over.
HEAD_BYTES_MAX = 32 * 1024
# A base64 image or audio answer stays under this; above it something is wrong upstream.
ANSWER_BYTES_MAX = 64 * 1024 * 1024
# One SSE frame holds one delta; base64 audio frames are the longest seen, well under 1 MiB.
FRAME_BYTES_MAX = 8 * 1024 * 1024
# A TCP handshake over the widest network takes under a second; five cover two lost SYNs.
CONNECT_TIMEOUT_S = 5
# The OpenAI SDK waits ten minutes for an answer; giving up before the client loses paid work.
FIRST_BYTE_TIMEOUT_S = 600
# Between two chunks of a running stream: reasoning models pause for a minute at most.
IDLE_TIMEOUT_S = 120
# How long a client may take to send a head or a body, and how long an idle connection is kept.
CLIENT_TIMEOUT_S = 75
# Uvicorn and many model servers close idle connections after 5 s; leaving first avoids the race.
UPSTREAM_IDLE_S = 4
# A connection costs some 50 KB with its buffers: both limits together stay under 500 MB.
UPSTREAM_CONNECTIONS_MAX = 4_096
CLIENT_CONNECTIONS_MAX = 4_096
# Open files that are no connection: log segments, status, snapshot, the interpreter's own. Without
# them a flood of idle clients would keep the log from starting its next segment.
FILES_RESERVED = 64
# Whoever hangs up at the very end leaves a second of the answer or two; a server that needs longer
# would go on making tokens that nobody pays for.
HEAR_OUT_S = 2
# Where the contract has the customer pay the whole answer: longer than most answers take.
HEAR_OUT_FULL_S = 60
# A clerk that starts with everything else grants its first lease after three seconds, on a busy
# machine after ten; SDKs wait for minutes, and impatient clients for half a one.
LEASE_WAIT_S = 15
# After a reload the old worker takes no new requests; its streams may end in peace, but a day-long
# one must not keep the old version, with its settings, for a day.
RELOAD_DRAIN_S = 600
# Kubernetes and systemd kill after 30 s and 90 s; leave time to sync the log after the last answer.
DRAIN_TIMEOUT_S = 25


# A line of the access log is some 500 bytes: a file holds about 200 000 requests, five a busy hour.
ACCESS_LOG_BYTES_MAX = 100 * 1024 * 1024
ACCESS_LOG_FILES = 5

# Eight thousand sampled requests of a kilobyte: half a minute of a busy worker's, unread.
RING_BYTES = 8 * 1024 * 1024
# Reading one takes the watcher some 200 us: 200 a second are 4 % of a core, whatever the traffic.
TAP_READS_PER_S = 200

# It names a folder, which must be one of those that the clerk looks into.
_APP_PREFIX: Final = re.compile(r"[a-z][a-z0-9._-]{0,47}")
# What is not named here is a size, a number or a time that must be at least one.
_RANGES: Final[dict[str, tuple[int, int | None]]] = {
    "port": (0, 65_535),
    "workers": (1, WORKERS_MAX),
    "drain_timeout_s": (0, None),
    "reload_drain_s": (0, None),
    "lease_wait_s": (0, None),
    "hear_out_s": (0, None),
    "hear_out_full_s": (0, None),
    "metrics_port": (0, 65_535),
    "ring_bytes": (CAPACITY_MIN, None),
}


class GatewaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of every gateway worker on this machine."""

    host: str = "127.0.0.1"
    port: int = PORT
    workers: int = 1
    trusted_proxies: str = ""
    """Proxies in front, such as `10.0.0.0/8, fd00::/8`: only theirs is the `X-Forwarded-For` that
    says where a client is. Without any, a client is where its connection comes from."""
    app_prefix: str = "gateway"
    """Worker n keeps its log under `<app_prefix>-<n>`; name it per machine when machines share a
    usage table."""
    shared_limits_url: str = ""
    """A Redis or Valkey server in which all workers of all machines share limits and budgets, such
    as `rediss://10.0.0.5:6379/0`; empty keeps both on this machine. One database an
    installation."""
    shared_limits_secret_file: str = ""
    """In the data folder: `password` or `user:password` of that server."""
    control_url: str = ""
    """Where customers' files, batches and usage are answered, such as `http://10.0.0.2:8470`; empty
    is the console of the same settings."""
    tls_certificate: str = ""
    """PEM chain; empty serves plain HTTP (behind nginx or Envoy, or on loopback)."""
    tls_key: str = ""
    body_bytes_max: int = BODY_BYTES_MAX
    upload_bytes_max: int = UPLOAD_BYTES_MAX
    """Of a file for `/v1/files`, which is handed on as it comes."""
    head_bytes_max: int = HEAD_BYTES_MAX
    answer_bytes_max: int = ANSWER_BYTES_MAX
    connect_timeout_s: int = CONNECT_TIMEOUT_S
    first_byte_timeout_s: int = FIRST_BYTE_TIMEOUT_S
    idle_timeout_s: int = IDLE_TIMEOUT_S
    client_timeout_s: int = CLIENT_TIMEOUT_S
    upstream_idle_s: int = UPSTREAM_IDLE_S
    client_connections_max: int = CLIENT_CONNECTIONS_MAX
    """Of one worker; who comes later is hung up on. Both limits shrink where the operating
    system's limit of open files (`ulimit -Hn`) leaves less room."""
    upstream_connections_max: int = UPSTREAM_CONNECTIONS_MAX
    lease_wait_s: int = LEASE_WAIT_S
    """How long a request of a budget waits for its worker's first lease, as after a restart; 0
    refuses it at once."""
    drain_timeout_s: int = DRAIN_TIMEOUT_S
    reload_drain_s: int = RELOAD_DRAIN_S
    hear_out_s: int = HEAR_OUT_S
    """How long a model server may go on after its customer hung up, to learn its own count."""
    hear_out_full_s: int = HEAR_OUT_FULL_S
    """The same where the contract bills cancelled streams in full."""
    ring_bytes: int = RING_BYTES
    """Memory for sampled requests that wait to be read, of a worker with a key whose contract
    permits it; others have none."""
    tap_reads_per_s: int = TAP_READS_PER_S
    """Sampled requests a second that are handed to the watcher, of all customers together."""
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0
    """Where `/metrics` of the whole machine is, apart from the customers' port; 0 is nowhere."""
    access_log: bool = False
    """One JSON line a request, without content, in `log/access-<worker>.jsonl`."""
    access_log_bytes_max: int = ACCESS_LOG_BYTES_MAX
    access_log_files: int = ACCESS_LOG_FILES
    """How many are kept, the current one included."""
    otlp_endpoint: str = ""
    """A collector of OpenTelemetry, such as `http://127.0.0.1:4318`; empty exports no traces."""
    otlp_headers_file: str = ""
    """In the data folder: `name: value` lines that the collector wants, such as its key."""
    otlp_share: float = 1.0
    """Of the requests that come without a trace; one that has a trace says itself whether it is
    recorded."""

    def __post_init__(self) -> None:
        for name, value in msgspec.structs.asdict(self).items():
            if isinstance(value, int) and not isinstance(value, bool):
                low, high = _RANGES.get(name, (1, None))
                if value < low or (high is not None and value > high):
                    span = f"at least {low}" if high is None else f"from {low} to {high}"
                    raise _unusable(name, value, f"use a whole number {span}")
        try:
            networks(self._proxies)
        except ValueError as error:
            hint = "name networks, separated by commas: 10.0.0.0/8, fd00::/8"
            raise _unusable("trusted_proxies", self.trusted_proxies, hint) from error
        if not _APP_PREFIX.fullmatch(self.app_prefix):
            hint = "use a small letter, then at most 47 more, digits, '.', '_' or '-'"
            raise _unusable("app_prefix", self.app_prefix, hint)
        if self.shared_limits_url:
            store_address(self.shared_limits_url, "gateway.shared_limits_url")
        # Written so that a number that is none (`nan`) is refused too.
        if not 0 <= self.otlp_share <= 1:
            raise _unusable("otlp_share", self.otlp_share, "use a share from 0 to 1")

    @property
    def trusted(self) -> Networks:
        """The networks of `trusted_proxies`."""
        return networks(self._proxies)

    @property
    def _proxies(self) -> list[str]:
        return [one for one in self.trusted_proxies.split(",") if one.strip()]

    def within(self, open_files_max: int) -> Self:
        """The same settings with connection limits for which there are file descriptors."""
        room = max(open_files_max - FILES_RESERVED, 2)
        clients, upstream = self.client_connections_max, self.upstream_connections_max
        if clients + upstream <= room:
            return self
        share = max(room * clients // (clients + upstream), 1)
        return msgspec.structs.replace(
            self, client_connections_max=share, upstream_connections_max=room - share
        )


def _unusable(name: str, value: object, hint: str) -> ConfigError:
    field = f"gateway.{name}"
    return ConfigError(f"{field} = {value!r} cannot be used", hint=hint, field=field)
