"""A page as a PDF file."""

from pathlib import Path

from quartermaster.app.pdf import printed
from quartermaster.cli.written import write_file


def write_pdf(page: str, path: Path) -> None:
    """Print one page of ours to a PDF file, and say so.

    Raises:
        UnavailableError: no browser is there, or it does not print.
        UsageError: the file cannot be written.
    """
    write_file(path, printed(page))
