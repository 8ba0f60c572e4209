"""`./run`: what it decides, with a fake interpreter and without installing anything."""

import ast
import importlib.util
import json
import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "run"


def load() -> ModuleType:
    """The script as a module; it has no suffix, so the loader is named."""
    loader = SourceFileLoader("run_script", str(RUN))
    spec = importlib.util.spec_from_loader("run_script", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script moved to a folder of its own, with locks, a source and a finished environment."""
    module = load()
    venv = tmp_path / ".venv"
    for name in (module.RUNTIME_LOCK, module.DEV_LOCK):
        (tmp_path / name).write_text(f"{name}==1\n", "utf-8")
    package = tmp_path / "src" / "quartermaster"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    for name, value in {
        "ROOT": tmp_path,
        "VENV": venv,
        "PYTHON": venv / "bin" / "python",
        "STAMP": venv / "quartermaster-stamp.json",
    }.items():
        monkeypatch.setattr(module, name, value)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    module.link_project()
    stamp(module, module.RUNTIME_LOCK)
    return module


def stamp(script: ModuleType, *locks: str) -> None:
    script.STAMP.write_text(json.dumps({lock: script.digest(lock) for lock in locks}), "utf-8")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(RUN), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_help_names_the_five_commands() -> None:
    done = run("--help")
    assert done.returncode == 0
    for command in ("up", "test", "check", "bench", "clean"):
        assert f"./run {command}" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("dance",), ("check", "x"), ("clean", "--all")])
def test_unknown_arguments_show_the_usage(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "./run up" in done.stderr
    assert done.stdout == ""


def test_an_unknown_bench_is_named() -> None:
    done = run("bench", "teapot")
    assert done.returncode == 2
    assert "no bench named teapot" in done.stderr
    assert "gateway" in done.stderr
    assert "warning_trees" not in done.stderr, "a part of another bench"


@pytest.mark.parametrize(("code", "says"), [(1, True), (4, False)])
def test_what_is_wrong_with_the_settings_is_said_once(
    script: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    code: int,
    says: bool,
) -> None:
    (script.ROOT / "src" / "quartermaster" / "__main__.py").write_text(f"raise SystemExit({code})")
    monkeypatch.setattr(script, "become", lambda command: 0)
    assert script.up([]) == (0 if says else code)
    assert ("toy model answers" in capfd.readouterr().err) == says


def test_the_script_parses_for_an_old_interpreter() -> None:
    ast.parse(RUN.read_text("utf-8"), feature_version=(3, 7))


def test_a_finished_environment_is_kept(script: ModuleType) -> None:
    assert script.holds(script.RUNTIME_LOCK)


def test_another_lock_is_not_held(script: ModuleType) -> None:
    assert not script.holds(script.DEV_LOCK)


def test_a_changed_lock_is_noticed(script: ModuleType) -> None:
    (script.ROOT / script.RUNTIME_LOCK).write_text("other==2\n", "utf-8")
    assert not script.holds(script.RUNTIME_LOCK)


def test_an_interrupted_install_is_noticed(script: ModuleType) -> None:
    script.STAMP.unlink()
    assert not script.holds(script.RUNTIME_LOCK)


def test_a_stamp_that_is_not_one_is_noticed(script: ModuleType) -> None:
    script.STAMP.write_text("{", "utf-8")
    assert not script.holds(script.RUNTIME_LOCK)


def test_a_lost_interpreter_is_noticed(script: ModuleType) -> None:
    script.PYTHON.unlink()
    assert not script.holds(script.RUNTIME_LOCK)


def test_a_moved_folder_is_noticed(script: ModuleType) -> None:
    (link,) = script.VENV.glob("lib/python3.*/site-packages/quartermaster.pth")
    link.write_text("/nowhere/src\n", "utf-8")
    assert not script.holds(script.RUNTIME_LOCK)


def test_the_command_beside_the_interpreter_starts_it(script: ModuleType) -> None:
    main = script.ROOT / "src" / "quartermaster" / "__main__.py"
    main.write_text("import sys; print(sys.argv[1:])", "utf-8")
    done = subprocess.run(
        [script.VENV / "bin" / "quartermaster", "a b", "c"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    assert done.stdout == "['a b', 'c']\n"


def test_without_an_installer_the_remedy_is_named(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script.shutil, "which", lambda name: None)
    monkeypatch.setattr(script.sys, "executable", "/bin/false")
    monkeypatch.setattr(script, "answers", lambda command: False)
    with pytest.raises(script.StepError, match="apt-get install python3-pip"):
        script.find_installer()


def test_without_pip_the_bundled_one_is_used(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script.shutil, "which", lambda name: None)
    monkeypatch.setattr(script, "host_pip", lambda: (20, 3))
    # Debian keeps ensurepip in another package than Python's.
    monkeypatch.setattr(script, "answers", lambda command: command[1:] == ["-m", "ensurepip"])
    command, name = script.find_installer()
    assert name == "the bundled pip"
    assert command[0] == str(script.PYTHON)
    assert "--require-hashes" in command


def test_uv_is_preferred(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script.shutil, "which", lambda name: f"/opt/{name}")
    command, name = script.find_installer()
    assert name == "uv"
    assert command[0] == "/opt/uv"
    assert "--require-hashes" in command


def test_a_rebuild_installs_stamps_and_links(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "find_installer", lambda: (["echo", "installed"], "a fake"))
    script.STAMP.unlink()
    script.environment(script.DEV_LOCK)
    assert script.holds(script.DEV_LOCK)
    assert script.holds(script.RUNTIME_LOCK)
    said = capfd.readouterr()
    assert "requirements-dev.lock" in said.out
    assert all(line.startswith("run: ") for line in said.err.splitlines())


def test_a_failed_install_leaves_no_stamp(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "find_installer", lambda: (["false"], "a fake"))
    with pytest.raises(script.StepError, match="failed"):
        script.environment(script.DEV_LOCK)
    assert not script.STAMP.exists()


def test_clean_keeps_the_data_unless_told(script: ModuleType) -> None:
    data = script.ROOT / "var" / "wal"
    data.mkdir(parents=True)
    assert script.clean([]) == 0
    assert not script.VENV.exists()
    assert data.exists()
    assert script.clean(["--data"]) == 0
    assert not data.exists()


def test_no_program_is_installed_outside_ci(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[object] = []
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(script.shutil, "which", lambda name: None)
    monkeypatch.setattr(script, "call", lambda *a, **k: called.append(a))
    script.ensure_programs()
    assert called == []


SPREAD = (
    *("-n", str(load().WORKERS), "--dist", "loadfile", "--no-loadscope-reorder"),
    *(f"--ignore=tests/{name}" for name in ("compat", "test_docs.py", "test_tidy.py")),
)


@pytest.mark.parametrize(
    ("arguments", "passed"),
    [
        ([], [*SPREAD, "-m", "not long and not wheel"]),
        (["--long"], [*SPREAD, "-m", "not wheel"]),
        (["tests/test_tidy.py"], ["-m", "not long", "tests/test_tidy.py"]),
        (["--long", "tests/a.py"], ["tests/a.py"]),
        (["-m", "browser"], ["-m", "browser"]),
    ],
)
def test_what_pytest_is_given(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, arguments: list[str], passed: list[str]
) -> None:
    given: list[list[str]] = []
    for name in ("environment", "pull_model", "ensure_programs"):
        monkeypatch.setattr(script, name, lambda *a: None)
    monkeypatch.setattr(script, "become", given.append)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    script.test(arguments)
    assert "PYTHONDONTWRITEBYTECODE" not in os.environ
    assert given == [[str(script.PYTHON), "-m", "pytest", *passed]]
