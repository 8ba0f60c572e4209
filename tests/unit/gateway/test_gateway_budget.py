"""What a request can cost at most, what is set aside for it, and what of a claim is billed."""

import base64
import json
from typing import Any

import pytest
from tests.unit.gateway.gateway_fakes import HELLO, Bench, plain_response

from quartermaster.gateway.budget import (
    ABOVE_RESERVE,
    Budgeted,
    BudgetSpentError,
    Purses,
    within,
    worst_case,
)
from quartermaster.gateway.budget_bound import (
    FILE_TOKENS_MAX,
    IMAGE_OUTPUT_TOKENS_MAX,
    IMAGE_TOKENS_MAX,
    TEMPLATE_TOKENS,
    Bound,
    bound,
)
from quartermaster.gateway.dialects.plan import read_call
from quartermaster.gateway.limits import Permit
from quartermaster.gateway.meter import Metered
from quartermaster.kernel.budget import BudgetGrant, Epoch, Rates, nanos, rates_of
from quartermaster.kernel.errors import RefusedError
from quartermaster.kernel.events import DeploymentApi, Endpoint
from quartermaster.kernel.lease import GrantedLease, Life
from quartermaster.kernel.price import Price, PriceBook
from quartermaster.kernel.units import Counts

CAP = 4_096
CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
IMAGE = "data:image/png;base64," + base64.b64encode(bytes(30_000)).decode()
EPOCHS = (Epoch("2026-11@1", "2026-11", 0, 100), Epoch("2026-12@1", "2026-12", 100, 200))
GRANT = BudgetGrant("key", "k", "USD", EPOCHS)
RATES = Rates(150_000, 75_000, 150_000, 600_000, 600_000, 150_000, 600_000, 0)
OWN = Budgeted((GRANT,), {"m": RATES})


def asked(
    body: dict[str, Any], operation: Endpoint = "chat.completions", api: DeploymentApi = "openai"
) -> tuple[Bound, dict[str, Any]]:
    """The bound of a request, and what goes upstream."""
    data = json.dumps(body).encode()
    call = read_call(operation, data)
    most = bound(call, data, operation, api, CAP)
    return most, {name: json.loads(bytes(raw)) for name, raw in call.fields.items()}


def parts(*content: dict[str, Any]) -> dict[str, Any]:
    return {**CHAT, "messages": [{"role": "user", "content": list(content)}]}


@pytest.mark.parametrize(
    ("operation", "api", "name"),
    [
        ("chat.completions", "openai", "max_tokens"),
        ("chat.completions", "anthropic", "max_tokens"),
        ("chat.completions", "azure", "max_completion_tokens"),
        ("chat.completions", "openai-responses", "max_completion_tokens"),
        ("completions", "openai", "max_tokens"),
        ("responses", "openai", "max_output_tokens"),
    ],
)
def test_an_answer_without_a_cap_gets_one(
    operation: Endpoint, api: DeploymentApi, name: str
) -> None:
    body = {"model": "m", "messages": CHAT["messages"], "prompt": "Hi", "input": "Hi"}
    body.pop("prompt" if operation == "responses" else "input")
    most, sent = asked(body, operation, api)
    assert sent[name] == CAP
    assert most.output_tokens == CAP


@pytest.mark.parametrize("api", ["openai", "azure", "anthropic", "openai-responses"])
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_stated_cap_gets_no_second_one(api: DeploymentApi, name: str) -> None:
    # Azure and OpenAI answer 400 to a request that states both.
    most, sent = asked({**CHAT, name: 7}, api=api)
    assert {key: value for key, value in sent.items() if key.startswith("max_")} == {name: 7}
    assert most.output_tokens == 7


@pytest.mark.parametrize(
    ("fields", "output"),
    [
        ({"max_tokens": 10}, 10),
        ({"max_completion_tokens": 10}, 10),
        ({"max_tokens": 10, "max_completion_tokens": 70}, 70),
        ({"max_tokens": None}, CAP),
        ({"max_tokens": 10, "n": 5}, 50),
        ({"max_tokens": 10, "n": 2, "best_of": 7}, 70),
        ({"n_predict": 9_000, "max_tokens": 10}, 9_000),
        ({"n_predict": 10}, CAP),
    ],
)
def test_output_is_the_cap_times_the_answers(fields: dict[str, Any], output: int) -> None:
    assert asked({**CHAT, **fields})[0].output_tokens == output


def test_every_prompt_of_a_legacy_completion_is_answered() -> None:
    for prompt, times in (("a", 1), (["a", "b", "c"], 3), ([1, 2, 3], 1), ([[1], [2]], 2)):
        body = {"model": "m", "prompt": prompt, "max_tokens": 7, "n": 2}
        assert asked(body, "completions")[0].output_tokens == 14 * times


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "n", "best_of"])
@pytest.mark.parametrize("value", ["5", 0, -1, 1.5, True, [3]])
def test_what_multiplies_money_is_a_whole_number(name: str, value: object) -> None:
    with pytest.raises(RefusedError) as caught:
        asked({**CHAT, name: value})
    assert (caught.value.http_status, caught.value.field) == (400, name)


