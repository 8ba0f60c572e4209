"""Start the real gateway worker with a file layer that counts its disk syncs."""

import argparse
import json
import sys
from pathlib import Path

from quartermaster.gateway.settings import GatewaySettings
from quartermaster.gateway.worker import run
from quartermaster.usage.files import OsFiles


class CountingFiles(OsFiles):
    """The operating system's files, with a count of `fdatasync`."""

    def __init__(self) -> None:
        self.syncs = 0

    def fdatasync(self, descriptor: int) -> None:
        """Sync and count."""
        self.syncs += 1
        super().fdatasync(descriptor)


def main() -> None:
    """Serve until SIGTERM, then say how many syncs there were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--var", type=Path, required=True)
    options = parser.parse_args()
    files = CountingFiles()
    run(GatewaySettings(port=options.port), var=options.var, worker=0, files=files)
    json.dump({"syncs": files.syncs}, sys.stdout)


if __name__ == "__main__":
    main()
