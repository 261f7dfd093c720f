"""What a caller's IAM policies must allow, and which database user a statement then runs as."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.local.data_api.conftest import AS_SUPERUSER

if TYPE_CHECKING:
    from local.stack import LocalAws
    from tests.local.data_api.conftest import Callers, Redshift

CLUSTER_ARN = "arn:aws:redshift:us-east-1:000000000000:cluster:local-redshift"
WORKGROUP_ID = "10ca1000-0000-4000-8000-000000000001"
WORKGROUP_ARN = f"arn:aws:redshift-serverless:us-east-1:000000000000:workgroup/{WORKGROUP_ID}"
CREDENTIALS_ARN = "arn:aws:redshift:us-east-1:000000000000:{}:local-redshift/{}"
ON_CLUSTER: dict[str, Any] = {"ClusterIdentifier": "local-redshift", "Database": "dev"}
ON_WORKGROUP: dict[str, Any] = {"WorkgroupName": "local-workgroup", "Database": "dev"}


def allow(action: str | list[str], resource: str | list[str] = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


EVERY_OPERATION = allow("redshift-data:*")


def current_user(caller: Redshift, **members: Any) -> str:
    statement = caller.client.execute_statement(Sql="select current_user::varchar", WaitTimeSeconds=30, **members)["Id"]
    (field,) = caller.client.get_statement_result(Id=statement)["Records"][0]
    return field["stringValue"]


def refusal(caller: Redshift, **members: Any) -> tuple[str, str]:
    """The code and the message with which ExecuteStatement is refused."""
    with pytest.raises(ClientError) as refused:
        caller.client.execute_statement(**{"Sql": "select 1", **members})
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


class TestTheOperationItself:
    """MiniStack's own checks, with the cluster or workgroup as the resource."""

    def test_a_caller_without_the_action_is_denied(self, callers: Callers) -> None:
        code, message = refusal(callers.allowed(allow("redshift-data:DescribeStatement")), **AS_SUPERUSER)

        assert code == "AccessDeniedException"
        assert "redshift-data:ExecuteStatement" in message

    def test_the_action_may_be_limited_to_a_cluster(self, callers: Callers) -> None:
        credentials = allow("redshift:GetClusterCredentials")
        here = callers.allowed(allow("redshift-data:ExecuteStatement", CLUSTER_ARN), credentials)
        elsewhere = callers.allowed(allow("redshift-data:ExecuteStatement", f"{CLUSTER_ARN}-other"), credentials)

        assert here.client.execute_statement(Sql="select 1", **AS_SUPERUSER)["Id"]
        assert refusal(elsewhere, **AS_SUPERUSER)[0] == "AccessDeniedException"

    def test_the_action_may_be_limited_to_a_workgroup_by_its_id_not_its_name(self, callers: Callers) -> None:
        credentials = allow("redshift-serverless:GetCredentials")
        by_id = callers.allowed(allow("redshift-data:ExecuteStatement", WORKGROUP_ARN), credentials)
        by_name = callers.allowed(
            allow("redshift-data:ExecuteStatement", WORKGROUP_ARN.replace(WORKGROUP_ID, "local-workgroup")),
            credentials,
        )

        for name in ("local-workgroup", WORKGROUP_ARN):
            assert by_id.client.execute_statement(Sql="select 1", WorkgroupName=name, Database="dev")["Id"]
        assert refusal(by_name, **ON_WORKGROUP)[0] == "AccessDeniedException"

    def test_operations_on_statements_take_no_resource(self, callers: Callers) -> None:
        role = callers.role(
            allow("redshift-data:ExecuteStatement", CLUSTER_ARN),
            allow("redshift:GetClusterCredentials"),
            allow("redshift-data:DescribeStatement", CLUSTER_ARN),
        )
        caller = callers.session(role)
        statement = caller.client.execute_statement(Sql="select 1", **AS_SUPERUSER)["Id"]

        with pytest.raises(ClientError, match="redshift-data:DescribeStatement"):
            caller.client.describe_statement(Id=statement)

    def test_a_request_without_a_signature_is_refused(self, aws: LocalAws) -> None:
        client = boto3.client(
            "redshift-data", endpoint_url=aws.endpoint_url, region_name="us-east-1",
            config=Config(signature_version=UNSIGNED),
        )  # fmt: skip

        with pytest.raises(ClientError, match="MissingAuthenticationToken"):
            client.execute_statement(Sql="select 1", **AS_SUPERUSER)