def test_text_is_bound_by_its_bytes() -> None:
    most, _ = asked(CHAT)
    assert most.input_tokens == len(json.dumps(CHAT)) + TEMPLATE_TOKENS
    spelled = parts({"type": "text", "text": "Hello"}, {"type": "text", "text": "there"})
    assert asked(spelled)[0].input_tokens == len(json.dumps(spelled)) + TEMPLATE_TOKENS


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        ({"type": "image_url", "image_url": {"url": IMAGE}}, IMAGE_TOKENS_MAX),
        ({"type": "image_url", "image_url": {"url": "https://x.io/a.png"}}, IMAGE_TOKENS_MAX),
        ({"image_url": {"url": "https://x.io/a.png"}}, IMAGE_TOKENS_MAX),
        ({"type": "input_audio", "input_audio": {"data": IMAGE[22:]}}, FILE_TOKENS_MAX),
        ({"type": "file", "file": {"file_id": "f"}, "role": "user"}, FILE_TOKENS_MAX),
        ({"type": "hologram"}, FILE_TOKENS_MAX),
    ],
)
def test_a_part_that_is_no_text_has_a_bound(part: dict[str, Any], tokens: int) -> None:
    text = {"type": "text", "text": "What is this?"}
    plain = asked(parts(text))[0].input_tokens
    one, two = (asked(parts(text, *[part] * count))[0].input_tokens for count in (1, 2))
    assert tokens <= one - plain < tokens + 200
    assert tokens <= two - one < tokens + 200


def test_images_made_from_images_have_a_bound_each() -> None:
    body = {"model": "m", "prompt": "x", "images": [{"image_url": "https://x.io/a.png"}] * 2}
    most, _ = asked({**body, "n": 3, "mask": {"image_url": "https://x.io/m.png"}}, "images.edits")
    assert most.images == 3
    assert most.output_tokens == 3 * IMAGE_OUTPUT_TOKENS_MAX
    assert most.input_tokens > 3 * IMAGE_TOKENS_MAX


@pytest.mark.parametrize("kind", [["text"], {"a": 1}, 1, True])
@pytest.mark.parametrize("operation", ["chat.completions", "responses", "messages"])
def test_a_part_of_no_kind_is_refused(operation: Endpoint, kind: object) -> None:
    said = [{"role": "user", "content": [{"type": kind, "text": "x"}]}]
    with pytest.raises(RefusedError) as refusal:
        asked({"model": "m", "messages": said, "input": said, "max_tokens": 5}, operation)
    assert refusal.value.http_status == 400


def test_no_way_of_writing_hides_a_part() -> None:
    part = {"type": "image_url", "image_url": {"url": "https://x.io/a.png"}}
    data = json.dumps(parts(part)).replace('"content"', '"c\\u006fntent"').encode()
    call = read_call("chat.completions", data)
    assert bound(call, data, "chat.completions", "openai", CAP).input_tokens > IMAGE_TOKENS_MAX
    message = {
        "model": "m",
        "max_tokens": 5,
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t",
                        "content": [{"type": "image", "source": {"type": "url", "url": "u"}}],
                    }
                ],
            }
        ],
    }
    assert asked(message, "messages")[0].input_tokens > IMAGE_TOKENS_MAX


def test_images_are_counted_by_the_request() -> None:
    most, _ = asked({"model": "m", "prompt": "A cat", "n": 3}, "images.generations")
    assert most.images == 3
    assert asked({"model": "m", "input": "A cat"}, "embeddings")[0].output_tokens == 0


# -- purses ------------------------------------------------------------------------------------


def purses(limit: int, left: int = 0) -> Purses:
    """A worker that was granted so much of both periods."""
    found = Purses("life", 1)
    found.follow({GRANT.id: GRANT}, lambda: 4)
    assert found.ask() is not None
    leases = tuple(GrantedLease(GRANT.id, one.id, 4, limit, left, 0) for one in EPOCHS)
    found.granted(Life("life", 1, 1, leases))
    return found


MOST = Bound(1_000, 100)
WORST = worst_case(MOST, RATES)


def test_worst_case_is_in_nanos_of_the_dearest_axis() -> None:
    assert WORST == 1_000 * 150 + 100 * 600
    assert nanos(1, "USD") == 10_000_000
    assert nanos(1, "JPY") == 1_000_000_000


def test_what_is_not_used_comes_back_when_the_record_is_on_disk() -> None:
    worker = purses(2 * WORST)
    first = worker.hold(OWN, "m", MOST, "bill_delivered", 0)
    worker.hold(OWN, "m", MOST, "bill_delivered", 0)
    with pytest.raises(BudgetSpentError):
        worker.hold(OWN, "m", MOST, "bill_delivered", 0)
    first.closing(Counts(100, output=10), "")
    with pytest.raises(BudgetSpentError):
        worker.hold(OWN, "m", MOST, "bill_delivered", 0)
    for _ in range(2):
        first.settle()
    purse = next(one for one in worker.all() if one.epoch == EPOCHS[0])
    assert (purse.spent, purse.reserved) == (100 * 150 + 10 * 600, WORST)


