"""Consent is a term of the contract, by default no; it reaches the gateway with the snapshot."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from quartermaster.app.first_start import FIRST_CUSTOMER, prepare
from quartermaster.app.rooms import open_rooms
from quartermaster.cli.main import cli
from quartermaster.kernel.snapshot import decode


def signed(folder: Path, *options: str) -> None:
    base = ["--var", str(folder), "customer"]
    runner = CliRunner()
    for arguments in (
        ["add", "acme", "--name", "Acme"],
        ["sign", "acme", "--contract", "acme-1", "--price-book", "starter", *options],
    ):
        result = runner.invoke(cli, [*base, *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    result = runner.invoke(
        cli, ["--var", str(folder), "key", "issue", "--contract", "acme-1"], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prepare(open_rooms({"var": str(tmp_path)}))
    return tmp_path


@pytest.mark.parametrize(("options", "watched"), [((), False), (("--watch-content",), True)])
def test_consent_reaches_the_gateway(folder: Path, options: tuple[str, ...], watched: bool) -> None:
    signed(folder, *options)
    snapshot = decode((folder / "snapshot.json").read_bytes())
    assert {key.customer: key.watched for key in snapshot.keys} == {
        "acme": watched,
        FIRST_CUSTOMER: False,
    }


def test_permitted_uses_are_terms_too(folder: Path) -> None:
    signed(folder, "--permit", "judging", "--permit", "application", "--distillation-model", "toy")
    (contract,) = open_rooms({"var": str(folder)}).book.view().contracts["acme-1"]
    assert contract.permitted_uses == ("judging", "application")
    assert contract.distillation_models == ("toy",)
    assert not contract.watch_content
