"""What a request's end means for the customer: the one place that says so.

How a request ended is in its row; which counts are owed for it follows from the contract's policy
for cancelled streams, which admission copied onto the row (`Opened.cancelled_stream`):

- `bill_delivered`: the row's counts, which are what had been delivered;
- `bill_full`: the row's counts, which are the upstream's own totals where it told them in time;
- `free`: nothing for a stream that the client left, or that broke off before its end.

A stream that the upstream broke off bills the row's counts: what was delivered, never more, under
any policy. Where the upstream counted something else, `Closed.upstream_counts` keeps it beside
them. Every row stays in the table with its counts, whatever is billed. An attempt that another one
took the place of (`Closed.cost_only`) is never billed at all: it is the seller's cost.
"""

from quartermaster.kernel.contract import CancelledStream
from quartermaster.kernel.events import Closed, Opened, Progress, UsageStatus
from quartermaster.kernel.units import Counts

CLIENT_GONE = "client_gone"
"""`Closed.failure`: the client left, so there is no last byte to hand over."""

WORKER_DIED = "worker_died"
"""`Closed.failure`: written by recovery for a request that was open when its worker died."""


def status_of(closed: Closed, *, delivered: bool) -> UsageStatus:
    """How sure we are that the request ended as its close record says."""
    if closed.failure == WORKER_DIED:
        return "aborted"
    if delivered or closed.cost_only or closed.failure == CLIENT_GONE:
        return "closed"
    return "closed_unconfirmed"


def aborted(opened: Opened, progress: Progress | None) -> Closed:
    """The close record of a request whose worker died: its last durable progress, never more.

    It holds no clock reading, so recovering the same log twice gives the same row.
    """
    return Closed(
        closed_at=progress.at if progress else opened.opened_at,
        first_byte_at=0,
        http_status=0,
        counts=progress.counts if progress else Counts(),
        count_source=progress.count_source if progress else "estimated",
        finish_reason="",
        upstream_id="",
        upstream_usage=b"",
        delivered_chunks=progress.delivered_chunks if progress else 0,
        failure=WORKER_DIED,
    )


FOR_REVIEW = (
    "usage_negative",
    "usage_too_large",
    "usage_parts_exceed_total",
    "usage_incomplete",
    "usage_unreadable",
    "usage_unit_unknown",
    "usage_above_reserve",
    "output_above_cap",
)
"""`Closed.failure`: the model server's counts were not billed as they came, and a person should
look at why; what it said is kept in the row."""


WAIVING_POLICY: CancelledStream = "free"
WAIVED_FAILURES = (
    CLIENT_GONE,
    WORKER_DIED,
    "upstream_dropped",
    "upstream_malformed",
    "upstream_error",
    "upstream_timeout",
)


def is_waived(policy: CancelledStream, failure: str) -> bool:
    """Whether the contract leaves this row's counts unbilled; queries say the same in columns."""
    return policy == WAIVING_POLICY and failure in WAIVED_FAILURES
