"""Budgets on a real gateway worker, as unmodified SDKs meet them; the test grants the leases."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import msgspec
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from tests.contract.gateway_process import (
    DEADLINE_S,
    Gateway,
    ModelServer,
    running_gateway,
    until,
)

from quartermaster.billing.leases import LeaseLedger
from quartermaster.kernel.budget import FOREVER, BudgetGrant, Epoch, RateCard, Rates
from quartermaster.kernel.ids import new_key_secret
from quartermaster.kernel.lease import read_ask, write_grant
from quartermaster.kernel.snapshot import decode, write

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say a sentence."}]
CAP = 200
RATE = 1_000
"""Picos a token: one nano."""


@pytest.fixture(scope="module")
def gateway(upstream: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A worker that lets nobody wait: the tests see at once what is refused."""
    var = tmp_path_factory.mktemp("gateway") / "var"
    with running_gateway(var, upstream, lease_wait_s=0) as running:
        yield running


class Account:
    """A key with a budget, and its grantor."""

    def __init__(self, gateway: Gateway, amount: int, *, prepaid: bool = False) -> None:
        self.gateway = gateway
        self.secret = new_key_secret()
        grant = gateway.grant(self.secret)
        epoch = Epoch(f"@{self.secret[-6:]}", "", 0, FOREVER)
        budget = BudgetGrant("key", grant.key_id, "USD", (epoch,), prepaid, CAP)
        self.name = budget.id, epoch.id
        self.ledger = LeaseLedger()
        self.ledger.agree({self.name: amount})
        self.ledger.settle(self.name, 0)
        gateway.publish(grant)
        path = gateway.var / "snapshot.json"
        gateway.version += 1
        models = {model: Rates(*[RATE] * 8) for model in ("talk", "babble", "down")}
        snapshot = msgspec.structs.replace(
            decode(path.read_bytes()),
            version=gateway.version,
            budgets={budget.id: budget},
            rate_cards={"list": RateCard("USD", models)},
        )
        write(path, snapshot)
        until(lambda: gateway.status.snapshot_version == gateway.version)

    def grant(self) -> None:
        """Answer what the worker asks."""
        folder, app_id = self.gateway.var / "leases", self.gateway.app_id
        self.ledger.ask(app_id, read_ask(folder / f"{app_id}.ask"))
        for name, grant in self.ledger.grants().items():
            write_grant(folder, name, grant)

    @contextmanager
    def sdk(self) -> Iterator[openai.OpenAI]:
        with openai.OpenAI(base_url=self.gateway.url, api_key=self.secret, max_retries=0) as sdk:
            yield sdk

    def passes(self, **fields: Any) -> None:
        """One answer, as soon as there is a lease."""
        deadline = time.monotonic() + DEADLINE_S
        with self.sdk() as sdk:
            while True:
                try:
                    sdk.chat.completions.create(model="talk", messages=MESSAGES, **fields)
                    return
                except openai.RateLimitError as error:
                    assert time.monotonic() < deadline
                    time.sleep(int(error.response.headers["retry-after-ms"]) / 1_000)
                    self.grant()


def test_without_a_lease_clients_are_told_to_come_back(gateway: Gateway) -> None:
    account = Account(gateway, 10**9)
    with account.sdk() as sdk, pytest.raises(openai.RateLimitError) as caught:
        sdk.chat.completions.create(model="talk", messages=MESSAGES)
    assert (caught.value.code, caught.value.type) == ("insufficient_quota", "insufficient_quota")
    assert 0 < int(caught.value.response.headers["retry-after-ms"]) <= 1_000


def test_a_worker_that_has_just_begun_lets_requests_wait_for_its_first_lease(
    upstream: ModelServer, tmp_path: Path
) -> None:
    with running_gateway(tmp_path / "var", upstream) as worker:
        account = Account(worker, 10**9)
        with account.sdk() as sdk, ThreadPoolExecutor(4) as pool:
            told = [
                pool.submit(sdk.chat.completions.create, model="talk", messages=MESSAGES)
                for _ in range(4)
            ]
            time.sleep(0.3)
            assert not any(one.done() for one in told)
            while not all(one.done() for one in told):
                account.grant()
                time.sleep(0.05)
            assert all(one.result().choices for one in told)
        assert worker.status.refusals == {}


def test_an_answer_without_a_cap_gets_one_from_the_model_server(
    gateway: Gateway, upstream: ModelServer
) -> None:
    account = Account(gateway, 10**9)
    for stream in (False, True):
        account.passes(stream=stream)
        assert upstream.asked[-1]["max_tokens"] == CAP
    account.passes(max_completion_tokens=7)
    assert "max_tokens" not in upstream.asked[-1]


def test_a_model_that_never_stops_is_stopped_at_the_cap(gateway: Gateway) -> None:
    """The SDKs see an answer that ends as it should have, and its counts."""
    account = Account(gateway, 10**9)
    account.passes()
    with account.sdk() as sdk:
        chunks = list(
            sdk.chat.completions.create(
                model="babble",
                messages=MESSAGES,
                max_tokens=9,
                stream=True,
                stream_options={"include_usage": True},
                extra_body={"pause": 0.001},
            )
        )
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 9
    with (
        anthropic.Anthropic(
            base_url=gateway.url.removesuffix("/v1"), api_key=account.secret
        ) as claude,
        claude.messages.stream(
            model="babble", max_tokens=9, messages=[{"role": "user", "content": "Go on."}]
        ) as told,
    ):
        message = told.get_final_message()
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 9)


def test_a_spent_budget_is_said_in_every_dialect(gateway: Gateway) -> None:
    account = Account(gateway, 2_500)
    base = gateway.url.removesuffix("/v1")
    account.passes()

    def spent() -> bool:
        account.grant()
        with account.sdk() as sdk:
            try:
                sdk.chat.completions.create(model="talk", messages=MESSAGES, max_tokens=5_000)
            except openai.RateLimitError as error:
                return error.response.headers.get("x-should-retry") == "false"
        raise AssertionError("it passed")

    until(spent)
    with (
        openai.AzureOpenAI(
            azure_endpoint=base,
            api_key=account.secret,
            api_version="2024-10-21",
            max_retries=5,
        ) as azure,
        pytest.raises(openai.RateLimitError) as told,
    ):
        azure.chat.completions.create(model="talk", messages=MESSAGES, max_tokens=5_000)
    assert (told.value.code, told.value.type) == ("429", "insufficient_quota")
    with (
        anthropic.Anthropic(base_url=base, api_key=account.secret, max_retries=5) as claude,
        pytest.raises(anthropic.APIStatusError) as heard,
    ):
        claude.messages.create(
            model="talk", max_tokens=5_000, messages=[{"role": "user", "content": "More."}]
        )
    assert heard.value.status_code == 402
    assert isinstance(heard.value.body, dict)
    assert heard.value.body["error"]["type"] == "billing_error"
    account.passes()


def test_numbers_and_models_that_money_cannot_be_counted_with_are_refused(
    gateway: Gateway,
) -> None:
    account = Account(gateway, 10**9)
    account.passes()
    with account.sdk() as sdk:
        with pytest.raises(openai.BadRequestError) as caught:
            sdk.chat.completions.create(model="talk", messages=MESSAGES, extra_body={"n": "2"})
        assert caught.value.param == "n"
        with pytest.raises(openai.PermissionDeniedError) as unpriced:
            sdk.chat.completions.create(model="crash", messages=MESSAGES)
        assert unpriced.value.code == "model_not_priced"
