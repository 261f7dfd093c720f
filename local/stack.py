"""The local AWS from outside: start it, deploy this application to it with the real `sam`, stop it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import boto3
import botocore.session
import yaml
from botocore.config import Config

from local import calls
from local.redshift.api.target import CLUSTER_IDENTIFIER, DEFAULT_ROLE, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mypy_boto3_cloudformation import CloudFormationClient

PROJECT = Path(__file__).resolve().parent.parent
ACCOUNT = "000000000000"
DATABASE = "dev"
SECRET_NAME = "local-redshift-awsuser"  # noqa: S105 - the name of a secret
STACK_NAME = "local-redshift-pipelines"
ARTIFACTS_BUCKET = "local-sam-artifacts"

START_SECONDS = 60
STOP_SECONDS = 20
SAM_SECONDS = 600

# Nothing in a developer's AWS profile may lead a call to a real account.
_SESSION_VARIABLES = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


class LocalAwsError(Exception):
    """The local AWS, or a command run against it, failed."""


class LocalAwsDidNotStartError(LocalAwsError):
    """The process ended or stayed silent before it answered; the message carries the end of its log."""


class SamCommandFailedError(LocalAwsError):
    """`sam build`, `sam deploy` or `sam delete` failed; the message carries what it printed."""


class LocalAws:
    """A local AWS of its own, with what an account has before this application is deployed to it.

    A context manager. Listens on 127.0.0.1 and a free port, and answers nobody but who has the credentials of its
    `environment`, which are made up for it; everything it writes is in one temporary directory that no other user can
    look into, and that is gone afterwards. Stops with its `with` block, and by itself when this process dies. Several
    may run side by side.

    `endpoint_url` is the URL of every service. `environment` holds the variables that lead `aws`, `sam` and
    boto3 to it: endpoint, credentials and region. `secret_arn` is the Secrets Manager secret with the cluster's
    user name and password. `parameter_group` holds parameters of the cluster (`redshift.sql.engine.Engine`).
    `with_quotas` the Data API throttles as AWS does (`redshift.api.quotas`).
    """

    directory: Path
    endpoint_url: str
    environment: dict[str, str]
    secret_arn: str
    _log: BinaryIO

    def __init__(self, parameter_group: Mapping[str, str] | None = None, *, with_quotas: bool = False) -> None:
        self._running = ExitStack()
        self._with_quotas = with_quotas
        self._parameter_group = json.dumps(dict(parameter_group or {}))
        session = botocore.session.Session(session_vars=_SESSION_VARIABLES)
        self._key, self._secret = f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30)
        self._session: Any = boto3.Session(self._key, self._secret, botocore_session=session)

    def __enter__(self) -> Self:
        """Start it, wait until it answers, and create what an account has before.

        Raises `LocalAwsDidNotStartError`: The process ended, or didn't answer within `START_SECONDS`.
        """
        with ExitStack() as running:
            folder = tempfile.TemporaryDirectory(prefix="local-aws-", ignore_cleanup_errors=True)
            self.directory = Path(running.enter_context(folder))
            log = self.directory / "aws.log"
            log.touch()
            # Open, as the process removes all its files when it ends, however early.
            self._log = running.enter_context(log.open("rb"))
            process = self._start_process(log)
            running.callback(_stop, process)
            self._wait_until_ready(process)
            self._furnish_account()
            self._running = running.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop it and remove its files."""
        self._running.close()

    def client(self, service: str) -> Any:
        """Return a boto3 client of `service` with the rights of the account's root user."""
        return self._session.client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint_url,
            config=Config(retries={"mode": "standard"}),
        )

    def client_as(self, service: str, role_arn: str) -> Any:
        """Return a boto3 client of `service` with the rights of a role."""
        session = self.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="local")
        credentials = session["Credentials"]
        return self._session.client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint_url,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )

    @property
    def redshift_connection(self) -> dict[str, str]:
        """What ExecuteStatement needs to reach the local cluster as its superuser."""
        return {"ClusterIdentifier": CLUSTER_IDENTIFIER, "Database": DATABASE, "SecretArn": self.secret_arn}

    def log(self) -> str:
        """Return what the process has printed: warnings, and tracebacks of failed handlers."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def role_calls(self) -> list[calls.RoleCall]:
        """Return what was called in the name of roles and rules so far."""
        return calls.read(self.directory / "calls.jsonl")

    def _start_process(self, log_file: Path) -> subprocess.Popen[bytes]:
        temporary = self.directory / "tmp"
        temporary.mkdir(mode=0o700)
        with socket.socket() as listener, log_file.open("wb") as log:
            # Bound here and handed over: no other process can take the port in between.
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
            self.endpoint_url = f"http://127.0.0.1:{port}"
            self.environment = {
                "AWS_ENDPOINT_URL": self.endpoint_url,
                "AWS_ACCESS_KEY_ID": self._key,
                "AWS_SECRET_ACCESS_KEY": self._secret,
                "AWS_DEFAULT_REGION": REGION,
                "AWS_REGION": REGION,
            }
            return subprocess.Popen(
                # -B: no bytecode beside the sources; Lambda workers may write theirs in their own folders.
                [sys.executable, "-B", "-m", "local.aws", "--listen", str(listener.fileno()),
                 "--directory", str(self.directory), "--parameter-group", self._parameter_group,
                 *(["--with-quotas"] if self._with_quotas else [])],
                cwd=PROJECT,
                env=self._process_environment(port, temporary),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()],
                # Ctrl-C in a terminal reaches this process alone, which then stops the other in order.
                start_new_session=True,
            )  # fmt: skip

    def _process_environment(self, port: int, temporary: Path) -> dict[str, str]:
        """Nothing of a developer's environment but paths and locale: Lambda workers inherit all of it."""
        inherited = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        return inherited | self.environment | {
            "HOME": str(self.directory),
            "TMPDIR": str(temporary),
            "XDG_RUNTIME_DIR": str(temporary),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "AUTH": "true",
            "LOG_LEVEL": "WARNING",
            # The functions, which inherit the level, log as on AWS.
            "POWERTOOLS_LOG_LEVEL": "INFO",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            "STATE_DIR": str(temporary / "state"),
            "S3_DATA_DIR": str(temporary / "s3"),
            # Listeners and daemons that this application doesn't use.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": f"unix://{temporary}/no-docker.sock",
        }  # fmt: skip

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.endpoint_url}/_ministack/ready", timeout=5):  # noqa: S310 - our own http URL
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.05)
        what = "ended" if process.poll() is not None else f"didn't answer within {START_SECONDS} s"
        raise LocalAwsDidNotStartError(f"the local AWS {what}; the end of its log:\n{self.log()[-3000:]}")

    def _furnish_account(self) -> None:
        """Create what a real account has before: a bucket for `sam`, the cluster's secret and its default role."""
        self.client("s3").create_bucket(Bucket=ARTIFACTS_BUCKET)
        secret = {
            "username": "awsuser",
            "password": secrets.token_urlsafe(30),
            "dbClusterIdentifier": CLUSTER_IDENTIFIER,
        }
        answer = self.client("secretsmanager").create_secret(Name=SECRET_NAME, SecretString=json.dumps(secret))
        self.secret_arn = answer["ARN"]
        trust = {"Principal": {"Service": "redshift.amazonaws.com"}, "Action": "sts:AssumeRole"}
        access = {"Action": ["s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:DeleteObject"], "Resource": "*"}
        iam = self.client("iam")
        iam.create_role(RoleName=DEFAULT_ROLE, AssumeRolePolicyDocument=_policy(trust))
        iam.put_role_policy(RoleName=DEFAULT_ROLE, PolicyName="s3", PolicyDocument=_policy(access))


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        process.communicate(timeout=STOP_SECONDS)  # closes its standard input, which tells it to stop
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def local_parameters(aws: LocalAws) -> dict[str, str]:
    """Return the stack's parameters for the local AWS: its cluster, its database, its secret."""
    return {
        "StackPrefix": "local",
        "ClusterIdentifier": CLUSTER_IDENTIFIER,
        "RedshiftDbName": DATABASE,
        "DbSecretArn": aws.secret_arn,
        "SupportNotificationEmail": "support@example.com",
        "LoadableTables": "local-*",
    }


