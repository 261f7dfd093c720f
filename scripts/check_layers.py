"""Checks that the layers fit Lambda and hold all that the functions import. Run: `python scripts/check_layers.py`.

Builds both layers for Lambda and for this machine, and checks four things: the size of a function with its layers,
that every binary is for Lambda's processor and Python, that the pinned packages are complete, and (with the build for
this machine) that every handler imports in an interpreter that has nothing but the standard library, what Lambda's
runtime brings, the function's layers and `functions/`.
"""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rich.console import Console
from rich.table import Table
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = ROOT / "functions"

# A function and its layers, unpacked (Lambda developer guide, "Lambda quotas": 250 MB), and what is left as room.
LAMBDA_LIMIT_MIB = 250
SIZE_LIMIT_MIB = 210

# boto3, which Lambda's Python runtimes include, and all that it requires.
RUNTIME_PACKAGES = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3")
# Required by name and imported nowhere: awswrangler keeps it for packages that still used distutils.
UNUSED_PACKAGES = ("setuptools",)
LAMBDA_ENVIRONMENT = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "aarch64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.13.0",
    "python_version": "3.13",
    "sys_platform": "linux",
}
LAMBDA_EXTENSION_TAG = "cpython-313-aarch64-linux-gnu"

# ELF header (elf(5)): magic, 64-bit class and little-endian data, then e_machine at byte 18.
_ELF_MAGIC = b"\x7fELF"
_ELF_64_LITTLE_ENDIAN = b"\x02\x01"
_ELF_AARCH64 = 183

_IMPORT_HANDLER = """
import importlib, sys
module, name, *folders = sys.argv[1:]
sys.path += folders
getattr(importlib.import_module(module), name)
"""


@dataclass(frozen=True)
class Function:
    """One Lambda function: the handler's dotted name and the logical ids of its layers."""

    handler: str
    layers: tuple[str, ...]


def layer_ids(template: dict[str, Any]) -> list[str]:
    """Give the logical ids of the template's layers."""
    resources = template["Resources"].items()
    return [name for name, resource in resources if resource["Type"] == "AWS::Serverless::LayerVersion"]


def functions(template: dict[str, Any]) -> list[Function]:
    """Give the template's functions, with their own and the global layers."""
    shared = template.get("Globals", {}).get("Function", {}).get("Layers", [])
    found = []
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            layers = [*shared, *resource["Properties"].get("Layers", [])]
            found.append(Function(resource["Properties"]["Handler"], tuple(layer["Ref"] for layer in layers)))
    return found


def build_layer(layer: str, platform: str, folder: Path) -> Path:
    """Build a layer as `sam build` does, for `lambda` or `host`; give the folder that gets on `sys.path`."""
    make = ["make", "--silent", f"build-{layer}", f"ARTIFACTS_DIR={folder}", f"PYTHON={sys.executable}"]
    subprocess.run(make, cwd=ROOT / "layers", env=os.environ | {"LAYER_PLATFORM": platform}, check=True)  # noqa: S603
    return folder / "python"


def size_mib(folder: Path) -> float:
    """Give the size of all files in MiB, compiled Python (.pyc) left out: builds have none, working copies do."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return sum(path.stat().st_size for path in files) / 2**20


def foreign_binaries(layer: Path) -> Iterator[str]:
    """Say which shared libraries Lambda's Python 3.13 on arm64 could not load."""
    for path in sorted(layer.rglob("*.so*")):
        name = path.relative_to(layer)
        with path.open("rb") as binary:
            header = binary.read(20)
        if header[:4] != _ELF_MAGIC or header[4:6] != _ELF_64_LITTLE_ENDIAN:
            yield f"{name} is not a 64-bit little-endian ELF file"
        elif int.from_bytes(header[18:20], "little") != _ELF_AARCH64:
            yield f"{name} is built for ELF machine {int.from_bytes(header[18:20], 'little')}, not for aarch64"
        tag = re.search(r"\.(cpython-[^.]+)\.so$", path.name)
        if tag and tag[1] != LAMBDA_EXTENSION_TAG:
            yield f"{name} is an extension for {tag[1]}, not for {LAMBDA_EXTENSION_TAG}"


