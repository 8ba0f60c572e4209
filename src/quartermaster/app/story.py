"""One real request, from answer to risk, printed for a newcomer."""

import http.client
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial, reduce

import msgspec

from quartermaster.app import live, own_gateway
from quartermaster.app.rooms import Rooms
from quartermaster.app.supervisor import Supervisor
from quartermaster.billing.document import plain
from quartermaster.billing.rate import Rated, RatedLine, rate
from quartermaster.exposure.concentration import concentration
from quartermaster.exposure.rollup import measure
from quartermaster.kernel.clock import US_PER_HOUR
from quartermaster.kernel.errors import UpstreamError
from quartermaster.kernel.events import HourlyUsage, UsageEvent
from quartermaster.kernel.money import EXACT
from quartermaster.sim.book import sample_book

QUESTION = "In one sentence, why should every token be counted exactly once?"
TOY = "toy"
ANSWER_TOKENS_MAX = 48
"""Under a second of the embedded model on one core, and enough for a sentence."""
ANSWER_TIMEOUT_S = 60.0
"""At one token a second, the slowest seen on a contended machine, the answer is still complete."""
BUSY_TIMEOUT_S = 20.0
"""After a start a budget is spent from leases, which the clerk gives out within seconds."""
METERED_TIMEOUT_S = 20.0
"""Sealing takes 2 s and shipping 0.5 s; the rest is room for a busy machine."""
# Amounts of one short request are far below a cent; shares do not change with the unit.
_SHARE_SCALE = 12


_Answer = tuple[bytes, str]
"""Its body, and the id of the request."""


class _BusyError(UpstreamError):
    """Refused for now."""


class _Message(msgspec.Struct):
    content: str


class _Choice(msgspec.Struct):
    message: _Message


class _Completion(msgspec.Struct):
    model: str
    choices: list[_Choice]


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


class _ModelHealth(msgspec.Struct):
    fallback_reason: str = ""


def tell(
    rooms: Rooms,
    secret: str,
    *,
    sample: bool,
    supervisor: Supervisor,
    show: Callable[[str], None],
) -> str:
    """Send one chat completion and print answer, usage fact, rated line and exposure.

    Returns:
        The model that answered: the real one where it is up, else the toy.

    Raises:
        UpstreamError: the gateway did not answer.
        UnavailableError: the usage did not arrive in the table.
    """
    model, answer, request_id = _ask(rooms, secret, supervisor)
    show(f"Answer       {model}: {' '.join(answer.split())}")
    if model == TOY and (reason := _why_toy(rooms)):
        show(f"Toy model    {reason}")
    supervisor.wait_until(
        lambda: _find(rooms, request_id) is not None, "the usage fact", METERED_TIMEOUT_S
    )
    book = live.read(rooms.var)
    event = _find(rooms, request_id)
    assert book is not None, "waited for"
    assert event is not None, "waited for"
    show(f"Usage fact   {_fact_line(event)}")
    rated = _rated(rooms, event)
    for rated_line in rated.lines:
        show(f"Rated line   {_price_line(rated_line)}")
    for entry in rated.unpriced:
        show(f"No price     {entry.quantity} {entry.axis}: {entry.reason}")
    for line in _real_exposure(book, event.opened.contract):
        show(line)
    if sample:
        for line in _sample_exposure():
            show(line)
    return model


def snippets(base_url: str, secret: str, model: str) -> Iterator[str]:
    """Lines to paste: curl, then the unmodified OpenAI SDK."""
    yield "Paste into a shell:"
    yield (
        f"  curl -s {base_url}/chat/completions -H 'Authorization: Bearer {secret}' "
        "-H 'Content-Type: application/json' "
        f"""-d '{{"model": "{model}", "messages": [{{"role": "user", """
        """"content": "Hello"}], "max_tokens": 32}'"""
    )
    yield "Or into Python (pip install openai):"
    yield "  from openai import OpenAI"
    yield f'  client = OpenAI(base_url="{base_url}", api_key="{secret}")'
    yield "  reply = client.chat.completions.create("
    yield f'      model="{model}", max_tokens=32,'
    yield '      messages=[{"role": "user", "content": "Hello"}])'
    yield "  print(reply.choices[0].message.content, reply.usage)"


def _ask(rooms: Rooms, secret: str, supervisor: Supervisor) -> tuple[str, str, str]:
    served = msgspec.json.decode(_call(rooms, secret, "GET", "/v1/models")[0], type=_Models)
    names = [model.id for model in served.data]
    model = _embedded(rooms, names)
    question = {
        "model": model,
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": ANSWER_TOKENS_MAX,
        "temperature": 0,
    }
    ask = partial(_call, rooms, secret, "POST", "/v1/chat/completions", question)
    data, request_id = _when_free(ask, supervisor)
    completion = msgspec.json.decode(data, type=_Completion)
    return completion.model, completion.choices[0].message.content, request_id


