"""What an operator may set for the JSON API (`[api]` in the settings file)."""

import msgspec

from quartermaster.kernel.errors import ConfigError

MIB = 1_048_576
FILE_BYTES_MAX = 200 * MIB
"""As at OpenAI: the input file of a batch."""
CUSTOMER_FILE_BYTES_MAX = 2_048 * MIB
"""Ten of the largest files; one disk is shared by all customers."""
UPLOAD_SECONDS_MAX = 3_600
"""The largest file at 60 KB a second; what arrives more slowly holds a place that others want."""
FILE_DAYS = 30
"""As at OpenAI: batch files expire after 30 days where nobody says otherwise."""
BATCH_LINES_MAX = 50_000
"""As at OpenAI."""
OPEN_BATCHES_MAX = 20
"""Of one customer; a million requests in the queue, and nobody else's validation waits long."""
BATCH_REQUESTS_AT_ONCE = 8
"""What the runner keeps open at the gateway, of all batches together: a batch may take a day, so it
fills what the interactive load leaves. A thread each."""
BATCH_REQUESTS_AT_ONCE_MAX = 256
"""Each costs a thread and a connection; above it another runner on another machine does more."""


class ApiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of what the console's process serves besides pages.

    That is the API under `/api/v1`, and under `/v1` what gateways relay: customers' files, batches
    and usage.
    """

    enabled: bool = True
    """Whether it answers at all. Without a token it answers nobody."""
    file_bytes_max: int = FILE_BYTES_MAX
    """One file of a customer."""
    customer_file_bytes_max: int = CUSTOMER_FILE_BYTES_MAX
    """All files of a customer together."""
    upload_seconds_max: int = UPLOAD_SECONDS_MAX
    """From the first byte of a file to its last."""
    file_days: int = FILE_DAYS
    """After which a file is deleted; a customer may ask for less, not for more."""
    batch_lines_max: int = BATCH_LINES_MAX
    """Requests in one batch."""
    open_batches_max: int = OPEN_BATCHES_MAX
    """Batches of one customer that are not over."""
    batch_requests_at_once: int = BATCH_REQUESTS_AT_ONCE
    """Lines of batches that are sent to the gateway at the same time."""

    def __post_init__(self) -> None:
        for name, value in msgspec.structs.asdict(self).items():
            high = BATCH_REQUESTS_AT_ONCE_MAX if name == "batch_requests_at_once" else None
            if isinstance(value, bool):
                continue
            if value < 1 or (high is not None and value > high):
                span = "at least 1" if high is None else f"from 1 to {high}"
                raise ConfigError(
                    f"api.{name} = {value!r} cannot be used",
                    hint=f"use a whole number {span}",
                    field=f"api.{name}",
                )
