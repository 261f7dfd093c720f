"""The local AWS as a process: what it listens on, what it enforces, and that nothing of it stays."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import psutil
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from local.stack import PROJECT, LocalAws, LocalAwsDidNotStartError
from tests.local.launcher.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE_SECONDS = 30
PROFILE = {"AWS_PROFILE": "production", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}
START_AND_SLEEP = """
import json, time
from local.stack import LocalAws
with LocalAws() as aws:
    print(json.dumps([aws.endpoint_url, str(aws.directory)]), flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def other() -> Iterator[LocalAws]:
    """One more, which was started by a developer with a profile."""
    with ExitStack() as running:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in PROFILE.items():
                environment.setenv(name, value)
            aws = running.enter_context(LocalAws())
        yield aws


def wait_until(reached: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not reached():
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {DEADLINE_SECONDS} s")
        time.sleep(0.05)


def processes_in(directory: Path) -> list[psutil.Process]:
    """All processes that were told of a directory: the local AWS itself, PostgreSQL, Lambda workers."""
    found = []
    for process in psutil.process_iter():
        try:
            told = [*process.cmdline(), process.cwd(), *process.environ().values()]
        except psutil.Error:  # it ended meanwhile, or is another user's
            continue
        if any(str(directory) in text for text in told):
            found.append(process)
    return found


def run_a_lambda(aws: LocalAws) -> Emulator:
    """Leave a warm Lambda worker behind."""
    emulator = Emulator(aws.client)
    source = "import boto3\ndef handler(event, context): boto3.client('s3').list_buckets()"
    policy = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
    aws.client("iam").put_role_policy(
        RoleName="any",
        PolicyName="buckets",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [policy]}),
    )
    emulator.create_function("warm", source, Timeout=30)
    answer = emulator.clients["lambda"].invoke(FunctionName="warm", Payload="{}")
    assert "FunctionError" not in answer, answer["Payload"].read()
    return emulator


def leave_lambdas_at_work(emulator: Emulator, directory: Path) -> None:
    """Leave two workers of a function at work, one of them since before the function was updated."""
    source = (
        "import os, pathlib, time\n"
        "def handler(event, context):\n"
        "    pathlib.Path(os.environ['TMPDIR'], event['name']).touch()\n"
        "    time.sleep(600)\n"
    )
    emulator.create_function("works-on", source, Timeout=900)
    functions = emulator.clients["lambda"]
    for name, megabytes in (("first", 256), ("second", 512)):
        functions.update_function_configuration(FunctionName="works-on", MemorySize=megabytes)
        functions.invoke(FunctionName="works-on", InvocationType="Event", Payload=json.dumps({"name": name}))
        wait_until((directory / "tmp" / name).exists, f"the {name} is at work")


def is_open(endpoint_url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(endpoint_url.rpartition(":")[2]))) == 0


def test_it_leaves_no_process_port_or_file_but_those_of_another(other: LocalAws) -> None:
    with LocalAws() as aws:
        leave_lambdas_at_work(run_a_lambda(aws), aws.directory)
        running = {process.name() for process in processes_in(aws.directory)}
        assert any("postgres" in name for name in running)
        assert is_open(aws.endpoint_url)

    assert is_open(other.endpoint_url)
    assert not is_open(aws.endpoint_url)
    assert not aws.directory.exists()
    wait_until(lambda: not processes_in(aws.directory), "the end of every process")


def test_it_ends_with_its_parent_even_if_that_is_killed() -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            START_AND_SLEEP,
        ],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    endpoint_url, directory = json.loads(parent.stdout.readline())
    assert is_open(endpoint_url)

    parent.kill()
    parent.wait()

    wait_until(lambda: not is_open(endpoint_url), "a closed port")
    wait_until(lambda: not processes_in(Path(directory)), "the end of every process")
    wait_until(lambda: not Path(directory).exists(), "the end of every file")


def test_it_stops_postgresql_even_if_it_is_killed_itself() -> None:
    with LocalAws() as aws:
        (process,) = [child for child in psutil.Process().children() if str(aws.directory) in child.cmdline()]
        process.kill()
        wait_until(lambda: not processes_in(aws.directory), "the end of every process")


def test_two_of_them_run_side_by_side(aws: LocalAws, other: LocalAws) -> None:
    for one in (aws, other):
        one.client("s3").create_bucket(Bucket="of-the-same-name")
    other.client("s3").put_object(Bucket="of-the-same-name", Key="only-there")

    assert aws.client("s3").list_objects_v2(Bucket="of-the-same-name")["KeyCount"] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="macOS shows other processes' sockets to root alone")
def test_it_listens_on_the_loopback_interface_alone(aws: LocalAws) -> None:
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for process in processes_in(aws.directory)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening == {("127.0.0.1", int(aws.endpoint_url.rpartition(":")[2]))}


@pytest.mark.parametrize(
    ("key", "secret"),
    [("test", "test"), ("123456789012", "test"), ("root", "guessed"), ("unknown", "test"), (None, None)],
)
@pytest.mark.parametrize("service", ["s3", "lambda"])
def test_nobody_is_root_without_the_credentials_that_were_made_up_for_it(
    aws: LocalAws, service: str, key: str | None, secret: str | None
) -> None:
    session = botocore.session.Session()
    if key and secret:
        session.set_credentials(aws.environment["AWS_ACCESS_KEY_ID"] if key == "root" else key, secret)
    unsigned = Config(signature_version=UNSIGNED) if key is None else None
    client: Any = session.create_client(
        service, region_name="us-east-1", endpoint_url=aws.endpoint_url, config=unsigned
    )
    call = client.list_buckets if service == "s3" else client.list_functions
    with pytest.raises(ClientError, match=r"AccessDenied|invalid|not match|Missing|not exist"):
        call()


