"""The event that the Data API puts on the account's default bus when a statement submitted with WithEvent has ended.

"Monitoring events for the Amazon Redshift Data API in Amazon EventBridge" in the Redshift management guide has the
sample that this follows; it publishes neither error text nor SQL.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ministack.core.responses import request_scope
from ministack.services import eventbridge

from local.redshift.api.store import RETENTION_SECONDS

if TYPE_CHECKING:
    from local.redshift.api.statements import Statement


def publish(statement: Statement) -> None:
    """Put the completion event of a statement on the default event bus of its account and region."""
    submission = statement.submission
    detail = {
        "principal": submission.caller.arn,
        "statementName": submission.name,
        "statementId": statement.id,
        "redshiftQueryId": -1,
        "state": statement.status.value,
        "rows": statement.rows,
        "expireAt": int(statement.updated_at) + RETENTION_SECONDS,
    }
    entry = {
        "Source": "aws.redshift-data",
        "DetailType": "Redshift Data Statement Status Change",
        "Resources": [submission.target.arn],
        "Detail": json.dumps(detail),
    }
    with request_scope(submission.caller.account, submission.caller.region):
        # The public call refuses sources that begin with `aws.`, as AWS does.
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
