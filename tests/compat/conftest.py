"""Say which releases were tried: a client that works is one of a version."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line with every version, which `./run check` shows."""
    reports = [
        report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])
    ]
    found = {
        value: None for one in reports for name, value in one.user_properties if name == "versions"
    }
    if found:
        terminalreporter.write_line(f"versions: {'; '.join(found)}")
