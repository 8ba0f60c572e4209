"""A scripted model server and a gateway before it, of a module whose tests do not disturb them."""

from collections.abc import Iterator

import pytest
from tests.contract.gateway_process import Gateway, ModelServer, running_gateway


@pytest.fixture(scope="module")
def upstream() -> Iterator[ModelServer]:
    with ModelServer().running() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(upstream: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway") / "var", upstream) as running:
        yield running
