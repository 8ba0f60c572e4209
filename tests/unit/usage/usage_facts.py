"""Usage facts for tests: short to write, complete to read."""

from msgspec.structs import replace

from quartermaster.kernel.contract import CancelledStream
from quartermaster.kernel.events import (
    UPSTREAM_TEXT_CHARS_MAX,
    UPSTREAM_USAGE_BYTES_MAX,
    Closed,
    Opened,
    Progress,
)
from quartermaster.kernel.units import Counts, ServiceClass

NOON = 1_790_000_000_000_000
"""Some instant: 2026-09-21 14:13:20 UTC."""
HOUR = 3_600_000_000


def request_id(number: int) -> str:
    return f"req_{number:026d}"


def opened(
    number: int,
    *,
    at: int = NOON,
    customer: str = "cus_tiktok",
    model: str = "toy",
    policy: CancelledStream = "bill_delivered",
    service_class: ServiceClass = "standard",
    attempt: int = 0,
) -> Opened:
    return Opened(
        request_id=request_id(number),
        attempt=attempt,
        opened_at=at,
        customer=customer,
        project="default",
        key_id="key_1",
        contract="ctr_1",
        contract_version=1,
        price_book="pb_1",
        price_book_version=1,
        model=model,
        deployment="embedded",
        endpoint="chat.completions",
        service_class=service_class,
        stream=True,
        cancelled_stream=policy,
        input_bytes=400,
    )


def closed(number: int = 50, *, at: int = NOON + 5, failure: str = "") -> Closed:
    return Closed(
        closed_at=at,
        first_byte_at=at - 3,
        http_status=200,
        counts=Counts(input=100, output=number),
        count_source="upstream",
        finish_reason="stop",
        upstream_id="chatcmpl-1",
        upstream_usage=b'{"prompt_tokens":100}',
        delivered_chunks=number,
        failure=failure,
    )


def closed_with_the_longest_texts() -> Closed:
    text = "\N{SNOWMAN}" * UPSTREAM_TEXT_CHARS_MAX
    usage = bytes(UPSTREAM_USAGE_BYTES_MAX)
    return replace(closed(), finish_reason=text, upstream_id=text, upstream_usage=usage)


def progress(number: int, *, at: int = NOON + 3) -> Progress:
    return Progress(
        at=at, delivered_chunks=number, counts=Counts(output=number), count_source="estimated"
    )