def test_the_credentials_of_a_function_are_no_digest_of_its_name(aws: LocalAws) -> None:
    run_a_lambda(aws)
    config = aws.client("lambda").get_function(FunctionName="warm")["Configuration"]
    computed = hashlib.sha256(f"{config['FunctionArn']}:{config['Role']}".encode()).hexdigest()
    session = botocore.session.Session()
    session.set_credentials(
        f"ASIA{computed[:16].upper()}",
        hashlib.sha256(f"secret:{computed}".encode()).hexdigest(),
        hashlib.sha256(f"token:{computed}".encode()).hexdigest(),
    )
    function: Any = session.create_client("s3", region_name="us-east-1", endpoint_url=aws.endpoint_url)
    with pytest.raises(ClientError, match=r"InvalidAccessKeyId|invalid|not exist"):
        function.list_buckets()


@pytest.mark.parametrize("path", ["reset", "config", "sqs/messages?QueueUrl=x", "lambda-code/warm"])
def test_nothing_is_done_for_a_request_that_nobody_signed(aws: LocalAws, path: str) -> None:
    for method in ("GET", "POST"):
        request = urllib.request.Request(f"{aws.endpoint_url}/_ministack/{path}", method=method)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=10)


def test_no_other_user_can_look_into_its_files_or_read_a_secret_among_processes(aws: LocalAws, other: LocalAws) -> None:
    assert aws.directory.stat().st_mode & 0o007 == 0
    secret = json.loads(aws.client("secretsmanager").get_secret_value(SecretId=aws.secret_arn)["SecretString"])
    hidden = {secret["password"], aws.environment["AWS_SECRET_ACCESS_KEY"]}
    shown = [argument for process in psutil.process_iter() for argument in _arguments(process)]
    assert str(aws.directory) in shown
    assert not any(text in argument for text in hidden for argument in shown)
    assert other.environment["AWS_SECRET_ACCESS_KEY"] not in hidden


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:  # it ended meanwhile
        return []


def test_it_enforces_iam(aws: LocalAws) -> None:
    iam = aws.client("iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    session = botocore.session.Session()
    session.set_credentials(key["AccessKeyId"], key["SecretAccessKey"])
    nobody: Any = session.create_client("s3", region_name="us-east-1", endpoint_url=aws.endpoint_url)

    with pytest.raises(ClientError, match="AccessDenied"):
        nobody.list_buckets()


def test_a_profile_of_the_developer_changes_nothing(other: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PROFILE.items():
        monkeypatch.setenv(name, value)

    assert other.client("sts").get_caller_identity()["Account"] == "000000000000"
    run_a_lambda(other)


def test_a_start_that_fails_says_why(monkeypatch: pytest.MonkeyPatch, temporary_directory: Path) -> None:
    broken = temporary_directory / "python"
    broken.write_text("#!/bin/sh\necho no emulator here\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    monkeypatch.setenv("TMPDIR", str(temporary_directory))

    with pytest.raises(LocalAwsDidNotStartError, match="no emulator here"), LocalAws():
        pass


@pytest.mark.parametrize(
    ("parameter_group", "folder", "reason"),
    [
        ({"wlm_json": "x"}, "", "the local Redshift has no parameter wlm_json"),
        # A Unix socket's path has 107 bytes at most.
        ({}, "long" * 25, "Could not find a suitable socket path"),
    ],
)
def test_an_early_end_is_told_with_its_reason_though_all_files_are_gone(
    monkeypatch: pytest.MonkeyPatch,
    temporary_directory: Path,
    parameter_group: dict[str, str],
    folder: str,
    reason: str,
) -> None:
    (temporary_directory / folder).mkdir(exist_ok=True)
    monkeypatch.setattr("tempfile.tempdir", str(temporary_directory / folder))

    with pytest.raises(LocalAwsDidNotStartError, match=reason), LocalAws(parameter_group):
        pass
    assert list((temporary_directory / folder).iterdir()) == []


def test_ctrl_c_stops_what_make_local_started(temporary_directory: Path) -> None:
    """The instructions are for another terminal, so they are followed here as printed."""
    serving = subprocess.Popen(
        [sys.executable, "-m", "local.serve"],
        cwd=PROJECT,
        env=os.environ | {"TMPDIR": str(temporary_directory)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert serving.stdout is not None
    printed = ""
    for line in serving.stdout:
        printed += line
        if "Ctrl-C" in line:
            break
    else:
        pytest.fail(f"it ended with {serving.wait()}")
    exported = dict(
        line.removeprefix("export ").strip().split("=", 1)
        for line in printed.splitlines()
        if line.startswith("export ")
    )
    del exported["PATH"]
    calls = [shlex.split(line)[1:] for line in printed.splitlines() if line.startswith("python -m ")]
    for words in calls[:2]:
        command = [sys.executable, *words]
        done = subprocess.run(
            command, cwd=PROJECT, env=os.environ | exported, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["event_message"] == "ETL Load Process started"
    assert "done: 1 statement" in done.stderr
    assert "aws " not in printed

    serving.send_signal(signal.SIGINT)

    assert serving.wait(DEADLINE_SECONDS) == 0
    assert "stopping …" in serving.stdout.read()
    assert not is_open(exported["AWS_ENDPOINT_URL"])
    assert list(temporary_directory.iterdir()) == []
