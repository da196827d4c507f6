"""Runs a command and says, as one line of JSON, how it ended, how long it took and the most memory it held.

`python -m reports.studies.peak COMMAND...`: the command starts from this small process, because what a starting process held
counts as what the started one holds. The command's standard output goes nowhere, its standard error into the answer.
"""

import json
import resource
import subprocess
import sys
import time

__all__ = ["main"]


def main(command: list[str]) -> None:
    """Run the command and print the answer."""
    began = time.perf_counter()
    ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    seconds = time.perf_counter() - began
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    answer = {"code": ended.returncode, "seconds": seconds, "peak_bytes": peak, "said": ended.stderr.strip()}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
