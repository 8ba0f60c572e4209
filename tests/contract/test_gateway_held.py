"""Scopes and provisioned units on a real gateway worker, as unmodified SDKs meet them."""

from collections.abc import Iterator

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from tests.contract.gateway_process import Gateway, ModelServer, running_gateway, until

from quartermaster.kernel.ids import new_key_secret
from quartermaster.kernel.snapshot import KeyGrant, Provisioned

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say a sentence."}]
PROXY = "198.51.100.7"


@pytest.fixture(scope="module")
def gateway(upstream: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    var = tmp_path_factory.mktemp("held")
    with running_gateway(var, upstream, trusted_proxies="127.0.0.0/8, ::1") as running:
        yield running


def publish(gateway: Gateway, *grants: KeyGrant) -> None:
    gateway.publish(*grants)
    until(lambda: gateway.status.snapshot_version == gateway.version)


def azure(gateway: Gateway, key: str) -> openai.AzureOpenAI:
    return openai.AzureOpenAI(
        azure_endpoint=gateway.url.removesuffix("/v1"), api_key=key, api_version="2024-10-21",
        max_retries=0,
    )  # fmt: skip


def use_up(sdk: openai.AzureOpenAI) -> None:
    """Three requests are more than any of these units carries."""
    for _ in range(3):
        sdk.chat.completions.create(model="talk", messages=MESSAGES, max_tokens=4)


def test_a_key_works_from_where_it_may_behind_a_trusted_proxy(gateway: Gateway) -> None:
    key = new_key_secret()
    publish(gateway, gateway.grant(key, networks=(f"{PROXY}/32", "2001:db8::/32")))
    with openai.OpenAI(base_url=gateway.url, api_key=key, max_retries=0) as sdk:
        for _ in range(3):
            with pytest.raises(openai.PermissionDeniedError, match=r"127\.0\.0\.1"):
                sdk.chat.completions.create(model="talk", messages=MESSAGES)
        for address in (PROXY, "2001:db8::9", PROXY):
            # The third head of the same bytes is recognised without being parsed.
            for _ in range(3):
                headers = {"X-Forwarded-For": f"192.0.2.1, {address}"}
                answer = sdk.chat.completions.create(
                    model="talk", messages=MESSAGES, extra_headers=headers
                )
                assert answer.choices[0].message.content
        with pytest.raises(openai.PermissionDeniedError, match=r"192\.0\.2\.1"):
            sdk.models.list(extra_headers={"X-Forwarded-For": "192.0.2.1"})


def test_units_are_used_then_refused_with_the_time_to_wait(gateway: Gateway) -> None:
    key = new_key_secret()
    terms = Provisioned("talk", 60, 8, spillover=False)
    publish(gateway, gateway.grant(key, contract="con_units", provisioned=(terms,)))
    with azure(gateway, key) as sdk:
        sdk.chat.completions.create(model="talk", messages=MESSAGES, max_tokens=4)
        # The estimate was over, the metered 11 - 4 + 8 * 3 input tokens are not.
        sdk.chat.completions.create(model="talk", messages=MESSAGES, max_tokens=4)
        with pytest.raises(openai.RateLimitError) as busy:
            use_up(sdk)
    assert int(busy.value.response.headers["retry-after-ms"]) > 0
    assert "provisioned throughput" in str(busy.value)
    until(lambda: bool(gateway.status.provisioned))
    until(lambda: gateway.status.provisioned[0].refused >= 1)


def test_what_spills_over_is_metered_as_standard(gateway: Gateway) -> None:
    key = new_key_secret()
    terms = Provisioned("talk", 20, 8, spillover=True)
    publish(gateway, gateway.grant(key, contract="con_spill", provisioned=(terms,)))
    headers = []
    with azure(gateway, key) as sdk:
        for stream in (False, False, True):
            raw = sdk.chat.completions.with_raw_response.create(
                model="talk", messages=MESSAGES, stream=stream
            )
            headers.append(raw.headers.get("x-ms-spillover-from-deployment"))
            raw.http_response.read()
    assert headers == [None, "talk", "talk"]
    rows = gateway.stop()
    spilled = [row.opened for row in rows if row.opened.contract == "con_spill"]
    assert [row.service_class for row in spilled] == ["provisioned", "standard", "standard"]
    units = [row.opened for row in rows if row.opened.contract == "con_units"]
    assert {row.service_class for row in units} == {"provisioned"}
