"""Builds one Lambda layer from pinned wheels, on any Linux or macOS, without Docker.

Usage: `python3 build.py <requirements file> <artifacts folder>`; the layer goes into `<artifacts folder>/python`.
It is built for Lambda's Python 3.13 on arm64 unless the environment says `LAYER_PLATFORM=host`: then for
the interpreter and machine that run this script, which is what the local AWS runs handlers on.
"""

import os
import shutil
import stat
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

# Amazon Linux 2023 has glibc 2.34, so every older manylinux platform runs on it.
_LAMBDA_PLATFORMS = (*(f"manylinux_2_{minor}_aarch64" for minor in range(34, 16, -1)), "manylinux2014_aarch64")
_LAMBDA_PYTHON = "3.13"

# What no handler ever loads, as glob patterns below the layer's python folder.
_NEVER_LOADED = (
    # Tests and their data; `testing` packages stay, since pandas and numpy import theirs.
    "*/tests",
    "*/**/tests",
    "*/conftest.py",
    "pyarrow/_pyarrow_cpp_tests.*",
    "numpy/_core/_simd.*",
    "numpy/_core/_*_tests.*",
    # Headers, sources and stubs of compiled modules.
    "**/*.pyi",
    "**/*.pyx",
    "**/*.pxd",
    "**/*.pxi",
    "**/*.h",
    "**/*.hpp",
    "**/*.c",
    "**/*.cc",
    "**/*.a",
    "pyarrow/include",
    "pyarrow/src",
    "wrapt-stubs",
    # Arrow Flight, an RPC server and client.
    "pyarrow/libarrow_flight.*",
    "pyarrow/libarrow_python_flight.*",
    "pyarrow/_flight.*",
    # Stores and file formats other than S3 and Parquet; pyarrow treats each as optional.
    "pyarrow/_azurefs.*",
    "pyarrow/_gcsfs.*",
    "pyarrow/_hdfs.*",
    "pyarrow/_orc.*",
    "pyarrow/_dataset_orc.*",
    # The same library under the names a compiler would look for; at run time `libarrow_python.so.<ABI>` is loaded.
    "pyarrow/libarrow_python*.so",
    "pyarrow/libarrow_python*.so.*.*.*",
    # Fortran to Python, and the browser pages of an HTTP API.
    "numpy/f2py",
    "aws_lambda_powertools/event_handler/openapi/swagger_ui/*.js",
    "aws_lambda_powertools/event_handler/openapi/swagger_ui/*.css",
    # Commands, and what pip notes about its own work; METADATA and licences stay.
    "bin",
    "*.dist-info/INSTALLER",
    "*.dist-info/RECORD",
    "*.dist-info/REQUESTED",
    "*.dist-info/WHEEL",
    "*.dist-info/sboms",
)

# The earliest time a zip archive can hold (1980-01-01): the same wheels always give the same bytes.
_FILE_TIME = 315532800


def build(requirements: Path, python_folder: Path, platform: str) -> None:
    """Install the pinned wheels into a new `python_folder`, trimmed and with fixed times and modes.

    `platform` is `lambda` or `host`. Raises SystemExit with pip's own words if a wheel can't be had.
    """
    if python_folder.exists():
        shutil.rmtree(python_folder)
    _install(requirements, python_folder, platform)
    _trim(python_folder)
    _make_reproducible(python_folder)


def _install(requirements: Path, target: Path, platform: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-compile", "--no-deps", "--only-binary=:all:"]
    if platform == "lambda":
        command += ["--implementation", "cp", "--python-version", _LAMBDA_PYTHON]
        command += [f"--platform={name}" for name in _LAMBDA_PLATFORMS]
    command += ["--target", str(target), "--requirement", str(requirements)]
    # Quiet unless it fails: `sam build` shows everything a layer prints, pip's warnings about its caches included.
    pip = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if pip.returncode != 0:
        reason = (pip.stderr or pip.stdout).strip()
        raise SystemExit(f"layers: pip could not install {requirements} for {platform}:\n{reason}")


def _trim(python_folder: Path) -> None:
    for pattern in _NEVER_LOADED:
        for path in list(python_folder.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _make_reproducible(python_folder: Path) -> None:
    for path in (*python_folder.rglob("*"), python_folder):
        path.chmod(0o755 if path.is_dir() else stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IROTH)
        os.utime(path, (_FILE_TIME, _FILE_TIME))


def main() -> None:
    """Build the layer that the command line and `LAYER_PLATFORM` name."""
    arguments = ArgumentParser(description="Build one Lambda layer from pinned wheels.")
    arguments.add_argument("requirements", type=Path, help="file with the exact versions to install")
    arguments.add_argument("artifacts", type=Path, help="folder to write the layer's python folder into")
    given = arguments.parse_args()
    platform = os.environ.get("LAYER_PLATFORM", "lambda")
    if platform not in {"lambda", "host"}:
        raise SystemExit(f"layers: LAYER_PLATFORM is {platform!r}; it must be 'lambda' or 'host'")
    build(given.requirements, given.artifacts / "python", platform)


if __name__ == "__main__":
    main()
