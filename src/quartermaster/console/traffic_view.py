"""The live-traffic page in words, rows and pictures. Always real traffic, never the sample book."""

from decimal import Decimal
from typing import Final

import msgspec
from markupsafe import Markup

from quartermaster.console.figures_traffic import Bar, Line, minutes_line, timeline
from quartermaster.console.format import NBSP, number, percent, time_of_day
from quartermaster.console.language import Words
from quartermaster.console.live_view import short_id
from quartermaster.console.overview_view import PHONE_PX, WIDE_PX, Picture, Tile
from quartermaster.console.ports_traffic import TrafficFacts, TrafficRequest
from quartermaster.kernel.clock import Instant

TRAFFIC_POLL_S: Final = 2
"""Workers write once a second; two looks are enough to feel live."""
US_PER_MS: Final = 1_000
MS_PER_S: Final = 1_000
# From here on, a time is read in seconds.
SECONDS_FROM_MS: Final = 10_000


class CustomerRow(msgspec.Struct, frozen=True):
    """A busy customer as shown."""

    name: str
    requests: str
    tokens: str
    share: str
    in_flight: str


class RequestRow(msgspec.Struct, frozen=True):
    """One request as shown."""

    request_id: str
    short_id: str
    time: str
    customer: str
    model: str
    first_byte: str
    took: str
    tokens: str
    state: str
    kind: str
    """`running`, `closed` or `aborted`: its class."""


class TrafficView(msgspec.Struct, frozen=True):
    """Everything the page shows."""

    finding: str
    tiles: tuple[Tile, ...]
    silent: tuple[str, ...]
    rates: tuple[Picture, ...]
    refusals: tuple[tuple[str, str], ...]
    customers: tuple[CustomerRow, ...]
    customers_caption: str
    requests: Picture | None
    rows: tuple[RequestRow, ...]
    updated: str
    idle: bool
    """Nobody reports, so that there is nothing to show."""


def view_of(facts: TrafficFacts, words: Words, now: Instant) -> TrafficView:
    """Lay the facts out for a reader.

    Args:
        facts: what the gateways say.
        words: of the page, in the reader's language.
        now: microseconds UTC.
    """
    lang = words.lang
    finding = words(
        "finding.now",
        rate=_rate(facts.requests_per_s, words),
        tokens=_rate(facts.tokens_per_s, words),
        in_flight=number(facts.in_flight, lang),
    )
    since = facts.customers_since
    caption = words("customers.caption", time=time_of_day(since)) if since else ""
    return TrafficView(
        finding=finding if facts.workers else words("finding.nobody"),
        tiles=_tiles(facts, words),
        silent=tuple(words("page.silent", worker=name) for name in facts.silent),
        rates=_rates(facts, words) if len(facts.points) > 1 else (),
        refusals=tuple((each.reason, number(each.requests, lang)) for each in facts.refusals),
        customers=_customers(facts, words),
        customers_caption=caption,
        requests=_timeline(facts, words, now) if facts.requests else None,
        rows=tuple(_row(each, words, now) for each in reversed(facts.requests)),
        updated=words("page.updated", time=time_of_day(now)),
        idle=not facts.workers,
    )


def _tiles(facts: TrafficFacts, words: Words) -> tuple[Tile, ...]:
    lang = words.lang
    median, slow = facts.first_token_ms_p50, facts.first_token_ms_p95
    whole = (facts.duration_ms_p50, facts.duration_ms_p95)
    took = words("tile.duration_note", p50=_ms(whole[0], words), p95=_ms(whole[1], words))
    return (
        Tile(
            "traffic",
            words("tile.requests"),
            _rate(facts.requests_per_s, words),
            words("tile.requests_note", count=number(facts.workers, lang)),
        ),
        Tile(
            "first_token",
            words("tile.first_token"),
            f"{_ms(median, words)} / {_ms(slow, words)}",
            took if whole[0] is not None else words("tile.duration_none"),
        ),
        Tile(
            "traffic",
            words("tile.tokens"),
            _rate(facts.tokens_per_s, words),
            words("tile.tokens_note"),
        ),
        Tile(
            "traffic",
            words("tile.in_flight"),
            number(facts.in_flight, lang),
            words("tile.refused_note", rate=_rate(facts.refused_per_s, words)),
        ),
    )


def _rates(facts: TrafficFacts, words: Words) -> tuple[Picture, ...]:
    points = facts.points
    requests = _line(words("figure.requests"), [point.requests_per_s for point in points])
    refused = Line(
        words("figure.refused"), tuple(point.refused_per_s for point in points), "risk-tick"
    )
    median = _line(words("figure.median"), [point.first_token_ms_p50 for point in points])
    slow = Line(words("figure.slow"), tuple(point.first_token_ms_p95 for point in points), "tick")
    tokens = _line(words("figure.tokens"), [point.tokens_per_s for point in points])
    return (
        _picture((requests, refused), "requests", facts, words),
        _picture((median, slow), "first_token", facts, words),
        _picture((tokens,), "tokens", facts, words),
    )


