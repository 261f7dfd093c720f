"""Rights of the deployed functions, taken away for a while."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import LocalAws


@contextmanager
def denied_to_loaders(aws: LocalAws, action: str) -> Iterator[None]:
    """Take a right away from the loaders."""
    iam = aws.client("iam")
    (role,) = [
        found["RoleName"]
        for page in iam.get_paginator("list_roles").paginate()
        for found in page["Roles"]
        if "LoadDynamoFunctionRole" in found["RoleName"]
    ]
    statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="denied", PolicyDocument=policy)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="denied")
