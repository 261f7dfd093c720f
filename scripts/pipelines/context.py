"""What every command is given: the stack, the reader of its runs, the screen, and how a person calls commands."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import boto3
import click

from scripts.pipelines.failures import NoSuchRun
from scripts.pipelines.runs.model import Pipeline
from scripts.pipelines.runs.reading import RunReader
from scripts.pipelines.screen import Screen
from scripts.pipelines.stack import Stack, configured

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scripts.pipelines.runs.model import Summary

PROGRAM = "python -m scripts.pipelines"
DEFAULT_STACK = "redshift-pipelines"
STACK_VARIABLE = "PIPELINES_STACK"


_HELP_WIDTH = 78


def examples(*commands: str) -> str:
    """The end of a command's help: how it may be called, each as it stands behind the program's name."""
    # \b keeps click from filling the lines.
    return "\n".join(["\b", "Examples:", *(line for command in commands for line in _example(command))])


def _example(command: str) -> list[str]:
    """A call, continued on further lines before an option where it is too long for a help text."""
    first, *options = re.split(r" (?=--)", f"  {PROGRAM} {command}")
    lines = [first]
    for option in options:
        if len(lines[-1]) + len(option) + len(" \\ ") <= _HELP_WIDTH - 4:
            lines[-1] += f" {option}"
        else:
            lines[-1] += " \\"
            lines.append(f"      {option}")
    return lines


@dataclass
class Context:
    """The options before the command: the stack's name (None: samconfig.toml's), region, profile, JSON or not."""

    given_stack: str | None = None
    region: str | None = None
    profile: str | None = None
    as_json: bool = False

    @cached_property
    def screen(self) -> Screen:
        """Where results go."""
        return Screen(as_json=self.as_json)

    @cached_property
    def stack(self) -> Stack:
        """The stack that is meant."""
        session = boto3.Session(profile_name=self.profile, region_name=self.region)
        if session.region_name is None:
            session = boto3.Session(profile_name=self.profile, region_name=configured("region"))
        return Stack(session, self.given_stack or configured("stack_name") or DEFAULT_STACK)

    @cached_property
    def reader(self) -> RunReader:
        """Its runs."""
        return RunReader(self.stack)

    def run(self, name: str | None, pipelines: Iterable[Pipeline] = tuple(Pipeline), status: str = "") -> Summary:
        """The run of that name or ARN; without one, the latest of those pipelines and that status. Raises NoSuchRun."""
        if name:
            return self.reader.find(name)
        if latest := self.reader.recent(1, pipelines, status):
            return latest[0]
        kinds = " or ".join(pipeline.value for pipeline in pipelines)
        having = f" with status {status}" if status else ""
        raise NoSuchRun(f"The stack {self.stack.name} has no {kinds}{having} yet. Start one: {self.command('run')}")

    def command(self, *words: str) -> str:
        """How a person calls a command on the same stack."""
        stack = None if self.given_stack == os.environ.get(STACK_VARIABLE) else self.given_stack
        options = {"--stack": stack, "--region": self.region, "--profile": self.profile}
        given = [part for option, value in options.items() if value for part in (option, value)]
        return f"{PROGRAM} {shlex.join([*given, *words])}"


pass_context = click.make_pass_decorator(Context, ensure=True)
