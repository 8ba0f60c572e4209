"""Start the real gateway worker and nothing else of the product."""

import argparse
from pathlib import Path

from quartermaster.gateway.settings import GatewaySettings
from quartermaster.gateway.worker import run


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--var", type=Path, required=True)
    parser.add_argument("--worker", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--access-log", action="store_true")
    options = parser.parse_args()
    settings = GatewaySettings(
        port=options.port, workers=options.workers, access_log=options.access_log
    )
    run(settings, var=options.var, worker=options.worker)


if __name__ == "__main__":
    main()
