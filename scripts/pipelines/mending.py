"""What mends a stack that Redshift, S3 or KMS refused something: the GRANT, the policy statement, the command."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from scripts.pipelines.runbook import advice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scripts.pipelines.stack import Stack

_NAME = r'(?:"[^"]+"|[^\s";,)])+'
_ACCESS_DENIED = r"access ?denied|not authorized to perform|status code: 403|status 403"

_REFUSED_TABLE = rf"(permission denied for (?:relation|table|view) )({_NAME})"


def mend(stack: Stack, query: str, error: str, cause: str) -> str:
    """What to do about a failure of a load by this query: by Redshift's words, else what the runbook says."""
    cause = re.sub(_REFUSED_TABLE, lambda found: f"{found[1]}{_qualified(found[2], query)}", cause, flags=re.IGNORECASE)
    for pattern, make in _RULES:
        if found := re.search(pattern, cause, re.IGNORECASE | re.DOTALL):
            return make(stack, found)
    return advice(error) or "See docs/operating.md, and the function's log."


def database_user(stack: Stack) -> str:
    """The user that statements run as, quoted for SQL; of a secret it is not known here."""
    parameters = stack.parameters
    if parameters.get("DbSecretArn"):
        return "<the user of the secret>"
    user = parameters.get("DbUser") or f"IAMR:{stack.outputs['StatementRoleName']}"
    return f'"{user}"'


def unload_role(stack: Stack) -> str:
    """The role that Redshift writes to the bucket with, as the stack names it."""
    return stack.parameters.get("UnloadRole") or "default"


def _qualified(name: str, query: str) -> str:
    """A table, which Redshift's message names without its schema, as the query names it; the name if it doesn't."""
    plain = re.escape(name.strip('"'))
    named = re.findall(
        rf"\b(?:FROM|JOIN)\s+((?:(?:\"[^\"]+\"|[\w$]+)\.)+(?:\"{plain}\"|{plain}(?![\w$.])))", query, re.IGNORECASE
    )
    return str(named[0]) if len({table.lower() for table in named}) == 1 else name


def _grant(right: str) -> Callable[[Stack, re.Match[str]], str]:
    return lambda stack, found: f"Run in Redshift: GRANT {right} {found[1]} TO {database_user(stack)};"


def _attach(stack: Stack, found: re.Match[str]) -> str:
    role = next((group for group in found.groups() if group), "<ARN of UnloadRole>")
    return (
        f"Let Redshift assume {role}: its trust policy names redshift.amazonaws.com, and it is attached: "
        f"{_attaching(stack, f'--add-iam-roles {role}', f'--iam-roles {role}')}\n"
        f"Where an administrator has taken ASSUMEROLE from PUBLIC, run in Redshift: GRANT ASSUMEROLE ON '{role}' TO "
        f"{database_user(stack)} FOR UNLOAD;"
    )


def _set_default(stack: Stack, _found: re.Match[str]) -> str:
    ways = _attaching(
        stack, "--add-iam-roles <ARN> --default-iam-role-arn <ARN>", "--iam-roles <ARN> --default-iam-role-arn <ARN>"
    )
    return f"Make a role the default one: {ways}\nOr name a role by its ARN in the stack's UnloadRole."


def _attaching(stack: Stack, cluster: str, namespace: str) -> str:
    if identifier := stack.parameters.get("ClusterIdentifier"):
        return f"aws redshift modify-cluster-iam-roles --cluster-identifier {identifier} {cluster}"
    return f"aws redshift-serverless update-namespace --namespace-name <namespace> {namespace}"


def _allow_bucket(stack: Stack, _found: re.Match[str]) -> str:
    bucket = f"arn:aws:s3:::{stack.outputs['DataBucketName']}"
    statements = [
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"{bucket}/unload/*"},
        {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetEncryptionConfiguration"], "Resource": bucket},
    ]
    return f"Add to the policy of the role that UNLOAD writes with ({unload_role(stack)}):\n{_policy(*statements)}"


def _allow_key(stack: Stack, _found: re.Match[str]) -> str:
    statement = {
        "Effect": "Allow",
        "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
        "Resource": "<ARN of the bucket's key>",
    }
    return (
        f"Add to the policy of the role that UNLOAD writes with ({unload_role(stack)}), and see that the key's own "
        f"policy leaves it to IAM:\n{_policy(statement)}"
    )


def _policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps(statements, indent=2)


def _say(text: str) -> Callable[[Stack, re.Match[str]], str]:
    return lambda _stack, _found: text


# Redshift's words, PostgreSQL's where they differ, and S3's and KMS's, which Redshift passes on. The first that fits.
_RULES: tuple[tuple[str, Callable[[Stack, re.Match[str]], str]], ...] = (
    (rf"permission denied for (?:relation|table|view) ({_NAME})", _grant("SELECT ON")),
    (rf"permission denied for schema ({_NAME})", _grant("USAGE ON SCHEMA")),
    (rf"permission denied for (?:procedure|function) ({_NAME})", _grant("EXECUTE ON PROCEDURE")),
    (r"no default IAM role|default IAM role is not|default role", _set_default),
    (r"authorized to (?:assume IAM Role|get credentials of role) (\S+)|permission denied.*assumerole", _attach),
    (rf"kms.*(?:{_ACCESS_DENIED})|(?:{_ACCESS_DENIED}).*kms", _allow_key),
    (_ACCESS_DENIED, _allow_bucket),
    (r'database "?([^" ]+)"? does not exist', _say("Name a database that is there in the stack's RedshiftDbName.")),
    (
        r'relation "?([^" ]+)"? does not exist',
        _say(
            "Name a table that is there in the query (the stack's UnloadQuery). scripts/setup_redshift_table.sql makes "
            "that of the stack's default."
        ),
    ),
    (
        r"secret",
        _say(
            "See that DbSecretArn names a secret of this region, whose text is JSON with username and password, and "
            "that its key's policy leaves it to IAM who decrypts by it."
        ),
    ),
)
