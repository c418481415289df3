"""The ``lacuna`` command of this package: the same as Cargo builds, without its binary."""

import shutil
import signal
import sys

from . import _lacuna


def main() -> int:
    """Run the command that ``sys.argv`` names, and return its exit code."""
    # The interpreter's handler would wait for the end of the command.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _lacuna.command(["lacuna", *sys.argv[1:]], shutil.which(sys.argv[0]))
