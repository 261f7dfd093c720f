"""Whether all that a stack needs is as it needs it, seen from outside: by describing, and by unloading one row.

What unloads is a dry run of the deployed state machine: so it is the stack's own functions, roles and login that are
tried, and nothing is written to the table. A dry run that fails mails as any failing run does.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from aws_errors import named_failures
from errors import PipelineError
from scripts.pipelines.mending import mend
from scripts.pipelines.runs.model import Pipeline
from target.describing import ConfiguredTarget, requested_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from scripts.pipelines.runs.model import Outcome
    from scripts.pipelines.runs.reading import RunReader
    from scripts.pipelines.stack import Stack
    from target.table import TargetTable

_FAR_AHEAD = 4_102_444_800  # 2100-01-01, for a time to live


class Verdict(StrEnum):
    """What a check came to; `UNSEEN` says that the caller may not look, and nothing of the stack."""

    WELL = "well"
    FAULT = "fault"
    UNSEEN = "unseen"


@dataclass(frozen=True)
class Finding:
    """One check: `what` was looked at, what was `found`, and what `mends` it if it is a fault."""

    what: str
    verdict: Verdict
    found: str
    mends: str = ""


class Checks:
    """The checks of a stack, of loads by `query` (None: the stack's own) into `table` (None: the stack's own)."""

    def __init__(
        self, stack: Stack, reader: RunReader, query: str | None, table: str | None, every_seconds: float
    ) -> None:
        self._stack, self._reader, self._every = stack, reader, every_seconds
        self._query = query or stack.parameters.get("UnloadQuery", "")
        self._table = table

    def run(self) -> Iterator[Finding]:
        """Yield what is found; what unloads comes last, and the query's row only if any row at all can be unloaded."""
        yield self._stack_itself()
        yield from self._looked_at("mails", self._mails)
        if secret := self._stack.parameters.get("DbSecretArn"):
            yield from self._looked_at("secret", partial(self._secret, secret))
        yield from self._looked_at("bucket", self._bucket)
        name = self._table or self._stack.outputs["TargetTableName"]
        for table in (self._stack.outputs["MetaTableName"], self._stack.outputs["LedgerTableName"], name):
            yield from self._looked_at("table", partial(self._active, table))
        unloads = self._one_row(name)
        yield unloads
        if unloads.verdict is Verdict.WELL and self._query:
            yield self._row_of_query()

    def _stack_itself(self) -> Finding:
        status = self._stack.status
        if status.endswith("_COMPLETE") and "ROLLBACK" not in status:
            return Finding("stack", Verdict.WELL, f"{self._stack.name} is {status}")
        if status == "UPDATE_ROLLBACK_COMPLETE":
            return Finding("stack", Verdict.WELL, f"{self._stack.name} is {status}: as it was before the last update")
        reason = f"aws cloudformation describe-stack-events --stack-name {self._stack.name}"
        return Finding("stack", Verdict.FAULT, f"{self._stack.name} is {status}", f"See why, then deploy it: {reason}")

    def _looked_at(self, what: str, look: Callable[[], Finding]) -> Iterator[Finding]:
        try:
            with named_failures():
                yield look()
        except PipelineError as error:
            yield Finding(what, Verdict.UNSEEN, str(error))

    def _mails(self) -> Finding:
        topic = self._stack.outputs["NotificationTopicArn"]
        pages = self._stack.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
        subscribed = [entry for page in pages for entry in page["Subscriptions"]]
        waiting = [entry["Endpoint"] for entry in subscribed if not entry["SubscriptionArn"].startswith("arn:")]
        if waiting:
            return Finding(
                "mails",
                Verdict.FAULT,
                f"{', '.join(waiting)} has not confirmed the subscription",
                "Follow the link in the mail that AWS has sent there, or deploy again to have another sent.",
            )
        told = (
            f"{len(subscribed)} subscribed" if subscribed else "nobody is told of failures (SupportNotificationEmail)"
        )
        return Finding("mails", Verdict.WELL, told)

    def _secret(self, arn: str) -> Finding:
        secret = self._stack.client("secretsmanager").describe_secret(SecretId=arn)
        if "DeletedDate" in secret:
            restore = f"aws secretsmanager restore-secret --secret-id {arn}"
            return Finding("secret", Verdict.FAULT, f"{secret['Name']} is being deleted", restore)
        return self._encrypted("secret", f"{secret['Name']} is there", secret.get("KmsKeyId"))

    def _bucket(self) -> Finding:
        s3, bucket = self._stack.client("s3"), self._stack.outputs["DataBucketName"]
        try:
            encryption = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        except ClientError as error:
            match error.response["Error"]["Code"]:
                case "NoSuchBucket":
                    return Finding("bucket", Verdict.FAULT, f"{bucket} does not exist", f"aws s3 mb s3://{bucket}")
                case "ServerSideEncryptionConfigurationNotFoundError":
                    encryption = []
                case _:
                    raise
        keys = [rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID") for rule in encryption]
        return self._encrypted("bucket", f"{bucket} is there", next(filter(None, keys), None))

    def _active(self, name: str) -> Finding:
        dynamodb = self._stack.client("dynamodb")
        try:
            table = dynamodb.describe_table(TableName=name)["Table"]
        except dynamodb.exceptions.ResourceNotFoundException:
            return Finding("table", Verdict.FAULT, f"{name} does not exist", "Create it, or deploy the stack again.")
        if table["TableStatus"] != "ACTIVE":
            return Finding("table", Verdict.FAULT, f"{name} is {table['TableStatus']}", "Wait until it is ACTIVE.")
        return self._encrypted("table", f"{name} is ACTIVE", table.get("SSEDescription", {}).get("KMSMasterKeyArn"))

    def _encrypted(self, what: str, found: str, key: str | None) -> Finding:
        """What is there, with the key of KMS by which it is encrypted, if by one that can be seen."""
        if not key:
            return Finding(what, Verdict.WELL, found)
        state = self._stack.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
        if state != "Enabled":
            enable = f"Enable the key: aws kms enable-key --key-id {key}"
            return Finding(what, Verdict.FAULT, f"{found}, but its key {key} is {state}", enable)
        return Finding(what, Verdict.WELL, f"{found}, encrypted by {key}")

    def _one_row(self, name: str) -> Finding:
        try:
            target = requested_target(self._stack.client("dynamodb"), name, ConfiguredTarget(name), ())
        except PipelineError as error:
            return Finding("unload", Verdict.UNSEEN, str(error))
        return self._unloaded("unload", f"SELECT {_columns(target)}", "one row of constants")

    def _row_of_query(self) -> Finding:
        query = f"SELECT * FROM (\n{self._query}\n) AS preflight LIMIT 1"  # noqa: S608 - the user's own query
        return self._unloaded("query", query, "one row of the query")

    def _unloaded(self, what: str, query: str, worded: str) -> Finding:
        """Have the stack unload a query in a dry run."""
        payload = {"query": query, "dry_run": True} | ({"target_table": self._table} if self._table else {})
        run = self._run_to_its_end(payload)
        if run.succeeded:
            warnings = "; ".join(run.output.get("warnings", ())) if isinstance(run.output, dict) else ""
            return Finding(what, Verdict.WELL, f"{worded} was unloaded and fits the table. {warnings}".rstrip())
        error, cause = run.error or run.status, run.cause or ""
        return Finding(
            what,
            Verdict.FAULT,
            f"{worded} was not unloaded. {error}: {cause}",
            mend(self._stack, self._query, error, cause),
        )

    def _run_to_its_end(self, payload: Mapping[str, Any]) -> Outcome:
        name = f"preflight-{secrets.token_hex(6)}"
        with named_failures():
            self._stack.client("stepfunctions").start_execution(
                stateMachineArn=self._reader.machine(Pipeline.LOAD), name=name, input=json.dumps(payload)
            )
        while (run := self._reader.find(name)).is_running:
            time.sleep(self._every)
        return run


def _columns(target: TargetTable) -> str:
    """A row's columns as the table asks for them: its key, and its time to live if that is by an attribute."""
    values = {key.name: "1" if key.type == "N" else "'preflight'" for key in target.key}
    if target.ttl_attribute:
        values.setdefault(target.ttl_attribute, f"CAST({_FAR_AHEAD} AS BIGINT)")
    return ", ".join(f'{value} AS "{name}"' for name, value in values.items())
