"""A console over fakes, and browsers of it that have or have not signed in."""

from collections.abc import Callable, Iterator

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from tests.unit.console.case_fakes import FakeCases
from tests.unit.console.console_fakes import (
    NOW,
    FakeAccounts,
    FakeIdentity,
    FakeLive,
    FakeOverview,
    FakeSignedIn,
    live_facts,
    overview_facts,
)
from tests.unit.console.control_world import control_world
from tests.unit.console.exposure_fakes import FakeExposure, exposure_facts
from tests.unit.console.warning_fakes import FakeWarning, reliability_facts, warning_facts

from quartermaster.console.ports_control import Control
from quartermaster.console.server import build
from quartermaster.console.settings import ConsoleSettings

SESSION = "quartermaster_session"


@pytest.fixture
def identity() -> FakeIdentity:
    return FakeIdentity()


@pytest.fixture
def overview() -> FakeOverview:
    return FakeOverview(overview_facts())


@pytest.fixture
def live() -> FakeLive:
    return FakeLive(live_facts())


@pytest.fixture
def exposure() -> FakeExposure:
    return FakeExposure(exposure_facts())


@pytest.fixture
def warning() -> FakeWarning:
    return FakeWarning(warning_facts(), reliability_facts())


@pytest.fixture(scope="package")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    """A book to look at; who changes one has its own."""
    with control_world(tmp_path_factory.mktemp("control")) as control:
        yield control


@pytest.fixture
def console(
    identity: FakeIdentity,
    overview: FakeOverview,
    live: FakeLive,
    exposure: FakeExposure,
    warning: FakeWarning,
    control: Control,
) -> Starlette:
    return build(
        ConsoleSettings(),
        identity,
        overview,
        live,
        exposure,
        lambda: NOW,
        warning=warning,
        accounts=FakeAccounts(),
        cases=FakeCases(),
        control=control,
    )


@pytest.fixture
def stranger(console: Starlette) -> TestClient:
    """A browser without a session."""
    return browser(console)


@pytest.fixture
def signed_in(console: Starlette, identity: FakeIdentity) -> Callable[..., TestClient]:
    """A browser signed in with these roles."""

    def sign_in(*roles: str) -> TestClient:
        token = f"token-of-{'-'.join(roles)}"
        identity.users.setdefault("ada", ("a long password", roles))
        identity.sessions[token] = FakeSignedIn(
            "usr_ada", "ada", roles, f"csrf-{token}", "acme" if roles == ("customer",) else ""
        )
        client = browser(console)
        client.cookies.set(SESSION, token)
        return client

    return sign_in


@pytest.fixture
def viewer(signed_in: Callable[..., TestClient]) -> TestClient:
    return signed_in("viewer")


def browser(console: Starlette) -> TestClient:
    return TestClient(
        console,
        base_url="http://localhost:8470",
        follow_redirects=False,
        headers={"accept-language": "en"},
        raise_server_exceptions=False,
    )
