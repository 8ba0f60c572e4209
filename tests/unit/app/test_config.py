"""Settings: precedence, origins, and errors that name the key and the remedy."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from quartermaster.cli.main import cli, run
from quartermaster.config import Settings, load
from quartermaster.kernel.errors import ConfigError


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
        ('[console]\nport = "many"\n', "console.port", "config show"),
        ("[console\n", "is not TOML", "line"),
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
