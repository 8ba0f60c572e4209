"""Write the sample case's evidence: the planted campaign of `sim.campaign`, judged day by day.

python -m tools.sample_case            write the file
python -m tools.sample_case --check    exit 1 when the file is not what the campaign gives

It takes half a minute, so the console reads the file instead of computing it.
"""

import sys
import tempfile
from pathlib import Path

import msgspec

from quartermaster.app.case_days import evidence_of_file
from quartermaster.sim.campaign import CUSTOMER, campaign_days

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "src/quartermaster/sim/sample_case.json"
NAME = "planted-campaign.jsonl"


def made() -> bytes:
    """The evidence, as the file holds it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAME
        path.write_bytes(b"".join(msgspec.json.encode(day) + b"\n" for day in campaign_days()))
        evidence = evidence_of_file(path, CUSTOMER, key=bytes(32)).evidence
    return msgspec.json.format(msgspec.json.encode(evidence, order="sorted"), indent=1) + b"\n"


def main(arguments: list[str]) -> int:
    """Write or check the file; returns the exit code."""
    new = made()
    if "--check" in arguments:
        return 0 if FILE.read_bytes() == new else 1
    FILE.write_bytes(new)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
