"""A page as PDF, printed by a Chromium that is found on this machine."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from quartermaster.kernel.errors import UnavailableError

BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    *("chrome", "microsoft-edge", "headless_shell"),
)
"""Names under which a browser that prints without a window is installed."""
PRINT_SECONDS_MAX = 120
"""A page of ours prints in a few seconds; a browser's first start on a slow disk takes longer."""


def printed(page: str) -> bytes:
    """One page of ours, which has no script and loads nothing, as PDF.

    The browser's sandbox is off: it cannot start in many containers, and what it reads is ours,
    with every name escaped.

    Raises:
        UnavailableError: no browser is there, or it does not print.
    """
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise UnavailableError(
            "a PDF is printed by Chromium, and none was found",
            hint="install it (Debian: apt-get install chromium), or print the HTML page yourself",
        )
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_text(page, "utf-8")
        command = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-extensions",
            "--disable-background-networking",
            "--no-pdf-header-footer",
            f"--user-data-dir={folder}/profile",
            f"--print-to-pdf={target}",
            source.as_uri(),
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, check=False, timeout=PRINT_SECONDS_MAX
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnavailableError(f"{browser} did not print: {error}") from error
        if done.returncode or not target.is_file():
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise UnavailableError(
                f"{browser} did not print (exit {done.returncode}): {said[-1] if said else ''}",
                hint="print the HTML page yourself",
            )
        return target.read_bytes()