def deploy(
    aws: LocalAws,
    stack_name: str = STACK_NAME,
    parameters: Mapping[str, str] | None = None,
    *,
    template: Path = PROJECT / "template.yaml",
    report: Callable[[str], None] = lambda _line: None,
) -> dict[str, str]:
    """Build and deploy the template with `sam build` and `sam deploy`; return the stack's outputs.

    `parameters` are added to `local_parameters`. `report` is called with a line for each step.

    Raises `SamCommandFailedError`: `sam` ended with an error, which is in the message.
    """
    build(aws, template=template, report=report)
    return deploy_built(aws, stack_name, parameters, template=template, report=report)


def build(
    aws: LocalAws, *, template: Path = PROJECT / "template.yaml", report: Callable[[str], None] = lambda _line: None
) -> None:
    """Build the template with `sam build`.

    Builds into `.aws-sam/local` beside the template, so that a developer's own `sam build` stays as it is; what was
    built before and hasn't changed is taken from there.

    Raises `SamCommandFailedError`: `sam` ended with an error, which is in the message.
    """
    # Copies of this may run in one checkout: one builds at a time, and none while another packages.
    with _build_directory(template, fcntl.LOCK_EX) as directory:
        report("sam build")
        _sam(
            ["build", "--template-file", str(template), "--cached", "--parallel",
             "--build-dir", str(directory / "build"), "--cache-dir", str(directory / "cache")],
            aws, directory=template.parent,
        )  # fmt: skip
        pack(directory / "build", directory / "layers")