def test_each_period_has_a_lease_of_its_own_whatever_the_clock_does() -> None:
    worker = purses(WORST)
    for now in (99, 100):
        worker.hold(OWN, "m", MOST, "bill_delivered", now)
    for now in (0, 100, 150, 99, -5, 10_000):
        with pytest.raises(BudgetSpentError):
            worker.hold(OWN, "m", MOST, "bill_delivered", now)


def test_a_later_attempt_is_charged_where_money_was_set_aside() -> None:
    hold = purses(WORST).hold(OWN, "m", MOST, "bill_delivered", 99)
    assert [hold.dated(now) for now in (-3, 50, 100, 500)] == [0, 50, 99, 99]


@pytest.mark.parametrize(("left", "waits"), [(WORST, True), (WORST - 1, False)])
def test_a_refusal_says_whether_waiting_helps(left: int, waits: bool) -> None:
    worker = purses(WORST - 1, left)
    with pytest.raises(BudgetSpentError) as caught:
        worker.hold(OWN, "m", MOST, "bill_delivered", 0)
    assert (caught.value.code, caught.value.http_status) == ("insufficient_quota", 429)
    assert caught.value.never is not waits


def test_what_the_contract_waives_is_not_spent() -> None:
    worker = purses(WORST)
    hold = worker.hold(OWN, "m", MOST, "free", 0)
    hold.closing(Counts(100, output=10), "client_gone")
    hold.settle()
    assert sum(one.spent for one in worker.all()) == 0


def test_a_claim_above_the_reserve_is_cut_and_noted() -> None:
    hold = purses(WORST).hold(OWN, "m", MOST, "bill_delivered", 0)
    honest = Metered(Counts(900, cached_read=100, output=60, reasoning=40), "upstream")
    assert hold.within(honest) is honest
    claimed = Metered(Counts(5_000, 100, 0, 10, 5_000, 0, 0, 9), "upstream")
    billed = hold.within(claimed)
    assert billed.note == ABOVE_RESERVE
    assert billed.counts == Counts(900, 100, 0, 0, 100)
    hold.closing(billed.counts, billed.note)


def test_what_a_budget_keeps_off_the_bill_is_kept_as_the_sellers_cost() -> None:
    bench = Bench()
    exchange = bench.send(HELLO, bench.client())
    hold = purses(WORST).hold(OWN, "m", MOST, "bill_delivered", 0)
    exchange.permit = Permit((), 0, hold)
    answer = {
        "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 5_000},
    }
    bench.answer(exchange, plain_response(json.dumps(answer).encode()))
    closed = bench.wal.only_close
    assert (closed.failure, closed.counts) == (ABOVE_RESERVE, Counts(20, output=100))
    assert closed.upstream_counts == Counts(20, output=5_000)


def test_counts_within_the_bound_cost_no_more_than_the_worst_case() -> None:
    for counts in (Counts(*(10**9,) * 8), Counts(0, 0, 0, 0, 10**9), Counts(audio_input=10**9)):
        cut = within(counts, Bound(1_000, 100, 2))
        assert RATES.picos(cut) <= 1_000 * worst_case(Bound(1_000, 100, 2), RATES)


def test_models_without_a_price_and_other_currencies_spend_nothing() -> None:
    worker = purses(WORST)
    with pytest.raises(RefusedError) as caught:
        worker.hold(OWN, "other", MOST, "bill_delivered", 0)
    assert caught.value.code == "model_not_priced"
    strange = Budgeted((GRANT,), {"m": RATES}, {}, "its budget is in another currency")
    with pytest.raises(BudgetSpentError, match="another currency"):
        worker.hold(strange, "m", MOST, "bill_delivered", 0)


def test_a_grant_to_another_life_or_an_old_ask_grants_nothing() -> None:
    worker = purses(WORST)
    lease = (GrantedLease(GRANT.id, EPOCHS[0].id, 4, 9 * WORST, 0, 0),)
    worker.granted(Life("before", 1, 1, lease))
    worker.granted(Life("life", 1, 0, lease))
    worker.granted(Life("life", 1, 1, (GrantedLease(GRANT.id, EPOCHS[0].id, 3, 9, 0, 0),)))
    assert max(one.limit for one in worker.all()) == WORST


def test_rates_are_never_below_the_price() -> None:
    prices = (
        Price("m", "input", "0.1500001"),
        Price("m", "output", "0.6"),
        Price("m", "image", "0.04", "1_image"),
    )
    rates = rates_of([PriceBook("list", 1, "USD", 0, prices)], "m")
    assert rates is not None
    assert (rates.input, rates.cached_read, rates.output) == (150_001, 150_001, 600_000)
    assert rates.image == 40_000_000_000
    assert rates_of([PriceBook("list", 1, "USD", 0, prices)], "other") is None
