"""Unmodified clients, each in its own environment, against a scripted model through a real gateway.

Run by `./run check`, which shows the versions. Without a network the environments cannot be made:
then the tests skip with the installer's last words, except on CI, where they fail.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, get_args

import pytest
from tests.compat.environments import ROOT, NotInstalledError, python_of
from tests.compat.features import CLIENTS, Client, Feature
from tests.compat.scripted_model import CompatGateway, ScriptedModel

from tools import compat

# The slowest script takes a tenth of this on a busy machine.
SCRIPT_TIMEOUT_S = 300


class Report(NamedTuple):
    """What one script told."""

    versions: dict[str, str]
    troubles: dict[str, str]
    """By feature; empty where it works."""


Ask = Callable[[Client], Report]


def run_script(client: Client, gateway: CompatGateway, home: Path) -> Report:
    """Everything that a client's script tries."""
    python = python_of(client)
    home.mkdir()
    # Nothing of the person who runs the tests: no keys, no proxies, no settings.
    environment = {
        "PATH": f"{python.parent}:{os.environ.get('PATH', '')}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # or it fetches prices from the network
    }
    script = f"tests.compat.clients.{client.script}"
    command = [str(python), "-m", script, gateway.url.removesuffix("/v1"), gateway.key]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SCRIPT_TIMEOUT_S,
        check=False,
    )
    told = [line[8:] for line in done.stdout.splitlines() if line.startswith("report: ")]
    assert done.returncode == 0, done.stderr
    versions, *checks = (json.loads(line) for line in told)
    return Report(versions["versions"], {one["feature"]: one["trouble"] for one in checks})


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """The report of a client, made when it is first asked for."""
    home = tmp_path_factory.mktemp("compat")
    with ScriptedModel().running() as upstream:
        gateway = CompatGateway(home / "var", upstream.port)
        reports: dict[str, Report | NotInstalledError] = {}

        def told(client: Client) -> Report:
            if client.name not in reports:
                try:
                    reports[client.name] = run_script(client, gateway, home / client.name)
                except NotInstalledError as error:
                    # Not tried again for each feature: without a network it takes its time.
                    reports[client.name] = error
            found = reports[client.name]
            if isinstance(found, NotInstalledError):
                raise found
            return found

        try:
            yield told
        finally:
            gateway.process.kill()
            gateway.process.communicate()


CASES = [
    pytest.param(
        client,
        feature,
        id=f"{client.name}-{feature}",
        marks=pytest.mark.xdist_group(client.name),
    )
    for client in CLIENTS
    for feature in compat.features_of(client)
]


@pytest.mark.parametrize(("client", "feature"), CASES)
def test_it_works(
    ask: Ask, client: Client, feature: str, record_property: Callable[[str, object], None]
) -> None:
    try:
        report = ask(client)
    except NotInstalledError as error:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"{client.name} cannot be installed: {error}")
    record_property("versions", " ".join(f"{n} {v}" for n, v in report.versions.items()))
    assert feature in report.troubles, "the script did not come to it"
    assert report.troubles[feature] == "", report.troubles[feature]


def test_every_lock_is_whole_and_pinned() -> None:
    assert compat.troubles() == []


def test_every_feature_is_tried_by_somebody() -> None:
    tried = {feature for client in CLIENTS for feature in compat.features_of(client)}
    assert tried == set(get_args(Feature))
