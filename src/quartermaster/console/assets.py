"""Static files: read once, served under names that carry their hash, so browsers keep them."""

from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

import msgspec

HASH_CHARS = 12
"""48 bits of SHA-256 in a file name: enough that two versions of a file never share one."""

STYLE_PARTS = (
    "layers.css",
    "tokens.css",
    "figures.css",
    "reset.css",
    "base.css",
    "components.css",
    "screens.css",
    "print.css",
    "board.css",
)
"""Served as one sheet, in this order; the order of cascade layers is stated in the first.
`board.css` is in no layer, because it also stands alone in the report's own file."""

SOURCES: dict[str, tuple[tuple[str, ...], str]] = {
    "console.css": (tuple(f"css/{part}" for part in STYLE_PARTS), "text/css; charset=utf-8"),
    "console.js": (("js/console.js",), "text/javascript; charset=utf-8"),
    "htmx.js": (("vendor/htmx.min.js",), "text/javascript; charset=utf-8"),
    "favicon.svg": (("favicon.svg",), "image/svg+xml"),
}


class Asset(msgspec.Struct, frozen=True):
    """One file as served. `path` is below `/static/`."""

    path: str
    body: bytes
    media_type: str


class Assets:
    """Every static file by its plain name and by its hashed path."""

    def __init__(self, folder: Traversable) -> None:
        self._by_name: dict[str, Asset] = {}
        for name, (parts, media_type) in SOURCES.items():
            body = b"\n".join((folder / part).read_bytes() for part in parts)
            stem, _, extension = name.rpartition(".")
            path = f"{stem}.{sha256(body).hexdigest()[:HASH_CHARS]}.{extension}"
            self._by_name[name] = Asset(path, body, media_type)
        self._by_path = {asset.path: asset for asset in self._by_name.values()}

    def url(self, name: str) -> str:
        """Where a page finds the file of that plain name."""
        return f"/static/{self._by_name[name].path}"

    def at(self, path: str) -> Asset | None:
        """The file of a hashed path, or None."""
        return self._by_path.get(path)


@lru_cache(maxsize=1)
def packaged() -> Assets:
    """The files inside the package."""
    return Assets(files("quartermaster.console") / "static")
