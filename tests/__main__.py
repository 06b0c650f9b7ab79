"""Every check, in one command: `python3 -m tests`. Only the standard library is needed to start it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path

LEAST_COVERAGE = 95
WORKERS = 3  # a browser's tests mostly wait
ROOT = Path(__file__).resolve().parent.parent
CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("lint-imports",),
    ("pip-audit", "--progress-spinner", "off", "--require-hashes", "--disable-pip", "-r", "requirements.txt"),
)
#: what holds hashes and no secrets
LOCKED = ("requirements.txt", "requirements-dev.txt")


def python() -> Path:
    """This function will give the Python of the running virtual environment, or of a new `.venv`."""
    if sys.prefix != sys.base_prefix:
        return Path(sys.executable)
    home = ROOT / ".venv"
    if not (home / "bin" / "python").exists():
        venv.create(home, with_pip=True)
    return home / "bin" / "python"


def install(interpreter: Path) -> None:
    """This function will install the locked requirements, each file checked by its hash."""
    locked = ["--require-hashes", "--requirement", str(ROOT / "requirements-dev.txt")]
    run([str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *locked])


def install_programs() -> None:
    """This function will install the browser, the database server and the proxy, where they are missing and we may."""
    missing = []
    if not shutil.which("chromium"):
        missing.append("chromium")
    if not any(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        missing.append("postgresql")
    if not shutil.which("openssl"):
        missing.append("openssl")
    if not shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin"):
        missing.append("nginx")
    if missing and os.geteuid() == 0:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "update", "-qq"], quiet)
        run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], quiet)


def secret_scan() -> tuple[str, ...]:
    """This function will give the command that looks for secrets in every file that the repository holds."""
    held = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return ("detect-secrets-hook", *(name for name in held if name not in LOCKED))


def run(command: Iterable[str], env: dict[str, str] | None = None) -> None:
    """This function will run a command and end everything with its code where it fails."""
    done = subprocess.run(list(command), cwd=ROOT, env=env, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def main() -> None:
    """This function will prepare, lint, type-check and test; the tests' summary is the last line."""
    interpreter = python()
    install(interpreter)
    install_programs()
    tools = interpreter.parent
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    failed = []
    for name, *arguments in (*CHECKS, secret_scan()):
        if subprocess.run([str(tools / name), *arguments], cwd=ROOT, env=env, check=False).returncode:
            failed.append(name)
    if failed:
        sys.stdout.write(f"FAILED: {', '.join(failed)}\n")
        sys.stdout.flush()
    measured = ["--durations=20", "--cov=crm_core", "--cov-report=term", f"--cov-fail-under={LEAST_COVERAGE}"]
    tests = [
        str(interpreter),
        "-m",
        "pytest",
        "-q",
        "-n",
        str(WORKERS),
        "--dist",
        "loadfile",
        "--no-loadscope-reorder",
        *measured,
        "tests",
    ]
    code = subprocess.run(tests, cwd=ROOT, env={**env, "CRM_NO_SKIPS": "1"}, check=False).returncode
    sys.exit(code or bool(failed))


if __name__ == "__main__":
    main()
