"""`python -m tests.mutation MODULE...`: runs tests on mutants of modules in a scratch copy, and prints those that survive."""

import argparse
import math
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutation.fence import fence
from tests.mutation.mutants import Mutant, mutants_of

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("hwsim", "models", "compiler", "rtl", "testbenches", "reports", "lamforge", "tests")
LOADED = ("numpy", "numba", "scipy", "torch", "hypothesis", "pytest", "yaml", "pydantic", "transformers")
"""Packages that are imported once, before the process of each mutant is forked."""
MOST_BYTES = 4 << 30
"""Memory of the process of a mutant."""


def main() -> int:
    """Return 1 where a mutant survives, 2 where the tests fail without one, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="+", metavar="MODULE", help="file of a room, such as hwsim/arch/numerics.py")
    parser.add_argument(
        "--tests", action="append", metavar="FILE", help="test files or nodes instead of those that import the module"
    )
    parser.add_argument("--select", metavar="EXPRESSION", help="pytest's -k, for all tests")
    parser.add_argument("--most", type=int, default=60, metavar="N", help="mutants a module, drawn where there are more (60)")
    parser.add_argument("--seed", type=int, default=0, help="seed of what is drawn (0)")
    parser.add_argument("--lines", metavar="A-B", help="only mutants of these lines")
    parser.add_argument("--minutes", type=float, default=1e9, metavar="M", help="begin no mutant after so many minutes")
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    for package in LOADED:
        __import__(package)
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = copy_of_the_tree(Path(folder))
        for module in options.modules:
            tests = options.tests or files_beside(module)
            source = (tree / module).read_text()
            mutants = mutants_of(source)
            if options.lines:
                first, last = map(int, options.lines.split("-"))
                mutants = [each for each in mutants if first <= each.line <= last]
            drawn = sorted(random.Random(options.seed).sample(mutants, min(options.most, len(mutants))))
            print(f"{module}: {len(drawn)} of {len(mutants)} mutants (seed {options.seed}) against {' '.join(tests)}", flush=True)
            began = time.monotonic()
            if ran(tree, tests, options.select, 600) != 0:
                print(f"{module}: the tests must pass without a mutant, and do not")
                return 2
            # Loops that do not end are seen by their time; what is compiled anew takes seconds.
            limit = 60 + 5 * (time.monotonic() - began)
            killed, alive = 0, 0
            for mutant in drawn:
                if time.monotonic() > until:
                    break
                if is_seen(tree, module, mutant, tests, options.select, limit):
                    killed += 1
                else:
                    alive += 1
                    print(f"  survives: {module}:{mutant.shown(source)}", flush=True)
            print(
                f"{module}: {killed} of {killed + alive} killed, {alive} survive, {len(drawn) - killed - alive} not tried",
                flush=True,
            )
            survived += alive
    return int(survived > 0)


def copy_of_the_tree(folder: Path) -> Path:
    """Return a copy of the files that git tracks or does not ignore, with a repository of its own for tests that ask for one."""
    listing = subprocess.run(
        ["git", "ls-files", "-zco", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listing.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    return folder


def files_beside(module: str) -> list[str]:
    """Return the test files that are named after a module or its package, then others that import it, or else its package."""
    path = Path(module).with_suffix("")
    package = re.escape(".".join(path.parent.parts))
    everything = {
        file: file.read_text() for file in sorted((ROOT / "tests").rglob("test_*.py")) if "contributing" not in file.parts
    }
    importing, of_package = (
        [file for file, text in everything.items() if re.search(names, text)]
        for names in (rf"from {package} import .*\b{path.name}\b|\b{package}\.{path.name}\b", rf"\b{package}\b")
    )
    named = [file for file in of_package if file.stem in (f"test_{path.name}", f"test_{path.parent.name}")]
    files = [*named, *(file for file in importing or of_package if file not in named)]
    return [str(file.relative_to(ROOT)) for file in files]


def is_seen(tree: Path, module: str, mutant: Mutant, tests: list[str], select: str | None, limit_s: float) -> bool:
    """Return whether a test fails, or takes longer than the limit, with the mutant in place."""
    source = (tree / module).read_text()
    (tree / module).write_text(mutant.applied(source))
    try:
        return ran(tree, tests, select, limit_s) != 0
    finally:
        (tree / module).write_text(source)


def ran(tree: Path, tests: list[str], select: str | None, limit_s: float) -> int:
    """Return pytest's exit code from a forked process, -1 where it takes longer than the limit."""
    child = os.fork()
    if child == 0:
        os.setpgrp()
        os.chdir(tree)
        own = {name: str(tree / ".git" / name) for name in ("compiled", "temporary", "bytecode")}
        (tree / ".git" / "temporary").mkdir(exist_ok=True)
        os.environ |= {"PYTHONPATH": str(tree), "NUMBA_CACHE_DIR": own["compiled"], "TMPDIR": own["temporary"], "HOME": str(tree)}
        tempfile.tempdir = own["temporary"]
        sys.path = [str(tree), *(path for path in sys.path if path not in ("", str(ROOT)))]
        sys.dont_write_bytecode = True
        sys.pycache_prefix = own["bytecode"]
        for name in [name for name in sys.modules if name.split(".")[0] in ROOMS]:
            del sys.modules[name]
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        fence(tree)
        # A mutant may go on for ever, and take all memory meanwhile, also when nobody is left who would end it.
        resource.setrlimit(resource.RLIMIT_CPU, (2 * math.ceil(limit_s),) * 2)
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES,) * 2)
        import pytest

        os._exit(
            int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "--assert=plain", *(["-k", select] if select else []), *tests]))
        )
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1


if __name__ == "__main__":
    sys.exit(main())
