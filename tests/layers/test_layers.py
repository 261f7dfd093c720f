"""The layers as Lambda gets them: size, processor, completeness, and what the handlers import from them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from scripts import check_layers
from scripts.check_layers import FUNCTIONS, ROOT, SIZE_LIMIT_MIB
from tests.template.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = Stack.load().template
LAYERS = check_layers.layer_ids(TEMPLATE)
HANDLERS = {function.handler: function.layers for function in check_layers.functions(TEMPLATE)}
REQUIREMENTS = sorted((ROOT / "layers").glob("*/requirements.txt"))


@dataclass(frozen=True)
class Built:
    """Folders of the built layers by logical id, of what Lambda's runtime brings, and of all that compiled."""

    for_lambda: dict[str, Path]
    for_host: dict[str, Path]
    runtime: Path
    bytecode: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("layers")
    return Built(
        {name: check_layers.build_layer(name, "lambda", folder / "lambda" / name) for name in LAYERS},
        {name: check_layers.build_layer(name, "host", folder / "host" / name) for name in LAYERS},
        check_layers.copy_runtime_packages(folder / "runtime"),
        folder / "bytecode",
    )


def fingerprint(folder: Path) -> dict[str, tuple[str, int, float]]:
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            path.stat().st_mode,
            path.stat().st_mtime,
        )
        for path in folder.rglob("*")
    }


def shared_library(path: Path, *, machine: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00" + machine.to_bytes(2, "little"))


def installed_package(layer: Path, name: str, version: str, *requires: str) -> None:
    folder = layer / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    (folder / "METADATA").write_text("\n".join(lines) + "\n\n")


def test_all_layers_and_the_functions_fit_into_lambda_with_room_to_spare(built: Built) -> None:
    size = sum(map(check_layers.size_mib, built.for_lambda.values())) + check_layers.size_mib(FUNCTIONS)
    assert 0 < size <= SIZE_LIMIT_MIB


def test_the_size_counts_every_file_but_compiled_python(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package/data").write_bytes(bytes(3 * 2**20))
    (tmp_path / "package/module.pyc").write_bytes(bytes(2**20))
    assert check_layers.size_mib(tmp_path) == 3


def test_every_binary_for_lambda_is_for_python_3_13_on_arm64(built: Built) -> None:
    for layer in built.for_lambda.values():
        assert list(check_layers.foreign_binaries(layer)) == []
        assert list(layer.rglob("*.so"))


@pytest.mark.parametrize(
    ("name", "machine", "complaint"),
    [
        ("a/_x.cpython-313-x86_64-linux-gnu.so", 62, "built for ELF machine 62"),
        ("a.libs/libz.so.1", 62, "built for ELF machine 62"),
        ("a/_x.cpython-311-aarch64-linux-gnu.so", 183, "an extension for cpython-311-aarch64-linux-gnu"),
    ],
)
def test_a_binary_for_another_processor_or_python_is_named(
    tmp_path: Path, name: str, machine: int, complaint: str
) -> None:
    shared_library(tmp_path / name, machine=machine)
    complaints = list(check_layers.foreign_binaries(tmp_path))
    assert complaints
    assert all(line.startswith(name) for line in complaints)
    assert any(complaint in line for line in complaints)


def test_the_pinned_packages_are_complete_for_lambda(built: Built) -> None:
    assert list(check_layers.unmet_requirements(built.for_lambda.values(), REQUIREMENTS)) == []


def test_a_missing_or_too_old_requirement_is_named(tmp_path: Path) -> None:
    layer, requirements = tmp_path / "layer", tmp_path / "requirements.txt"
    installed_package(
        layer,
        "first",
        "1.0",
        "second>=2",
        "absent",
        "boto3",
        "only-old; python_version < '3.13'",
        "chosen; extra == 'chosen'",
        "unchosen; extra == 'unchosen'",
    )
    installed_package(layer, "second", "1.9")
    requirements.write_text("# comment\nfirst[chosen]==1.0\nsecond==1.9\n")
    assert list(check_layers.unmet_requirements([layer], [requirements])) == [
        "first requires second>=2, the layers have 1.9",
        "first requires absent, which no layer has",
        "first requires chosen; extra == 'chosen', which no layer has",
    ]


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_handler_imports_with_its_layers_the_runtime_and_nothing_else(built: Built, handler: str) -> None:
    layers = [built.for_host[layer] for layer in HANDLERS[handler]]
    assert check_layers.import_failure(handler, [FUNCTIONS, *layers, built.runtime], built.bytecode) is None


def test_a_handler_that_needs_more_than_its_layers_is_found(built: Built, tmp_path: Path) -> None:
    (tmp_path / "greedy.py").write_text("import pytest\ndef handler(event, context): ...\n")
    (tmp_path / "environment.py").write_text(
        "import os\nTABLE = os.environ['PATH']\ndef handler(event, context): ...\n"
    )

    def failure(handler: str) -> str | None:
        folders = [tmp_path, *built.for_host.values(), built.runtime]
        return check_layers.import_failure(handler, folders, built.bytecode)

    assert "No module named 'pytest'" in str(failure("greedy.handler"))
    assert "KeyError: 'PATH'" in str(failure("environment.handler"))
    assert "no attribute 'other'" in str(failure("calendar.other"))


def test_each_handler_file_belongs_to_a_function_of_the_template() -> None:
    files = {f"{path.parent.name}.app.handler" for path in FUNCTIONS.glob("*/app.py")}
    assert files == set(HANDLERS)


def test_layers_built_again_have_the_same_bytes_and_nothing_of_the_previous_build(built: Built, tmp_path: Path) -> None:
    """All packages in one build: what is theirs does not depend on what is installed beside them."""
    stale = tmp_path / "python" / "stale.py"
    stale.parent.mkdir()
    stale.touch()
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("".join(file.read_text() for file in REQUIREMENTS))
    build = [sys.executable, str(ROOT / "layers/build.py"), str(requirements), str(tmp_path)]
    subprocess.run(build, env=os.environ | {"LAYER_PLATFORM": "lambda"}, check=True)
    first = {file: told for layer in built.for_lambda.values() for file, told in fingerprint(layer).items()}
    assert fingerprint(stale.parent) == first


def test_packages_can_read_their_own_version(built: Built) -> None:
    for layer in (*built.for_lambda.values(), *built.for_host.values()):
        packages = list(layer.glob("*.dist-info"))
        assert packages
        assert all((package / "METADATA").is_file() for package in packages)


def test_a_failing_pip_says_what_it_could_not_install(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("no-such-package==1.2.3\n")
    build = [sys.executable, str(ROOT / "layers/build.py"), str(requirements), str(tmp_path)]
    done = subprocess.run(build, env=os.environ | {"PIP_NO_INDEX": "1"}, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "pip could not install" in done.stderr
    assert "no-such-package==1.2.3" in done.stderr


def test_an_unknown_platform_is_refused(tmp_path: Path) -> None:
    build = [sys.executable, str(ROOT / "layers/build.py"), str(REQUIREMENTS[0]), str(tmp_path)]
    done = subprocess.run(
        build, env=os.environ | {"LAYER_PLATFORM": "mars"}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "LAYER_PLATFORM is 'mars'; it must be 'lambda' or 'host'" in done.stderr
