"""Installing the stranger's package into a folder, as its user would."""

import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent
HOUSE = PACKAGE.parents[1]
PIP = (
    "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index",
    "--no-cache-dir", "--no-compile",
)  # fmt: skip


def install(target: Path) -> Path:
    """The folder with the package in it, to stand on PYTHONPATH."""
    subprocess.run([sys.executable, *PIP, "--target", str(target), str(PACKAGE)], check=True, cwd=target, timeout=60)
    return target
