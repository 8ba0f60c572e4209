"""Which engine comes up, and what is said when it is not the real one."""

import subprocess
from pathlib import Path

import pytest

from quartermaster.kernel.errors import ConfigError, UnavailableError
from quartermaster.model.openmp import LIBRARY_NAME
from quartermaster.model.settings import ModelSettings
from quartermaster.model.start import self_test, start_engines
from quartermaster.model.weights import weights_path


def test_missing_weights_leave_the_toy_and_say_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engines = start_engines(ModelSettings(), tmp_path)
    assert list(engines.by_model) == ["toy"]
    assert engines.preferred == "toy"
    assert "no weights" in engines.fallback_reason
    assert "quartermaster model pull" in engines.fallback_reason
    assert "only the toy model is up" in caplog.text


def test_a_damaged_file_leaves_the_toy(tmp_path: Path) -> None:
    path = weights_path(tmp_path)
    path.parent.mkdir()
    path.write_bytes(b"not a model")
    assert "11 bytes" in start_engines(ModelSettings(), tmp_path).fallback_reason


def test_a_demanded_model_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no weights"):
        start_engines(ModelSettings(engine="smollm2"), tmp_path)


def test_the_toy_alone_on_request(tmp_path: Path) -> None:
    engines = start_engines(ModelSettings(engine="toy"), tmp_path)
    assert list(engines.by_model) == ["toy"]
    assert "settings ask" in engines.fallback_reason


def test_a_runtime_that_kills_its_process_is_only_a_reason() -> None:
    def killed(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], -4, "", "")

    with pytest.raises(UnavailableError, match="code -4"):
        self_test(Path("weights"), run=killed)


def test_the_runtimes_own_words_reach_the_operator(tmp_path: Path, weights: Path) -> None:
    broken = tmp_path / "broken.gguf"
    # What the runtime needs is looked for beside the file.
    (tmp_path / LIBRARY_NAME).symlink_to(weights.parent / LIBRARY_NAME)
    broken.write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(UnavailableError, match="cannot load"):
        self_test(broken)


@pytest.mark.parametrize(
    "wrong", [{"threads": 0}, {"slots": 17}, {"port": 70_000}, {"context_tokens": 8}]
)
def test_settings_out_of_range_name_the_key(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError) as caught:
        ModelSettings(**wrong)  # type: ignore[arg-type]
    assert caught.value.field == f"model.{next(iter(wrong))}"
