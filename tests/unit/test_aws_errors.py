"""Which failures of AWS calls are worth a retry, and which are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from aws_errors import named_failures
from errors import AwsRefused, AwsUnavailable, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable


class NotNow(TransientError):
    """A room's own name for a failure that may pass."""


def put_item(answer: Callable[..., Any]) -> None:
    """Call DynamoDB, which answers as told."""
    client = boto3.client("dynamodb", "us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")
    client.meta.events.register("before-call.dynamodb.PutItem", answer)
    client.put_item(TableName="table", Item={"key": {"S": "value"}})


def refusal(status: int, code: str) -> Callable[..., Any]:
    parsed = {"Error": {"Code": code, "Message": "because"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return lambda **_: (AWSResponse("https://dynamodb", status, HTTPHeaders(), None), parsed)


def break_off(error: Exception) -> Callable[..., Any]:
    def answer(**_: Any) -> None:
        raise error

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        refusal(400, "ProvisionedThroughputExceededException"),
        refusal(400, "ThrottlingException"),
        refusal(400, "RequestLimitExceeded"),
        refusal(503, "SlowDown"),
        refusal(500, "InternalServerError"),
        break_off(ConnectTimeoutError(endpoint_url="https://dynamodb")),
        break_off(ReadTimeoutError(endpoint_url="https://dynamodb")),
        break_off(EndpointConnectionError(endpoint_url="https://dynamodb")),
    ],
)
def test_what_may_pass_gets_the_rooms_own_name(answer: Callable[..., Any]) -> None:
    with pytest.raises(NotNow, match="try again later"), named_failures(NotNow):
        put_item(answer)
    with pytest.raises(AwsUnavailable), named_failures():
        put_item(answer)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException", "ValidationException"])
def test_what_would_be_refused_again_is_not_worth_a_retry(code: str) -> None:
    with pytest.raises(AwsRefused, match=rf"PutItem was refused \({code}\): because") as error, named_failures(NotNow):
        put_item(refusal(400, code))
    assert not isinstance(error.value, TransientError)
