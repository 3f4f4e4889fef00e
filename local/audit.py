"""`python -m local.audit [--required]`: known weaknesses of what is deployed, as pip-audit finds them in OSV's data.

That data is on the network and nowhere else. Where it can't be had, one line says so; with `--required`, as pipelines
call it, that is a failure too: an audit that looked at nothing must not pass for one that found nothing.
"""

import json
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parents[1] / "requirements.txt"
WITHIN_S = 180


def main(arguments: list[str]) -> int:
    """0: nothing is known, or the data can't be had and need not; 1: see the lines."""
    report = audited()
    if report is None:
        print("audit: not done: OSV's data can't be reached from here; run `make audit` where there is a network")
        return 1 if "--required" in arguments else 0
    return told(report)


def audited() -> dict[str, list[str]] | None:
    """Package with version -> what is known of it; None where the data can't be had, whole."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(REQUIREMENTS), "--no-deps", "--disable-pip"]
    command += ["--vulnerability-service", "osv", "--format", "json", "--progress-spinner", "off", "--timeout", "15"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
        found = json.loads(run.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return None
    if not found or any("skip_reason" in one for one in found):
        return None
    return {f"{one['name']} {one['version']}": [weakness["id"] for weakness in one["vulns"]] for one in found}


def told(report: dict[str, list[str]]) -> int:
    """Print it -> exit code."""
    weak = {package: known for package, known in report.items() if known}
    for package, known in weak.items():
        print(f"audit: {package}: {', '.join(known)}")
    print(f"audit: {len(report)} packages looked at, {len(weak)} with known weaknesses")
    return 1 if weak else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