def _line(label: str, values: list[float | None] | list[float]) -> Line:
    return Line(label, tuple(values))


def _picture(lines: tuple[Line, ...], name: str, facts: TrafficFacts, words: Words) -> Picture:
    times = [point.at for point in facts.points]
    known = [value for value in lines[0].values if value is not None]
    if name == "first_token":
        highest, latest = _ms(max(known, default=None), words), _ms(_last(known), words)
    else:
        highest, latest = _rate(max(known, default=0.0), words), _rate(_last(known) or 0.0, words)
    caption = words(f"figure.{name}_caption", step=number(facts.step_s, words.lang))
    desc = words("figure.desc", highest=highest, latest=latest)

    def drawn(width: int, where: str) -> Markup:
        # Markup from svg.py, which escapes every word itself.
        return Markup(  # noqa: S704
            minutes_line(
                lines,
                times,
                title=words(f"figure.{name}_title"),
                desc=f"{caption} {desc}",
                unit=words(f"figure.{name}_unit"),
                lang=words.lang,
                width=width,
                name=f"traffic-{name}-{where}",
            )
        )

    return Picture(drawn(WIDE_PX, "wide"), drawn(PHONE_PX, "phone"), caption)


def _timeline(facts: TrafficFacts, words: Words, now: Instant) -> Picture:
    bars = [_bar(one, words, now) for one in facts.requests]
    caption = words("timeline.caption")

    def drawn(width: int, where: str) -> Markup:
        return Markup(  # noqa: S704
            timeline(
                bars,
                now=now,
                title=words("timeline.title"),
                desc=words("timeline.desc", count=number(len(bars), words.lang)),
                width=width,
                name=f"traffic-timeline-{where}",
            )
        )

    return Picture(drawn(WIDE_PX, "wide"), drawn(PHONE_PX, "phone"), caption)


def _bar(one: TrafficRequest, words: Words, now: Instant) -> Bar:
    row = _row(one, words, now)
    return Bar(
        label=f"{one.name} · {one.model}",
        hint=" · ".join((one.request_id, row.state, row.took, row.tokens)),
        start=one.opened_at,
        first=one.first_byte_at,
        end=one.closed_at,
        failed=_failed(one),
    )


def _row(one: TrafficRequest, words: Words, now: Instant) -> RequestRow:
    lang = words.lang
    end = one.closed_at or now
    first_ms = None
    if one.first_byte_at is not None:
        first_ms = max(one.first_byte_at - one.opened_at, 0) / US_PER_MS
    running = one.closed_at is None
    state = words("state.running") if running else one.reason or words("state.served")
    kind = "running" if running else "aborted" if _failed(one) else "closed"
    counts = (number(one.input_tokens, lang), number(one.output_tokens, lang))
    return RequestRow(
        request_id=one.request_id,
        short_id=short_id(one.request_id),
        time=time_of_day(one.opened_at),
        customer=one.name,
        model=one.model,
        first_byte=_ms(first_ms, words),
        took=_ms(max(end - one.opened_at, 0) / US_PER_MS, words),
        tokens="–" if running else words("state.tokens", input=counts[0], output=counts[1]),
        state=state,
        kind=kind,
    )


def _failed(one: TrafficRequest) -> bool:
    return one.status is not None and (one.status != 200 or bool(one.reason))


def _customers(facts: TrafficFacts, words: Words) -> tuple[CustomerRow, ...]:
    lang = words.lang
    total = max(sum(each.tokens for each in facts.customers), 1)
    return tuple(
        CustomerRow(
            name=each.name,
            requests=number(each.requests, lang),
            tokens=number(each.tokens, lang),
            share=percent(Decimal(each.tokens) / Decimal(total), lang),
            in_flight=number(each.in_flight, lang),
        )
        for each in facts.customers
    )


def _last(values: list[float]) -> float | None:
    return values[-1] if values else None


def _rate(value: float, words: Words) -> str:
    """One decimal while it matters."""
    return number(Decimal(str(value)), words.lang, decimals=0 if value >= 100 else 1)


def _ms(value: float | None, words: Words) -> str:
    """A time to three digits or so; a dash where there is none."""
    if value is None:
        return "–"
    if value >= SECONDS_FROM_MS:
        return number(Decimal(str(value / MS_PER_S)), words.lang, decimals=1) + f"{NBSP}s"
    decimals = 1 if value < 10 else 0
    return number(Decimal(str(value)), words.lang, decimals=decimals) + f"{NBSP}ms"
