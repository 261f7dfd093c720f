"""Which failures of AWS calls are worth a retry, and which are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from aws_errors import BUSY_CODES, RETRYABLE_CODES, named_failures
from errors import AwsRefused, AwsUnavailable, PipelineError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable


class NotNow(TransientError):
    """A room's own name for a failure that may pass."""


class TooMuch(TransientError):
    """A room's own name for throttling."""


class Never(PipelineError):
    """A room's own name for a refusal."""


def put_item(answer: Callable[..., Any]) -> None:
    """Call DynamoDB, which answers as told."""
    client = boto3.client("dynamodb", "us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")
    client.meta.events.register("before-call.dynamodb.PutItem", answer)
    client.put_item(TableName="table", Item={"key": {"S": "value"}})


def refusal(status: int, code: str, message: str = "because") -> Callable[..., Any]:
    parsed = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return lambda **_: (AWSResponse("https://dynamodb", status, HTTPHeaders(), None), parsed)


def passed_on(code: str, status: int) -> str:
    """How the Data API words the error of a service that it called."""
    return (
        f"Service returned error code {code} "
        f"(Service: RedshiftServerless, Status Code: {status}, Request ID: 5887a866-e41f-414d-8c7b-188f2aed8c4d)"
    )


def break_off(error: Exception) -> Callable[..., Any]:
    def answer(**_: Any) -> None:
        raise error

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        refusal(503, "ServiceUnavailable"),
        refusal(500, "InternalServerError"),
        refusal(400, "ReplicatedWriteConflictException"),
        refusal(400, "ValidationException", passed_on("InternalFailure", 500)),
        break_off(ConnectTimeoutError(endpoint_url="https://dynamodb")),
        break_off(ReadTimeoutError(endpoint_url="https://dynamodb")),
        break_off(EndpointConnectionError(endpoint_url="https://dynamodb")),
    ],
)
def test_what_may_pass_gets_the_rooms_own_name(answer: Callable[..., Any]) -> None:
    with pytest.raises(NotNow, match="try again later"), named_failures(NotNow, busy=TooMuch):
        put_item(answer)
    with pytest.raises(AwsUnavailable), named_failures():
        put_item(answer)


@pytest.mark.parametrize(
    "answer",
    [
        *(refusal(400, code) for code in sorted(BUSY_CODES)),
        refusal(503, "SlowDown"),
        refusal(400, "ValidationException", passed_on("ThrottlingException", 400)),
    ],
)
def test_throttling_may_have_a_name_of_its_own(answer: Callable[..., Any]) -> None:
    with pytest.raises(TooMuch, match=r"throttled.*try again later"), named_failures(NotNow, busy=TooMuch):
        put_item(answer)
    with pytest.raises(NotNow), named_failures(NotNow):
        put_item(answer)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException", "ValidationException"])
def test_what_would_be_refused_again_is_not_worth_a_retry(code: str) -> None:
    with pytest.raises(AwsRefused, match=rf"PutItem was refused \({code}\): because") as error, named_failures(NotNow):
        put_item(refusal(400, code))
    assert not isinstance(error.value, TransientError)
    with pytest.raises(Never), named_failures(refused=Never):
        put_item(refusal(400, code))


def test_a_refusal_that_another_service_passed_on_stays_one() -> None:
    with pytest.raises(AwsRefused, match=r"\(AccessDeniedException\)"), named_failures():
        put_item(refusal(400, "ValidationException", passed_on("AccessDeniedException", 403)))


@pytest.mark.parametrize("service", ["dynamodb", "redshift-data", "s3", "stepfunctions"])
def test_client_errors_that_botocores_models_mark_as_retryable_are_known(service: str) -> None:
    model = botocore.session.get_session().get_service_model(service)
    shapes = [model.shape_for(name) for name in model.shape_names]
    retryable = {shape.name for shape in shapes if "retryable" in shape.metadata and not shape.metadata.get("fault")}
    assert retryable <= RETRYABLE_CODES
