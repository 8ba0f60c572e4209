"""Follow the snapshot file: a new version is taken at the next look, an older one never."""

from contextlib import suppress
from pathlib import Path

from quartermaster.gateway.index import Index, build
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.snapshot import Snapshot, decode

_SETTINGS = GatewaySettings()


class SnapshotFollower:
    """Looks at one file.

    A file that cannot be used leaves the last good snapshot in force, and `error` says why; a
    lower version is refused, because a late writer must not lift a suspension.

    Args:
        path: the snapshot file.
        secrets_root: folder that relative secret files are looked up in.
        settings: of the gateway.
    """

    def __init__(
        self, path: Path, secrets_root: Path, settings: GatewaySettings = _SETTINGS
    ) -> None:
        self._settings = settings
        self._path = path
        self._secrets_root = secrets_root
        self._seen: tuple[int, int, int] | None = None
        self._version = -1
        self.error = ""
        self.in_contact = False
        """Whether the last look found the newest snapshot in force, or put it in force."""

    def poll(self) -> Index | None:
        """The index of a newer snapshot, or None when there is none."""
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
        if snapshot.version < self._version:
            self.error = f"version {snapshot.version} is older than {self._version}"
            return None
        self.in_contact = True
        index = build(snapshot, self._secrets(snapshot), self._settings)
        self._version = snapshot.version
        self.error = "; ".join(index.problems)
        return index

    def _secrets(self, snapshot: Snapshot) -> dict[str, str]:
        """Secrets by deployment; one that cannot be read is missing, and `build` says so."""
        secrets: dict[str, str] = {}
        for deployment in snapshot.deployments:
            if deployment.secret_file:
                path = self._secrets_root / deployment.secret_file
                with suppress(OSError, UnicodeDecodeError):
                    secrets[deployment.name] = path.read_text().strip()
        return secrets