def deploy_built(
    aws: LocalAws,
    stack_name: str = STACK_NAME,
    parameters: Mapping[str, str] | None = None,
    *,
    template: Path = PROJECT / "template.yaml",
    report: Callable[[str], None] = lambda _line: None,
) -> dict[str, str]:
    """Deploy what `build` has made of the template, as `deploy` does."""
    overrides = [f'{name}="{value}"' for name, value in {**local_parameters(aws), **(parameters or {})}.items()]
    with built_template(template) as built:
        report(f"sam deploy --stack-name {stack_name}")
        _sam(
            ["deploy", "--template-file", str(built),
             "--stack-name", stack_name, "--s3-bucket", ARTIFACTS_BUCKET, "--region", REGION,
             "--capabilities", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND",
             "--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar", "--use-json",
             "--parameter-overrides", *overrides],
            aws, directory=template.parent,
        )  # fmt: skip
    return stack_outputs(aws, stack_name)


def delete(aws: LocalAws, stack_name: str = STACK_NAME) -> None:
    """Remove the stack with `sam delete`.

    Raises `SamCommandFailedError`: `sam` ended with an error, which is in the message.
    """
    _sam(
        [
            "delete",
            "--stack-name",
            stack_name,
            "--s3-bucket",
            ARTIFACTS_BUCKET,
            "--region",
            REGION,
            "--no-prompts",
        ],
        aws,
        directory=PROJECT,
    )


def stack_outputs(aws: LocalAws, stack_name: str = STACK_NAME) -> dict[str, str]:
    """Return the outputs of a deployed stack by their keys."""
    cloudformation: CloudFormationClient = aws.client("cloudformation")
    stack = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


@contextmanager
def built_template(template: Path = PROJECT / "template.yaml") -> Iterator[Path]:
    """What `build` has made of the template, which nobody builds anew meanwhile."""
    with _build_directory(template, fcntl.LOCK_SH) as directory:
        yield directory / "build" / "template.json"


@contextmanager
def _build_directory(template: Path, lock: int) -> Iterator[Path]:
    directory = template.parent / ".aws-sam" / "local" / str(sys.implementation.cache_tag)
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as file:
        fcntl.flock(file, lock)
        yield directory


def pack(build: Path, archives: Path) -> None:
    """Make a `template.json` of what `sam build` leaves, with archives of the layers in place of their folders.

    `sam deploy` would zip the folders itself, for 10 seconds each time: compression that a bucket on the same
    machine isn't worth. And it reads the template seven times, which takes it two seconds if that is YAML. A layer
    that was zipped before and hasn't changed is not zipped again.
    """
    archives.mkdir(exist_ok=True)
    template = yaml.load((build / "template.yaml").read_text(), yaml.CSafeLoader)
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            archive = _zipped(build / name, archives)
            resource["Properties"]["ContentUri"] = f"../{archives.name}/{archive.name}"
    (build / "template.json").write_text(json.dumps(template, indent=1))


def _zipped(layer: Path, archives: Path) -> Path:
    files = [path for path in sorted(layer.rglob("*")) if path.is_file()]
    archive = archives / f"{layer.name}-{_digest(files, layer)}.zip"
    if not archive.exists():
        for of_before in archives.glob(f"{layer.name}-*"):
            of_before.unlink()
        _zip(files, layer, archive)
    return archive


def _digest(files: Iterable[Path], folder: Path) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(folder)}\0{path.stat().st_mode}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _zip(files: Iterable[Path], folder: Path, archive: Path) -> None:
    unfinished = archive.with_suffix(".unfinished")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
        for path in files:
            zipped.write(path, path.relative_to(folder))
    unfinished.rename(archive)


def _sam(arguments: list[str], aws: LocalAws, *, directory: Path) -> None:
    """Run `sam` against the local AWS and nothing else: no profile, no telemetry, no saved answers."""
    with tempfile.TemporaryDirectory(prefix="local-sam-") as home:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment |= aws.environment | {
            "TMPDIR": home,  # sam leaves some of its temporary folders behind
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "0.2",
            # Lambda workers run on this interpreter, so the layers are built by it and for it.
            "LAYER_PLATFORM": "host",
            "PYTHON": sys.executable,
            "AWS_CONFIG_FILE": f"{home}/config",
            "AWS_SHARED_CREDENTIALS_FILE": f"{home}/credentials",
        }
        command = [sys.executable, "-m", "samcli", *arguments, "--config-env", "local"]
        try:
            finished = subprocess.run(
                command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, timeout=SAM_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise SamCommandFailedError(f"`sam {arguments[0]}` took longer than {SAM_SECONDS} s") from error
    if finished.returncode != 0:
        raise SamCommandFailedError(f"`sam {arguments[0]}` failed:\n{finished.stdout[-5000:].strip()}")
