"""Static files: vendored with hash and licence, served unchangeable, packaged."""

import re
import tomllib
from hashlib import sha256
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import quartermaster.console
from quartermaster.console.assets import SOURCES, STYLE_PARTS, packaged
from tools import vendor

STATIC = Path(quartermaster.console.__file__).parent / "static"
VENDORED = tomllib.loads((STATIC / "vendor/VENDOR.toml").read_text("utf-8"))["file"]
LICENSES = {"0BSD", "MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "OFL-1.1"}


def test_every_vendored_file_is_named_and_unchanged() -> None:
    present = {path.name for path in (STATIC / "vendor").iterdir()} - {"VENDOR.toml"}
    assert {entry["file"] for entry in VENDORED} == present
    for entry in VENDORED:
        body = (STATIC / "vendor" / entry["file"]).read_bytes()
        assert sha256(body).hexdigest() == entry["sha256"], entry["file"]
        assert entry["license"] in LICENSES
        assert re.fullmatch(r"\d+\.\d+\.\d+", entry["version"])
        assert entry["home"].startswith("https://")


def test_a_changed_vendored_file_is_noticed(tmp_path: Path) -> None:
    for path in (STATIC / "vendor").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert vendor.differences(tmp_path) == []
    (tmp_path / "htmx.min.js").write_bytes(b"changed")
    assert vendor.differences(tmp_path) == ["htmx.min.js: sha256 differs from VENDOR.toml"]
    (tmp_path / "extra.js").write_bytes(b"")
    assert "extra.js: not in VENDOR.toml" in vendor.differences(tmp_path)


def test_a_page_names_its_files_by_their_content(viewer: TestClient) -> None:
    html = viewer.get("/").text
    urls = re.findall(r'(?:href|src)="(/static/[^"]+)"', html)
    assert len(urls) == len(SOURCES)
    for url in urls:
        answer = viewer.get(url)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert sha256(answer.content).hexdigest()[:12] in url


@pytest.mark.parametrize(
    "path", ["console.css", "../server.py", "..%2fserver.py", "vendor/VENDOR.toml", ""]
)
def test_nothing_else_is_served(stranger: TestClient, path: str) -> None:
    assert stranger.get(f"/static/{path}").status_code == 404


def test_every_part_of_the_style_sheet_is_in_it() -> None:
    assert {path.name for path in (STATIC / "css").iterdir()} == set(STYLE_PARTS)
    sheet = packaged().at(packaged().url("console.css").removeprefix("/static/"))
    assert sheet is not None
    text = sheet.body.decode()
    assert text.startswith("@layer ")
    assert "@import" not in text
    assert "url(" not in text


def test_our_scripts_keep_the_policy() -> None:
    script = (STATIC / "js/console.js").read_text("utf-8")
    assert "eval(" not in script
    assert "innerHTML" not in script
    assert "Function(" not in script
