"""The wheel works where the source tree is absent, and holds what it needs and nothing else."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "quartermaster"

pytestmark = pytest.mark.wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built with the locked build backend and no network."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and the locked dependencies, without this source tree."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False, symlinks=True)
    interpreter = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(interpreter), "install", "--quiet"]
    options = ["--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*command, *options, str(wheel)], check=True)
    # A path line adds the dependencies' folder without reading the path files in it, and so
    # without the one that leads to this source tree.
    (site,) = folder.glob("lib/python3.*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    return interpreter


def run(command: list[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_wheel_is_what_runs(python: Path, tmp_path: Path) -> None:
    done = run([python, "-c", "import quartermaster; print(quartermaster.__file__)"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(python.parent.parent)


def test_every_module_imports(python: Path, tmp_path: Path) -> None:
    code = (
        "import pkgutil, importlib, quartermaster\n"
        "for m in pkgutil.walk_packages(quartermaster.__path__, 'quartermaster.'):\n"
        "    if not m.name.endswith('__main__'):\n"
        "        importlib.import_module(m.name)\n"
    )
    done = run([python, "-c", code], tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_command_answers(python: Path, tmp_path: Path) -> None:
    command = python.with_name("quartermaster")
    shown = run([command, "--help"], tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "exposure" in shown.stdout
    version = run([command, "--version"], tmp_path)
    assert version.stdout.startswith("quartermaster, version ")


def test_packaged_files_are_all_there(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    here = {
        "quartermaster/" + path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert here - names == set()
    assert "quartermaster/py.typed" in names


def test_nothing_else_is_in_the_wheel(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    strangers = [n for n in names if not n.startswith(("quartermaster/", "quartermaster_ai-"))]
    assert strangers == []
    assert any(name.endswith("licenses/LICENSE") for name in names)
