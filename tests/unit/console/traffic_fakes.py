"""Live traffic for tests: five minutes with a rise, a running stream, and hostile names."""

from dataclasses import dataclass

from tests.unit.console.console_fakes import NOW

from quartermaster.console.ports_traffic import (
    TrafficCustomer,
    TrafficFacts,
    TrafficPoint,
    TrafficRefusals,
    TrafficRequest,
)
from quartermaster.kernel.clock import US_PER_S, Instant

HOSTILE = "=cmd()<b>\"'&{{7*7}}"


def traffic_facts(requests_per_s: float = 31.66) -> TrafficFacts:
    points = tuple(
        TrafficPoint(
            at=Instant(NOW - (60 - n) * 5 * US_PER_S),
            requests_per_s=12 + n / 3 + 4 * (n % 7 == 0),
            tokens_per_s=3_000 + 90 * n,
            refused_per_s=0.4 if n % 9 == 0 else 0.0,
            in_flight=40 + n,
            first_token_ms_p50=None if 20 <= n < 24 else 180 + n,
            first_token_ms_p95=None if 20 <= n < 24 else 420 + 4.5 * n,
        )
        for n in range(60)
    )
    return TrafficFacts(
        workers=2,
        silent=("gateway-2",),
        in_flight=97,
        requests_per_s=requests_per_s,
        tokens_per_s=8_310.4,
        refused_per_s=0.2,
        first_token_ms_p50=238.4,
        first_token_ms_p95=685.2,
        duration_ms_p50=1_812.0,
        duration_ms_p95=14_200.0,
        points=points,
        refusals=(
            TrafficRefusals("rate_limit_exceeded", 11),
            TrafficRefusals("invalid_api_key", 3),
        ),
        customers=(
            TrafficCustomer("cus_1", "ByteDance", 6_120, 1_912_400, 61),
            TrafficCustomer("cus_2", "Northwind Traders", 1_870, 402_113, 22),
            TrafficCustomer("cus_3", HOSTILE, 12, 4_800, 0),
        ),
        customers_since=Instant(NOW - 250 * US_PER_S),
        requests=tuple(_request(n) for n in range(14)),
    )


def _request(n: int) -> TrafficRequest:
    opened = NOW - (14 - n) * 900_000
    running = n in (3, 12, 13)
    failed = n == 7
    waiting = n == 13
    return TrafficRequest(
        request_id=f"req_01HZX{n:021d}",
        name=HOSTILE if n == 5 else ("ByteDance", "Northwind Traders")[n % 2],
        model="llama-3.3-70b",
        endpoint="chat.completions",
        stream=n % 3 != 0,
        opened_at=Instant(opened),
        first_byte_at=None if waiting or failed else Instant(opened + 260_000),
        closed_at=None if running else Instant(opened + 1_400_000 + 60_000 * n),
        status=None if running else 502 if failed else 200,
        reason="upstream_dropped" if failed else "",
        input_tokens=0 if running else 812,
        output_tokens=0 if running else 240,
    )


@dataclass
class FakeTraffic:
    """Every look shows one more request in flight."""

    facts: TrafficFacts
    looks: int = 0

    def traffic(self, now: Instant) -> TrafficFacts:
        self.looks += 1
        return self.facts