def _when_free(ask: Callable[[], _Answer], supervisor: Supervisor) -> _Answer:
    """The answer, once what it may spend is not held elsewhere.

    Raises:
        UpstreamError: it is refused, or stays held.
    """
    end = time.monotonic() + BUSY_TIMEOUT_S
    found: list[_Answer] = []

    def ready() -> bool:
        try:
            found.append(ask())
        except _BusyError:
            if time.monotonic() > end:
                raise
        return bool(found)

    # The supervisor's own end comes after ours, which says why.
    supervisor.wait_until(ready, "the first request", 2 * BUSY_TIMEOUT_S)
    return found[-1]


def _embedded(rooms: Rooms, names: list[str]) -> str:
    """The real embedded model where it is up, else the toy."""
    up = msgspec.json.decode(_from_model(rooms, "/v1/models"), type=_Models)
    loaded = [model.id for model in up.data if model.id in names]
    return next((name for name in loaded if name != TOY), TOY)


def _why_toy(rooms: Rooms) -> str:
    """Why the real model is not up, with the remedy; empty where the settings ask for the toy."""
    if rooms.settings.model.engine == TOY:
        return ""
    return msgspec.json.decode(_from_model(rooms, "/healthz"), type=_ModelHealth).fallback_reason


def _from_model(rooms: Rooms, path: str) -> bytes:
    connection = http.client.HTTPConnection(
        "127.0.0.1", rooms.settings.model.port, timeout=ANSWER_TIMEOUT_S
    )
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def _call(
    rooms: Rooms, secret: str, method: str, path: str, body: object = None
) -> tuple[bytes, str]:
    connection = own_gateway.connect(rooms.settings.gateway, timeout_s=ANSWER_TIMEOUT_S)
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    try:
        data = None if body is None else msgspec.json.encode(body)
        connection.request(method, path, data, headers)
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise UpstreamError(f"the gateway did not answer {path}: {error}") from error
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        later = response.status == http.HTTPStatus.TOO_MANY_REQUESTS
        error_type = _BusyError if later and "retry-after" in response.headers else UpstreamError
        raise error_type(
            f"the gateway answered {path} with {response.status}: {answer.decode(errors='replace')}"
        )
    return answer, response.headers["x-request-id"]


def _find(rooms: Rooms, request_id: str) -> UsageEvent | None:
    book = live.read(rooms.var)
    events = () if book is None else book.recent
    return next((event for event in events if event.opened.request_id == request_id), None)


def _fact_line(event: UsageEvent) -> str:
    counts = ", ".join(f"{n} {axis}" for axis, n in event.closed.counts.items())
    return (
        f"{event.opened.request_id} {event.status}: {counts} tokens "
        f"(counted by {event.closed.count_source}), segment {event.app_id}:{event.segment}"
    )


def _rated(rooms: Rooms, event: UsageEvent) -> Rated:
    opened, view = event.opened, rooms.book.view()
    usage = HourlyUsage(
        customer=opened.customer,
        contract=opened.contract,
        contract_version=opened.contract_version,
        price_book=opened.price_book,
        project=opened.project,
        key_id=opened.key_id,
        model=opened.model,
        deployment=opened.deployment,
        service_class=opened.service_class,
        hour=opened.opened_at - opened.opened_at % US_PER_HOUR,
        requests=1,
        counts=event.closed.counts,
    )
    books = [book for versions in view.price_books.values() for book in versions]
    return rate([usage], view.contracts[opened.contract], books)


def _price_line(line: RatedLine) -> str:
    return (
        f"{line.quantity} {line.axis} x {line.price} {line.currency} per 1M tokens "
        f"= {plain(line.amount)} {line.currency}"
    )


def _real_exposure(book: live.LiveBook, contract: str) -> Iterator[str]:
    """Of the contract's newest month, in its currency."""
    newest = max(
        (row for row in book.revenue if row.contract == contract), key=lambda row: row.month
    )
    month, currency = newest.month, newest.currency
    names: dict[str, str] = {}
    groups: dict[str, Decimal] = {}
    for row in book.revenue:
        if (row.month, row.currency) == (month, currency) and row.amount:
            names[row.group] = row.group_name
            groups[row.group] = EXACT.add(groups.get(row.group, Decimal(0)), row.amount)
    if not groups:
        yield f"Revenue      none yet in {month}: everything waits for a price"
        return
    total = reduce(EXACT.add, groups.values())
    largest = names[max(groups, key=lambda group: groups[group])]
    indices = concentration([int(amount.scaleb(_SHARE_SCALE)) for amount in groups.values()])
    yield (
        f"Revenue      {plain(total)} {currency} metered in {month}, of which {largest} "
        f"{indices.cr1:.1%}; HHI {indices.hhi_points:.0f} points, "
        f"{indices.effective_number:.1f} effective customers"
    )


def _sample_exposure() -> Iterator[str]:
    exposure = measure(sample_book(), scope="Azure OpenAI, sample book", months=1)
    first, indices = exposure.groups[0], exposure.concentration
    yield (
        f"Sample book  {first.group} is {first.share:.1%} of the revenue of "
        f"{exposure.denominator.scope} in {exposure.denominator.last}; HHI "
        f"{indices.hhi_points:.0f} points, {indices.effective_number:.1f} effective customers "
        f"of {indices.count} (invented world, never mixed with real usage)"
    )
