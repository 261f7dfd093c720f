"""Who calls, as which database user their statement runs, and whether their IAM policies allow that.

MiniStack has checked the signature and the redshift-data action by now. What the Data API then does on the caller's
behalf (reads the secret, asks for temporary credentials) is checked here, against the caller's own policies.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from ministack.core import iam_actions, iam_evaluator, responses, router
from ministack.services import secretsmanager
from psycopg import sql

from local.redshift.api.errors import AccessDeniedError, ValidationError
from local.redshift.sql.engine import DATABASE, SUPERUSER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.redshift.api.target import Target
    from local.redshift.sql.engine import Engine

# What PostgreSQL answers when two statements create the same user: one after the other, or at the same moment.
_EXISTS_ALREADY = (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation)


@dataclass(frozen=True)
class Caller:
    """The principal that signed a request: `arn` is that of the session for an assumed role."""

    arn: str
    access_key_id: str
    region: str
    account: str

    @property
    def owner(self) -> str:
        """What statements belong to: the role, whichever session used it, or else the principal itself.

        "Authorizing access to the Amazon Redshift Data API" in the Redshift management guide.
        """
        head, is_role, session = self.arn.partition(":assumed-role/")
        return f"{head}{is_role}{session.split('/')[0]}"

    @property
    def database_user(self) -> str:
        """The database user that temporary credentials for the IAM identity give (GetClusterCredentialsWithIAM)."""
        _, is_role, session = self.arn.partition(":assumed-role/")
        return f"IAMR:{session.split('/')[0]}" if is_role else f"IAM:{self.arn.rpartition('/')[2]}"


@dataclass(frozen=True)
class Login:
    """A database and the user to connect as. A user that stands for an IAM identity is created when it first comes."""

    database: str
    user: str
    is_iam_identity: bool = False

    def connect(self, engine: Engine) -> psycopg.Connection[Any]:
        """Open a connection. Raises `DatabaseNotFound` or `UserNotFound`."""
        if self.is_iam_identity:
            with engine.connect(DATABASE, SUPERUSER) as connection, suppress(*_EXISTS_ALREADY):
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(self.user)))
        return engine.connect(self.database, self.user)


def caller_of(headers: Mapping[str, str], query: Mapping[str, Any]) -> Caller:
    """The caller of the request that MiniStack is handling."""
    return Caller(
        arn=iam_evaluator.caller_arn(),
        access_key_id=router.extract_access_key_id(headers, query),
        region=responses.get_region(),
        account=responses.get_account_id(),
    )


def log_in(request: Mapping[str, Any], target: Target, caller: Caller) -> Login:
    """How a request's statement logs in to its database.

    Raises `AccessDeniedError` if the caller's policies don't allow reading the secret or getting the credentials,
    and `ValidationError` if the request or its secret lacks something or names what doesn't fit.
    """
    if not request.get("Database"):
        raise ValidationError("Database needs to be specified.")
    database = request["Database"]
    if "SecretArn" in request:
        if "DbUser" in request:
            raise ValidationError("Only one of SecretArn and DbUser can be specified.")
        return Login(database, _user_of_secret(request["SecretArn"], target, caller))
    if not target.is_cluster:
        if "DbUser" in request:
            raise ValidationError("DbUser can't be specified with WorkgroupName.")
        _require(caller, "redshift-serverless:GetCredentials", target.arn)
        return Login(database, caller.database_user, is_iam_identity=True)
    database_arn = _credentials_arn(caller, "dbname", target.identifier, database)
    if "DbUser" not in request:
        _require(caller, "redshift:GetClusterCredentialsWithIAM", database_arn)
        return Login(database, caller.database_user, is_iam_identity=True)
    user = request["DbUser"]
    for arn in (_credentials_arn(caller, "dbuser", target.identifier, user), database_arn):
        _require(caller, "redshift:GetClusterCredentials", arn)
    return Login(database, user)


def _credentials_arn(caller: Caller, kind: str, cluster: str, name: str) -> str:
    return f"arn:aws:redshift:{caller.region}:{caller.account}:{kind}:{cluster}/{name}"


def _user_of_secret(name_or_arn: str, target: Target, caller: Caller) -> str:
    """The user name in a secret.

    The password is not compared: the embedded database trusts whoever reaches it.
    """
    _, secret = secretsmanager._resolve(name_or_arn)  # the public lookup doesn't tell the ARN
    _require(caller, "secretsmanager:GetSecretValue", secret["ARN"] if secret else name_or_arn)
    text = secretsmanager.resolve_secret_string(name_or_arn)
    if text is None:
        raise ValidationError("Secrets Manager can't find the specified secret.")
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ValidationError("The secret is not a JSON object.") from error
    if not isinstance(values, dict) or not values.get("username") or not values.get("password"):
        raise ValidationError("username and password in secret cannot be empty")
    cluster = values.get("dbClusterIdentifier")
    if target.is_cluster and cluster and cluster != target.identifier:
        raise ValidationError("ClusterIdentifier doesn't match the cluster identifier stored in the secret.")
    return str(values["username"])


def _require(caller: Caller, action: str, resource: str) -> None:
    denied = iam_evaluator.enforce(
        caller.access_key_id, action, action.partition(":")[0], caller.region, resource_arn=resource
    )
    if denied is not None:
        explicit = getattr(denied, "decision", "") == "Deny"
        raise AccessDeniedError(iam_actions.identity_denial_message(action, caller.arn, resource, explicit))