class TestSecrets:
    """A secret of Secrets Manager, read on the caller's behalf."""

    def test_the_statement_runs_as_the_user_in_the_secret(self, callers: Callers, aws: LocalAws) -> None:
        caller = callers.allowed(EVERY_OPERATION, allow("secretsmanager:GetSecretValue", aws.secret_arn))

        assert current_user(caller, **ON_CLUSTER, SecretArn=aws.secret_arn) == "awsuser"
        assert current_user(caller, **ON_CLUSTER, SecretArn="local-redshift-awsuser") == "awsuser"
        assert current_user(caller, **ON_WORKGROUP, SecretArn=aws.secret_arn) == "awsuser"

    def test_a_caller_who_may_not_read_the_secret_is_denied(self, callers: Callers, aws: LocalAws) -> None:
        caller = callers.allowed(EVERY_OPERATION, allow("secretsmanager:GetSecretValue", f"{aws.secret_arn}-other"))

        code, message = refusal(caller, **ON_CLUSTER, SecretArn=aws.secret_arn)

        assert code == "AccessDeniedException"
        assert "not authorized to perform: secretsmanager:GetSecretValue" in message
        assert aws.secret_arn in message

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (json.dumps({"username": "awsuser"}), "username and password in secret cannot be empty"),
            (json.dumps({"username": "", "password": "x"}), "username and password in secret cannot be empty"),
            ("awsuser", "The secret is not a JSON object."),
            (
                json.dumps({"username": "awsuser", "password": "x", "dbClusterIdentifier": "another"}),
                "ClusterIdentifier doesn't match the cluster identifier stored in the secret.",
            ),
        ],
    )
    def test_a_secret_that_does_not_fit_is_refused(
        self, callers: Callers, aws: LocalAws, content: str, message: str
    ) -> None:
        secrets = aws.client("secretsmanager")
        arn = secrets.create_secret(Name=f"unfit-{uuid.uuid4()}", SecretString=content)["ARN"]

        assert refusal(callers.root(), **ON_CLUSTER, SecretArn=arn) == ("ValidationException", message)

    def test_a_secret_that_does_not_exist_is_refused(self, callers: Callers) -> None:
        refused = refusal(callers.root(), **ON_CLUSTER, SecretArn="no-such-secret")

        assert refused == ("ValidationException", "Secrets Manager can't find the specified secret.")


class TestTemporaryCredentials:
    """Credentials that the Data API gets for the caller."""

    def test_a_named_user_needs_leave_for_the_user_and_the_database(self, callers: Callers) -> None:
        user, database = (CREDENTIALS_ARN.format(*pair) for pair in (("dbuser", "awsuser"), ("dbname", "dev")))
        both = callers.allowed(EVERY_OPERATION, allow("redshift:GetClusterCredentials", [user, database]))
        only_user = callers.allowed(EVERY_OPERATION, allow("redshift:GetClusterCredentials", user))

        assert current_user(both, **AS_SUPERUSER) == "awsuser"
        code, message = refusal(only_user, **AS_SUPERUSER)
        assert code == "AccessDeniedException"
        assert database in message

    def test_without_a_user_the_role_is_the_user_on_a_cluster(self, callers: Callers) -> None:
        role = callers.role(
            EVERY_OPERATION,
            allow("redshift:GetClusterCredentialsWithIAM", CREDENTIALS_ARN.format("dbname", "dev")),
        )
        caller = callers.session(role)

        assert current_user(caller, **ON_CLUSTER) == f"IAMR:{role}"
        assert refusal(caller, **ON_CLUSTER, DbUser="awsuser")[0] == "AccessDeniedException"

    def test_the_role_is_the_user_on_a_workgroup(self, callers: Callers) -> None:
        role = callers.role(EVERY_OPERATION, allow("redshift-serverless:GetCredentials", WORKGROUP_ARN))
        caller = callers.session(role)

        assert current_user(caller, **ON_WORKGROUP) == f"IAMR:{role}"
        assert refusal(caller, **ON_CLUSTER)[0] == "AccessDeniedException"

    def test_statements_that_come_at_once_share_the_user_that_the_first_creates(self, callers: Callers) -> None:
        caller = callers.allowed({"Effect": "Allow", "Action": "*", "Resource": "*"})

        statements = [caller.client.execute_statement(Sql="select 1", **ON_CLUSTER)["Id"] for _ in range(20)]

        assert [caller.end_of(statement).get("Error") for statement in statements] == [None] * 20

    def test_reading_the_catalog_needs_credentials_too(self, callers: Callers) -> None:
        caller = callers.allowed(EVERY_OPERATION)

        with pytest.raises(ClientError, match="redshift:GetClusterCredentials "):
            caller.client.list_tables(**AS_SUPERUSER)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"Database": "dev"}, "Either ClusterIdentifier or WorkgroupName needs to be specified."),
        (
            {**ON_CLUSTER, **ON_WORKGROUP},
            "Only one of ClusterIdentifier and WorkgroupName can be specified.",
        ),
        ({**ON_CLUSTER, "ClusterIdentifier": "another"}, "Redshift endpoint doesn't exist in this region."),
        ({**ON_WORKGROUP, "WorkgroupName": "another"}, "Redshift endpoint doesn't exist in this region."),
        ({"ClusterIdentifier": "local-redshift"}, "Database needs to be specified."),
        ({**ON_WORKGROUP, "DbUser": "awsuser"}, "DbUser can't be specified with WorkgroupName."),
        ({**AS_SUPERUSER, "SecretArn": "x"}, "Only one of SecretArn and DbUser can be specified."),
    ],
)
def test_a_combination_that_means_no_login_is_refused(callers: Callers, members: Any, message: str) -> None:
    assert refusal(callers.root(), **members) == ("ValidationException", message)
