"""AWS SDK for pandas: `awswrangler.dynamodb.put_df` with 8 threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awswrangler as wr
import boto3
import pyarrow as pa
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from benchmarks.datasets import plain_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.task import Task

_THREADS = 8
_OK = 200


def prepare(task: Task) -> Callable[[], int]:
    """Make a session in which DescribeTable, which put_df asks once, is answered without a request."""
    session = boto3.session.Session()

    def describe_table(**_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        described = {"Table": {"KeySchema": [{"AttributeName": task.key, "KeyType": "HASH"}]}}
        return AWSResponse("", _OK, HTTPHeaders(), None), described

    # botocore sends no request when such a handler returns something, which its stubs don't know.
    session.events.register("before-call.dynamodb.DescribeTable", describe_table)  # type: ignore[arg-type]

    def load() -> int:
        # Without `integer_object_nulls` a null makes a column of floats, which boto3 refuses.
        frame = pa.Table.from_batches(plain_rows(task, task.rows)).to_pandas(integer_object_nulls=True)
        wr.dynamodb.put_df(frame, "sink", boto3_session=session, use_threads=_THREADS)
        return len(frame)

    return load
