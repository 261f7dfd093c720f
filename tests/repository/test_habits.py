"""What a stranger expects of a repository: a license, versions, contributions, continuous checks, all as they say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from samcli.vendor.serverlessrepo.parser import get_app_metadata  # type: ignore[import-untyped]

from tests.template.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
LICENSE = " ".join((ROOT / "LICENSE").read_text().split())
METADATA = get_app_metadata(Stack.load().template)
# "AWS SAM template Metadata section properties" in the SAM developer guide: what the texts have to match.
FORMS = {
    "name": r"[a-zA-Z0-9\-]{1,140}",
    "description": r".{1,256}",
    "author": r"(?=.{1,127}$)[a-z0-9](([a-z0-9]|-(?!-))*[a-z0-9])?",
    "semantic_version": r"\d+\.\d+\.\d+",
}


def read(path: str) -> dict[str, Any]:
    text = (ROOT / path).read_text()
    # YAML 1.1, which PyYAML reads, takes a workflow's key "on" for true.
    parsed: dict[str, Any] = yaml.safe_load(text.replace("\non:", '\n"on":'))
    return parsed


def test_the_license_is_mit_0() -> None:
    assert LICENSE.startswith("MIT No Attribution Copyright ")
    assert "Permission is hereby granted, free of charge, to any person obtaining a copy" in LICENSE
    assert 'THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND' in LICENSE
    # This is what MIT demands and MIT-0 does not.
    assert "above copyright notice" not in LICENSE
    assert METADATA.spdx_license_id == "MIT-0"


def test_the_application_can_be_published() -> None:
    METADATA.validate(["name", "description", "author", "license_url", "readme_url", "labels", "semantic_version"])
    texts = {key: getattr(METADATA, key) for key in FORMS}
    assert {key: text for key, text in texts.items() if not re.fullmatch(FORMS[key], text)} == {}
    assert (ROOT / METADATA.license_url).is_file()
    assert (ROOT / METADATA.readme_url).is_file()
    assert len(METADATA.labels) <= 10
    assert all(re.fullmatch(r"[a-zA-Z0-9+\-_:/@]{1,127}", label) for label in METADATA.labels)


def test_the_version_is_the_newest_of_the_changelog() -> None:
    versions = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == METADATA.semantic_version
    assert versions == sorted(versions, key=lambda version: [int(part) for part in version.split(".")], reverse=True)


def test_the_workflow_runs_what_a_developer_runs_with_no_more_rights_than_reading() -> None:
    workflow = read(".github/workflows/test.yml")
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert [step["run"] for step in steps if "run" in step] == ["make test"]
    assert {"push", "pull_request"} <= set(workflow["on"])
    assert workflow["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


def test_hooks_bring_the_versions_that_are_pinned() -> None:
    pinned = set((ROOT / "requirements.txt").read_text().splitlines())
    hooks = [hook for repository in read(".pre-commit-config.yaml")["repos"] for hook in repository["hooks"]]
    assert hooks
    assert {need for hook in hooks for need in hook["additional_dependencies"]} <= pinned


def test_every_folder_with_requirements_is_updated() -> None:
    python, actions = read(".github/dependabot.yml")["updates"]
    files = [file for file in ROOT.rglob("*requirements.txt") if not file.relative_to(ROOT).parts[0].startswith(".")]
    folders = {f"/{file.parent.relative_to(ROOT)}".replace("/.", "/") for file in files}
    assert python["package-ecosystem"] == "pip"
    assert set(python["directories"]) == folders
    assert actions["package-ecosystem"] == "github-actions"


@pytest.mark.parametrize("form", ["defect", "wish"])
def test_an_issue_form_is_one_that_can_be_filled_in(form: str) -> None:
    parsed = read(f".github/ISSUE_TEMPLATE/{form}.yml")
    fields = [part for part in parsed["body"] if part["type"] != "markdown"]
    assert parsed["name"]
    assert parsed["description"]
    assert all(field["id"] and field["attributes"]["label"] for field in fields)
    assert any(field.get("validations", {}).get("required") for field in fields)


def anchors(file: Path) -> set[str]:
    """What GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/*.md"])
def test_links_within_the_repository_lead_somewhere(page: str) -> None:
    broken = []
    for file in ROOT.glob(page):
        for path, anchor in re.findall(r"\]\(([^)#\s:]*)#?([^)\s:]*)\)", file.read_text()):
            target = file.parent / path if path else file
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{file.relative_to(ROOT)}: {path}#{anchor}")
    assert broken == []


def test_the_readme_leads_to_every_page() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"(docs/{page.name}" not in readme] == []
