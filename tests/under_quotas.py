"""`make under-quotas`: many executions at once, and as many that are stopped at once, where the Data API throttles.

All must end as they should, later than without the quotas and without a failure: each procedure has run once, each
statement of a stopped execution is cancelled, and nothing is left in a queue.
"""

from __future__ import annotations

import argparse
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from local import executions
from local.data_api import DataApi
from local.stack import PROJECT, LocalAws, deploy

if TYPE_CHECKING:
    from collections.abc import Callable

PROCEDURE = "public.sp_etl_log_etl_event"
SLEEPER = "CREATE OR REPLACE PROCEDURE public.sp_sleep() AS $$ BEGIN PERFORM pg_sleep(3600); END; $$ LANGUAGE plpgsql"
DEADLINE_SECONDS = 1_800.0
POLL_SECONDS = 1.0


class Stack:
    """The deployed stack, as many callers at once use it."""

    def __init__(self, aws: LocalAws, outputs: dict[str, str]) -> None:
        self._states, self._dynamodb, self._sqs = (aws.client(name) for name in ("stepfunctions", "dynamodb", "sqs"))
        self._machine, self._tokens = outputs["StoredProcedureStateMachineArn"], outputs["MetaTableName"]

    def start(self, payloads: list[Any]) -> list[str]:
        """Start executions at once; return their ARNs."""
        with ThreadPoolExecutor(16) as threads:
            return list(threads.map(lambda payload: executions.start(self._states, self._machine, payload), payloads))

    def stop(self, arns: list[str]) -> None:
        """Stop executions at once."""
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(lambda arn: self._states.stop_execution(executionArn=arn), arns))

    def statuses(self, arns: list[str]) -> Counter[str]:
        """The statuses of executions."""
        described = (self._states.describe_execution(executionArn=arn) for arn in arns)
        return Counter(execution["status"] for execution in described)

    def statements(self, arns: list[str]) -> Counter[str]:
        """The statuses of the statements of executions, by the token table."""
        pages = self._dynamodb.get_paginator("scan").paginate(TableName=self._tokens)
        rows = (row for page in pages for row in page["Items"] if row["executionArn"]["S"] in set(arns))
        return Counter(row["status"]["S"] for row in rows)

    def queued(self, name: str = "local-") -> int:
        """How many messages wait in the queues whose names begin so."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(
            int(count)
            for url in self._sqs.list_queues(QueueNamePrefix=name)["QueueUrls"]
            for count in self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))["Attributes"].values()
        )


def wait(what: str, left: Callable[[], object]) -> None:
    """Wait until nothing is left to wait for, and say how long that took.

    Raises AssertionError, which says what is left, if it takes too long.
    """
    began = time.monotonic()
    while remains := left():
        assert time.monotonic() - began < DEADLINE_SECONDS, f"not within {DEADLINE_SECONDS:.0f} s: {what}: {remains}"
        time.sleep(POLL_SECONDS)
    print(f"{what}: {time.monotonic() - began:.0f} s", flush=True)


def main() -> None:
    """Run it. Raises AssertionError at what is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.under_quotas")
    parser.add_argument("--executions", type=int, default=300)
    count = parser.parse_args().executions
    with LocalAws(with_quotas=True) as aws:
        stack = Stack(aws, deploy(aws, report=print))
        redshift = DataApi(aws.client("redshift-data"), aws.redshift_connection)
        redshift.run_script(PROJECT / "scripts" / "sp_etl_log_etl_event.sql")
        redshift.query(SLEEPER)

        messages = [uuid.uuid4().hex for _ in range(count)]
        arns = stack.start([{"spname": PROCEDURE, "event_message": message} for message in messages])
        wait(f"{count} executions at once", lambda: stack.statuses(arns)["RUNNING"])
        assert stack.statuses(arns) == {"SUCCEEDED": count}
        logged = [row["event_message"] for row in redshift.query("SELECT event_message FROM public.etl_events")]
        assert sorted(logged) == sorted(messages)

        sleeping = stack.start([{"spname": "public.sp_sleep"}] * count)
        wait(f"{count} statements at once", lambda: Counter(SUBMITTED=count) - stack.statements(sleeping))
        stack.stop(sleeping)
        wait(f"{count} stopped at once", lambda: Counter(ABORTED=count) - stack.statements(sleeping))
        wait("nothing is left in a queue", stack.queued)


if __name__ == "__main__":
    main()
