"""A built layer is zipped once: builds that leave it as it is take the archive there is."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest
import yaml

from local.stack import pack

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """What `sam build` leaves: a template, and a layer's folder that it names."""
    module = tmp_path / "build" / "Layer" / "python" / "module.py"
    module.parent.mkdir(parents=True)
    module.write_text("A = 1\n")
    return tmp_path / "build"


def zipped(build: Path) -> Path:
    """The archive of the layer that the template names after the next build."""
    properties = {"ContentUri": "Layer", "Other": "Layer"}
    layer = {"Type": "AWS::Serverless::LayerVersion", "Properties": properties}
    (build / "template.yaml").write_text(yaml.safe_dump({"Resources": {"Layer": layer}}))
    pack(build, build.parent / "layers")
    written: dict[str, str] = json.loads((build / "template.json").read_text())["Resources"]["Layer"]["Properties"]
    assert written == properties | {"ContentUri": written["ContentUri"]}
    return (build / written["ContentUri"]).resolve()


def test_a_layer_that_stays_as_it_is_is_not_zipped_again(build: Path) -> None:
    first = zipped(build)
    with zipfile.ZipFile(first) as archive:
        assert archive.namelist() == ["python/module.py"]
        assert archive.read("python/module.py") == b"A = 1\n"
    written = first.stat().st_mtime_ns
    assert zipped(build) == first
    assert first.stat().st_mtime_ns == written


@pytest.mark.parametrize("change", ["content", "mode", "name"])
def test_one_that_has_changed_is_and_leaves_nothing_of_the_other(build: Path, change: str) -> None:
    first = zipped(build)
    module = build / "Layer" / "python" / "module.py"
    if change == "content":
        module.write_text("A = 2\n")
    elif change == "mode":
        module.chmod(0o755)
    else:
        module.rename(module.with_name("other.py"))
    second = zipped(build)
    assert second != first
    assert [*second.parent.iterdir()] == [second]
