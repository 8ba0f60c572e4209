"""A page as a PDF file."""

from pathlib import Path

from quartermaster.app.pdf import printed
from quartermaster.kernel.errors import UsageError


def write_pdf(page: str, path: Path) -> None:
    """Print one page of ours to a PDF file.

    Raises:
        UnavailableError: no browser is there, or it does not print.
        UsageError: the file cannot be written.
    """
    data = printed(page)
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
