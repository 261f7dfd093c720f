"""The mails of an SNS topic, read from a queue: the local AWS sends none."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient


class NoMailError(Exception):
    """No mail came in the time given."""


@dataclass(frozen=True)
class Mail:
    """What a subscriber of the topic gets."""

    subject: str
    text: str


class Mailbox:
    """A queue subscribed to a topic, in place of somebody's address."""

    def __init__(self, sns: SNSClient, sqs: SQSClient, topic_arn: str, queue_name: str) -> None:
        self._sqs = sqs
        self._queue_url = sqs.create_queue(QueueName=queue_name)["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=["QueueArn"])
        queue_arn = attributes["Attributes"]["QueueArn"]
        let_topic_send = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [let_topic_send]})
        sqs.set_queue_attributes(QueueUrl=self._queue_url, Attributes={"Policy": policy})
        sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn)

    def next_mail(self, timeout_seconds: float = 30) -> Mail:
        """Take the next mail out of the box, waiting for it. Raises `NoMailError` when none comes in time."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            answer = self._sqs.receive_message(QueueUrl=self._queue_url, WaitTimeSeconds=1)
            for message in answer.get("Messages", []):
                self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])
                notification = json.loads(message["Body"])
                return Mail(notification.get("Subject", ""), notification["Message"])
        raise NoMailError(f"no mail came within {timeout_seconds:g} s")