def unmet_requirements(layers: Iterable[Path], requirements: Iterable[Path]) -> Iterator[str]:
    """Say what the packages of layers used together require on Lambda and neither a layer nor the runtime has.

    `requirements` are the layers' requirements files; they name the extras.
    """
    wanted = [
        Requirement(line) for file in requirements for line in file.read_text().splitlines() if re.match(r"\w", line)
    ]
    extras = {canonicalize_name(requirement.name): requirement.extras for requirement in wanted}
    packages = {}
    for layer in layers:
        for file in layer.glob("*.dist-info/METADATA"):
            package = email.message_from_string(file.read_text())
            packages[canonicalize_name(package["Name"])] = package
    for name, package in sorted(packages.items()):
        for line in package.get_all("Requires-Dist", []):
            requirement = Requirement(line)
            environments = [LAMBDA_ENVIRONMENT | {"extra": extra} for extra in ("", *extras.get(name, ()))]
            if requirement.marker and not any(map(requirement.marker.evaluate, environments)):
                continue
            required = canonicalize_name(requirement.name)
            if required in packages:
                if packages[required]["Version"] not in requirement.specifier:
                    yield f"{name} requires {line}, the layers have {packages[required]['Version']}"
            elif required not in RUNTIME_PACKAGES + UNUSED_PACKAGES:
                yield f"{name} requires {line}, which no layer has"


def copy_runtime_packages(folder: Path) -> Path:
    """Fill a folder with what Lambda's runtime brings, taken from the running interpreter's packages."""
    folder.mkdir(parents=True)
    for package in RUNTIME_PACKAGES:
        distribution = metadata.distribution(package)
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in {"..", "__pycache__"}}:
            source = Path(str(distribution.locate_file(top)))
            (folder / top).symlink_to(source, target_is_directory=source.is_dir())
    return folder


def import_failure(handler: str, folders: Sequence[Path], bytecode: Path) -> str | None:
    """Import a handler with an empty environment from these folders and the standard library alone.

    What is compiled for it is kept in the folder `bytecode`, for the next handler. Returns the interpreter's traceback,
    or None if the import succeeded.
    """
    module, _, name = handler.rpartition(".")
    # -I: no environment, no user packages, no current folder; -S: no site-packages.
    command = [sys.executable, "-I", "-S", "-X", f"pycache_prefix={bytecode}", "-c", _IMPORT_HANDLER]
    command += [module, name, *map(str, folders)]
    done = subprocess.run(command, env={}, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    return None if done.returncode == 0 else done.stderr.strip()


def _report(template: dict[str, Any], folder: Path, console: Console) -> Iterator[str]:
    """Build, print the sizes, and say everything that is wrong."""
    built = {
        platform: {name: build_layer(name, platform, folder / platform / name) for name in layer_ids(template)}
        for platform in ("lambda", "host")
    }
    sizes = {platform: {name: size_mib(path) for name, path in layers.items()} for platform, layers in built.items()}
    code = size_mib(FUNCTIONS)
    table = Table("unpacked, MiB", "for Lambda", "for this machine")
    for name in layer_ids(template):
        table.add_row(name, *(f"{sizes[platform][name]:.1f}" for platform in sizes))
    table.add_row("functions/", f"{code:.1f}", f"{code:.1f}")
    table.add_row(
        f"all together (Lambda allows {LAMBDA_LIMIT_MIB})", *(f"{sum(s.values()) + code:.1f}" for s in sizes.values())
    )
    console.print(table)

    if sum(sizes["lambda"].values()) + code > SIZE_LIMIT_MIB:
        yield f"code and layers take more than {SIZE_LIMIT_MIB} MiB"
    for layer in built["lambda"].values():
        yield from foreign_binaries(layer)
    yield from unmet_requirements(built["lambda"].values(), sorted((ROOT / "layers").glob("*/requirements.txt")))
    runtime = copy_runtime_packages(folder / "runtime")
    for function in functions(template):
        layers = [built["host"][layer] for layer in function.layers]
        failure = import_failure(function.handler, [FUNCTIONS, *layers, runtime], folder / "bytecode")
        console.print(f"{function.handler}: {'does not import' if failure else 'imports'}")
        if failure:
            yield f"{function.handler} does not import:\n{failure}"


def main() -> None:
    """Check the layers; exit non-zero with the reasons if anything is not as it should be."""
    template = yaml_parse((ROOT / "template.yaml").read_text())
    folder = Path(tempfile.mkdtemp(prefix="layers-"))
    try:
        problems = list(_report(template, folder, Console()))
    finally:
        shutil.rmtree(folder)
    if problems:
        raise SystemExit("\n".join(problems))


if __name__ == "__main__":
    main()
