"""Follow the snapshot file: a new version is taken at the next look, an older one never."""

from contextlib import suppress
from pathlib import Path

from quartermaster.gateway.index import Index, build
from quartermaster.gateway.notices import Notices
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.notice import Notice, held_to
from quartermaster.kernel.snapshot import Snapshot, decode

_SETTINGS = GatewaySettings()


class SnapshotFollower:
    """Looks at one file.

    A file that cannot be used leaves the last good snapshot in force, and `error` says why; a
    lower version is refused, because a late writer must not lift a suspension. What another
    machine has changed since holds until the file says it, too.

    Args:
        path: the snapshot file.
        secrets_root: folder that relative secret files are looked up in.
        settings: of the gateway.
        notices: what other machines changed; None where there are none.
    """

    def __init__(
        self,
        path: Path,
        secrets_root: Path,
        settings: GatewaySettings = _SETTINGS,
        notices: Notices | None = None,
    ) -> None:
        self._settings = settings
        self.notices = notices
        """What other machines changed; None where there are none."""
        self._snapshot: Snapshot | None = None
        self._held_to: Notice | None = None
        self._path = path
        self._secrets_root = secrets_root
        self._seen: tuple[int, int, int] | None = None
        self.version = -1
        """Of the newest snapshot of this machine that was taken."""
        self.error = ""
        self.in_contact = False
        """Whether the last look found the newest snapshot in force, or put it in force."""

    def poll(self) -> Index | None:
        """The index of a newer snapshot or notice, or None when there is none."""
        found = self._read()
        snapshot = found or self._snapshot
        if snapshot is None:
            return None
        notice = None if self.notices is None else self.notices.newest
        if notice is not None and notice.version <= snapshot.version:
            notice = None  # the snapshot says it, or what came after it
        if found is None and notice is self._held_to:
            return None
        held = held_to(snapshot, notice)
        index = build(held, self._secrets(held), self._settings)
        self._held_to, self._snapshot = notice, snapshot
        if found is not None:
            self.in_contact = True
            self.version = found.version
            self.error = "; ".join(index.problems)
        return index

    def _read(self) -> Snapshot | None:
        """A newer snapshot of this machine, or None when there is none."""
        try:
            stat = self._path.stat()
            seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if seen == self._seen:
                return None
            self.in_contact = False
            snapshot = decode(self._path.read_bytes())
        except OSError as error:
            # What comes back there is read again, even if it is the same file.
            self._seen, self.in_contact = None, False
            self.error = f"the snapshot {self._path} cannot be read: {error.strerror}"
            return None
        except IntegrityError as error:
            self._seen = seen
            self.error = error.message
            return None
        self._seen = seen
        if snapshot.version < self.version:
            self.error = f"version {snapshot.version} is older than {self.version}"
            return None
        return snapshot

    def _secrets(self, snapshot: Snapshot) -> dict[str, str]:
        """Secrets by deployment; one that cannot be read is missing, and `build` says so."""
        secrets: dict[str, str] = {}
        for deployment in snapshot.deployments:
            if deployment.secret_file:
                path = self._secrets_root / deployment.secret_file
                with suppress(OSError, UnicodeDecodeError):
                    secrets[deployment.name] = path.read_text().strip()
        return secrets
