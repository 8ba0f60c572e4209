"""The live panel in words and rows. Always real traffic, never the sample book."""

from decimal import Decimal

import msgspec

from quartermaster.console.format import day, money_shown, month_long, number, time_of_day
from quartermaster.console.language import Words
from quartermaster.console.ports import LiveFacts, MeteredRequest, WorkerLive
from quartermaster.kernel.clock import US_PER_S, Instant, as_datetime

LIVE_POLL_S = 2
"""Workers report once a second; two looks are enough to feel live and cost one small query."""
SILENT_AFTER_S = 5
"""A worker out of contact for longer is shown as silent and not counted."""
LAST_REQUESTS_MAX = 10
"""What fits under the numbers without scrolling past them; the usage command shows all."""
REQUEST_ID_CHARS_SHOWN = 12
"""The random end of an id tells requests apart; the whole id is in the CSV and the hover text."""


class RequestRow(msgspec.Struct, frozen=True):
    """One metered request as shown."""

    request_id: str
    short_id: str
    time: str
    customer: str
    model: str
    input_tokens: str
    output_tokens: str
    status: str
    status_kind: str
    count_source: str


class LiveView(msgspec.Struct, frozen=True):
    """Everything the live panel shows."""

    requests_per_s: str
    in_flight: str
    refused: str
    refusals: tuple[tuple[str, str], ...]
    workers: str
    silent: tuple[str, ...]
    total: str
    last: tuple[RequestRow, ...]
    updated: str
    sentence: str


def view_of(facts: LiveFacts, words: Words, now: Instant) -> LiveView:
    """Lay the facts out for a reader."""
    lang = words.lang
    heard = [w for w in facts.workers if now - w.reported_at <= SILENT_AFTER_S * US_PER_S]
    rate = number(sum((w.requests_per_s for w in heard), Decimal(0)), lang, decimals=1)
    in_flight = number(sum(w.in_flight for w in heard), lang)
    refused = number(sum(refusal.requests for refusal in facts.refusals), lang)
    return LiveView(
        requests_per_s=rate,
        in_flight=in_flight,
        refused=refused,
        refusals=tuple((r.reason, number(r.requests, lang)) for r in facts.refusals),
        workers=words("live.workers", count=number(len(heard), lang)),
        silent=(
            *_silent(facts.workers, heard, now, words),
            *(words("live.cut_off", worker=w.app_id) for w in heard if w.out_of_contact),
        ),
        total=_total(facts, words),
        last=tuple(_row(request, words, now) for request in facts.last[:LAST_REQUESTS_MAX]),
        updated=words("live.updated", time=time_of_day(now)),
        sentence=words("live.sentence", rate=rate, in_flight=in_flight, refused=refused),
    )


def _silent(
    workers: tuple[WorkerLive, ...], heard: list[WorkerLive], now: Instant, words: Words
) -> tuple[str, ...]:
    return tuple(
        words(
            "live.silent",
            worker=worker.app_id,
            seconds=number((now - worker.reported_at) // US_PER_S, words.lang),
        )
        for worker in workers
        if worker not in heard
    )


def _total(facts: LiveFacts, words: Words) -> str:
    total, lang = facts.total, words.lang
    if total is None:
        return words("live.total_none")
    places = {
        "month": month_long(total.period, lang),
        "requests": number(total.requests, lang),
        "tokens": number(total.tokens, lang),
    }
    if total.rated is None:
        metered = words("live.total", **places)
    else:
        rated = money_shown(total.rated, total.currency, lang)
        metered = words("live.total_rated", rated=rated, **places)
    if not total.unpriced:
        return metered
    return f"{metered} {words('live.unpriced', count=number(total.unpriced, lang))}"


def _when(at: Instant, now: Instant, words: Words) -> str:
    """The time, with its day where that is not today's."""
    on = as_datetime(at).date()
    if on == as_datetime(now).date():
        return time_of_day(at)
    return f"{day(on, words.lang)}, {time_of_day(at)}"


def _row(request: MeteredRequest, words: Words, now: Instant) -> RequestRow:
    return RequestRow(
        request_id=request.request_id,
        short_id=short_id(request.request_id),
        time=_when(request.at, now, words),
        customer=request.customer,
        model=request.model,
        input_tokens=number(request.input_tokens, words.lang),
        output_tokens=number(request.output_tokens, words.lang),
        status=words(f"status.{request.status}"),
        status_kind=request.status,
        count_source=words(f"count_source.{request.count_source}"),
    )


def short_id(request_id: str) -> str:
    """The end of a request's id: what tells it from its neighbours."""
    return "…" + request_id[-REQUEST_ID_CHARS_SHOWN:]
