"""What a crash left of a write-ahead log becomes one more sealed segment.

All unsealed files are read together, because a request opened in one may be closed in the next.
The result is written to a new file: after a failed sync the old pages may look right in the page
cache and be gone from the disk, so old files are never appended to.

Recovery may itself be cut off at any operation. The new file gets the name `.recovered` when it is
synced; from that point the old files are redundant, and only when they are durably gone is it
renamed to `.sealed`. So either the old files count, or the new file counts, never both.
"""

from pathlib import Path

from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import IntegrityError
from quartermaster.usage import frames, policy, segment
from quartermaster.usage.files import FileLayer, write_all
from quartermaster.usage.segment import CHAIN_START, Content, Head


def recover(directory: Path, files: FileLayer, now: Instant) -> Head:
    """Seal what a dead writer left, and return the head of the chain.

    The caller holds the directory's lock.

    Raises:
        IntegrityError: durable data is damaged.
        OSError: the disk refuses.
    """
    _finish_recovery(directory, files)
    head = last_sealed(directory, files)
    left = segment.numbers(files.names(directory), segment.OPEN)
    if not left:
        return head
    content, rows = _merge(directory, files, left)
    if rows:
        _write_recovering(directory, files, head, content, rows, now)
        _finish_recovery(directory, files)
        return last_sealed(directory, files)
    for number in left:
        files.unlink(directory / segment.file_name(number, segment.OPEN))
    files.sync_directory(directory)
    return head


def last_sealed(directory: Path, files: FileLayer) -> Head:
    """Number and hash of the newest sealed or shipped segment."""
    names = files.names(directory)
    sealed = segment.numbers(names, segment.SEALED)
    shipped = segment.numbers(names, segment.SHIPPED)
    number = max((*sealed, *shipped), default=0)
    if not number:
        return Head(0, CHAIN_START)
    suffix = segment.SEALED if number in sealed else segment.SHIPPED
    path = directory / segment.file_name(number, suffix)
    _, seal = frames.read_sealed(files.read(path), str(path))
    if (seal.app_id, seal.segment) != (directory.name, number):
        raise IntegrityError(
            f"{path} is segment {seal.segment} of {seal.app_id!r}",
            hint="a write-ahead log cannot be renamed or copied; move the file back",
        )
    return Head(number, seal.sha256)


def _merge(directory: Path, files: FileLayer, left: list[int]) -> tuple[bytes, int]:
    """All reliable frames of the left files, then a close for every request without one."""
    pieces: list[bytes] = []
    run: list[frames.Frame] = []
    for number in left:
        path = directory / segment.file_name(number, segment.OPEN)
        data = files.read(path)
        found = [f for f in frames.read_unsealed(data, str(path)) if f.kind != frames.SEAL]
        run += found
        pieces += (data[f.start : f.end] for f in found)
    content = Content(run)
    closes = [
        (handle, policy.aborted(content.opened[handle], content.progress.get(handle)))
        for handle in content.unfinished()
    ]
    pieces += frames.record_frames(frames.CLOSE, closes)
    return b"".join(pieces), len(content.opened)


def _write_recovering(
    directory: Path, files: FileLayer, head: Head, content: bytes, rows: int, now: Instant
) -> None:
    seal = frames.Seal(
        app_id=directory.name,
        segment=head.segment + 1,
        rows=rows,
        previous_sha256=head.sha256,
        sha256=segment.chain(head.sha256, content),
        sealed_at=now,
    )
    path = directory / segment.file_name(seal.segment, segment.RECOVERING)
    descriptor = files.create(path)
    try:
        write_all(files, descriptor, content + frames.frame(frames.SEAL, seal))
        files.fdatasync(descriptor)
    finally:
        files.close(descriptor)
    files.rename(path, directory / segment.file_name(seal.segment, segment.RECOVERED))


def _finish_recovery(directory: Path, files: FileLayer) -> None:
    """Complete a recovery that has its whole file, and forget one that has not."""
    names = files.names(directory)
    for number in segment.numbers(names, segment.RECOVERING):
        files.unlink(directory / segment.file_name(number, segment.RECOVERING))
    for number in segment.numbers(names, segment.RECOVERED):
        # The name may so far stand in the page cache only; the old files go after it is durable.
        files.sync_directory(directory)
        for left in segment.numbers(names, segment.OPEN):
            files.unlink(directory / segment.file_name(left, segment.OPEN))
        files.sync_directory(directory)
        path = directory / segment.file_name(number, segment.RECOVERED)
        files.rename(path, segment.seal_name(directory, number))
        files.sync_directory(directory)
