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
    options = parser.parse_args()
    run(GatewaySettings(port=options.port), var=options.var, worker=0)


if __name__ == "__main__":
    main()
