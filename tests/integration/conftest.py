"""The application deployed once to a local AWS, for all integration tests of a session."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from local.data_api import DataApi
from local.mails import Mailbox
from local.stack import PROJECT, LocalAws, build, deploy_built

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    """A local AWS, without the stack."""
    with LocalAws() as running:
        yield running


@pytest.fixture(scope="session")
def built(aws: LocalAws) -> None:
    """The template, built by the real `sam`."""
    build(aws)


@pytest.fixture(scope="session")
def outputs(aws: LocalAws, built: None) -> dict[str, str]:
    """The outputs of the stack, deployed to `aws` by the real `sam`."""
    return deploy_built(aws)


@pytest.fixture(scope="session")
def redshift(aws: LocalAws) -> DataApi:
    """The local Redshift of `aws`, with the procedure of scripts/."""
    data_api = DataApi(aws.client("redshift-data"), aws.redshift_connection)
    data_api.run_script(PROJECT / "scripts" / "sp_etl_log_etl_event.sql")
    return data_api


@pytest.fixture
def mailbox(aws: LocalAws, outputs: dict[str, str]) -> Mailbox:
    """A box of the test's own, for the mails that the stack sends from now on."""
    topic = outputs["NotificationTopicArn"]
    return Mailbox(aws.client("sns"), aws.client("sqs"), topic, f"mails-{uuid.uuid4()}")
