"""What the roles of the stack are for: every call that a function's code, a state machine or a schedule makes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tests.template.evaluation import ACCOUNT, REGION, Evaluation, deployed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# A permission that names no resource, because the service has no resource level for it.
ANY = "*"
# What a key is used for, as KMS tells policies.
ENCRYPTION_CONTEXT = "kms:EncryptionContext:"

BUCKET = "arn:aws:s3:::existing"
# Keys of a bucket and of tables that were there before may be other accounts'.
BUCKET_KEY = f"arn:aws:kms:{REGION}:210987654321:key/bucket"
TABLE_KEY = f"arn:aws:kms:{REGION}:210987654321:key/table"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/stack"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:redshift-AbCdEf"
WORKGROUP_ID = "0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f"
ELSEWHERE = "eu-west-1"

STATEMENTS = "RedshiftStatementRole"
PREPARE = "PrepareLoadFunctionRole"
LIST = "RedshiftUnloadS3ListFunctionRole"
COMPARE = "CompareKeysFunctionRole"
BEGIN = "BeginLoadFunctionRole"
LOAD = "LoadDynamoFunctionRole"
VERIFY = "VerifyLoadFunctionRole"
PROCEDURES_MACHINE = "RedshiftDataApiSPProcesStateMachineRole"
LOADS_MACHINE = "RedshiftToDynamoProcesStateMachineRole"
SCHEDULE = "ScheduleRole"
START = "StartScheduledFunctionRole"

_LOG_DELIVERY = (
    "CreateLogDelivery GetLogDelivery UpdateLogDelivery DeleteLogDelivery ListLogDeliveries PutResourcePolicy "
    "DescribeResourcePolicies DescribeLogGroups"
)
_LOAD_FUNCTIONS = "PrepareLoad RedshiftUnload RedshiftUnloadS3List CompareKeys BeginLoad LoadDynamo VerifyLoad"
_MULTIPART = "PutObject GetObject ListMultipartUploadParts AbortMultipartUpload"
_TRACES = "PutTraceSegments PutTelemetryRecords GetSamplingRules GetSamplingTargets"


@dataclass(frozen=True)
class Call:
    """An action on a resource, with the keys of the request that conditions look at."""

    action: str
    resource: str
    keys: Mapping[str, str] = field(default_factory=dict)

    def elsewhere(self) -> Call:
        """The same call on a resource that it is not for: of another name, or under another prefix of the bucket.

        Of a key the use for another bucket or table.
        """
        for key, value in self.keys.items():
            if key.startswith(ENCRYPTION_CONTEXT):
                name = BUCKET if BUCKET in value else value
                return replace(self, keys={**self.keys, key: value.replace(name, f"{name}-other")})
        for prefix in ("/unload/", "/loads/", "/rejects/", "/corrected/", "/records/"):
            if prefix in self.resource:
                return Call(self.action, self.resource.replace(prefix, "/other/"), self.keys)
        return Call(self.action, f"{self.resource}-other", self.keys)


@dataclass(frozen=True)
class Case:
    """A stack for some parameters, and the calls of each of its roles."""

    name: str
    stack: Evaluation
    calls: Mapping[str, list[Call]]


def _calls(service: str, actions: str, resource: str, **keys: str) -> list[Call]:
    context = {key.replace("_", ":", 1): value for key, value in keys.items()}
    return [Call(f"{service}:{action}", resource, context) for action in actions.split()]


def _through(service: str, region: str = REGION) -> dict[str, str]:
    return {"kms_ViaService": f"{service}.{region}.amazonaws.com"}


def _for_bucket(actions: str, prefix: str = "unload") -> list[Call]:
    """What S3 asks of a bucket's key: for the bucket if it has a bucket key, else for each object."""
    return [
        call
        for arn in (BUCKET, f"{BUCKET}/{prefix}/x")
        for call in _calls("kms", actions, BUCKET_KEY, **_through("s3"), **{"kms_EncryptionContext:aws:s3:arn": arn})
    ]


def _for_table(key: str, table: str) -> list[Call]:
    context = {"kms_EncryptionContext:aws:dynamodb:tableName": table}
    return _calls("kms", "Decrypt", key, **_through("dynamodb"), **context)


def _of_every_stack(stack: Evaluation) -> dict[str, list[Call]]:
    """The calls that do not depend on how the functions log in to Redshift, nor on keys, tracing and schedules."""
    tokens, ledger, target = (
        f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"
        for name in ("redshift-statement-tokens", "redshift-pipelines-ledger", "amazon_reviews")
    )
    topic = stack.arn("NotificationTopic")
    machine = stack.arn("RedshiftToDynamoProcesStateMachine")
    child = machine.replace(":stateMachine:", ":execution:")
    logs = _calls("logs", _LOG_DELIVERY, ANY)
    return {
        STATEMENTS: [
            *_calls("redshift-data", "DescribeStatement GetStatementResult ListStatements CancelStatement", ANY),
            *_calls("dynamodb", "GetItem UpdateItem", tokens),
            *_calls("dynamodb", "Query", f"{tokens}/index/unfinished"),
            *(
                call
                for key in ("execution#x", "table#reviews", "singleton#nightly")
                for call in _calls("dynamodb", "UpdateItem", ledger, dynamodb_LeadingKeys=key)
            ),
            *_calls("states", "DescribeExecution", f"{child}:x"),
            *_calls("states", "DescribeExecution", f"{child.replace('ToDynamo', 'DataApiSP')}:x"),
            *_calls("sqs", "ReceiveMessage DeleteMessage GetQueueAttributes", stack.arn("StoppedExecutionsQueue")),
            *_calls("states", "SendTaskSuccess SendTaskFailure", ANY),
            # Lambda sends what the callback could not handle to the queue in the name of the function's role.
            *_calls("sqs", "SendMessage", stack.arn("UnhandledEventsQueue")),
            *_calls("s3", "GetEncryptionConfiguration", BUCKET),
        ],
        PREPARE: [
            *_calls("dynamodb", "DescribeTable DescribeTimeToLive", target),
            *_calls("dynamodb", "GetItem Query UpdateItem", ledger),
            *_calls("states", "DescribeExecution", f"{child}:x"),
            *_calls("s3", "ListBucket", BUCKET),
            *_calls("s3", "GetObject", f"{BUCKET}/loads/x/plan.json"),
            *_for_bucket("Decrypt", "loads"),
        ],
        LIST: [
            *_calls("s3", "ListBucket", BUCKET),
            *(
                call
                for key in ("unload/x/0", "loads/x/plan.json", "rejects/x/0.jsonl", "corrected/x/0.jsonl")
                for call in _calls("s3", "GetObject", f"{BUCKET}/{key}")
            ),
            *_calls("s3", "PutObject", f"{BUCKET}/loads/x/pieces.json"),
            *_calls("s3", "PutObject", f"{BUCKET}/unload/x/corrected.parquet"),
            *_for_bucket("Decrypt GenerateDataKey"),
            *_calls("dynamodb", "GetItem UpdateItem", ledger),
        ],
        COMPARE: [
            *_calls("s3", "ListBucket", BUCKET),
            *_calls("s3", "GetObject", f"{BUCKET}/unload/x/load_bucket=0/0000.parquet"),
            *_calls("s3", "GetObject", f"{BUCKET}/records/reviews/20261126/x/00000.parquet"),
            *_for_bucket("Decrypt", "records"),
            *_calls("dynamodb", "UpdateItem PutItem", ledger),
        ],
        BEGIN: [
            *_calls("s3", "PutObject", f"{BUCKET}/records/reviews/20261126/x/00000.parquet"),
            *_for_bucket("GenerateDataKey", "records"),
            # DynamoDB checks a transaction's parts: it has no action of its own.
            *_calls("dynamodb", "GetItem Query UpdateItem PutItem ConditionCheckItem", ledger),
        ],
        LOAD: [
            *_calls("s3", "ListBucket", BUCKET),
            *_calls("s3", "GetObject", f"{BUCKET}/unload/x/0000.parquet"),
            *_calls("s3", "GetObject PutObject", f"{BUCKET}/records/reviews/20261126/x/00000.parquet"),
            *_calls("s3", "PutObject", f"{BUCKET}/rejects/x/00000.jsonl"),
            *_for_bucket("Decrypt GenerateDataKey"),
            *_calls("dynamodb", "BatchWriteItem BatchGetItem", target),
            *_for_table(TABLE_KEY, "amazon_reviews"),
            *_calls("dynamodb", "GetItem UpdateItem", ledger),
            *_calls("states", "DescribeExecution", f"{child}:x"),
        ],
        VERIFY: [
            *_calls("dynamodb", "GetItem Query UpdateItem PutItem ConditionCheckItem", ledger),
            *_calls("dynamodb", "DescribeTable", target),
            *_calls("s3", "DeleteObject", f"{BUCKET}/records/reviews/20261126/x/00000.parquet"),
        ],
        PROCEDURES_MACHINE: [
            *_calls("lambda", "InvokeFunction", stack.arn("RedshiftRunSpsFunction")),
            *_calls("sns", "Publish", topic),
            *logs,
        ],
        # Step Functions guide, "IAM policies for using Distributed Map states".
        LOADS_MACHINE: [
            *(
                call
                for name in _LOAD_FUNCTIONS.split()
                for call in _calls("lambda", "InvokeFunction", stack.arn(f"{name}Function"))
            ),
            *_calls("states", "StartExecution", machine),
            *_calls("states", "DescribeExecution StopExecution", f"{child}:x"),
            *(
                call
                for label in ("CompareKeys", "LoadPieces")
                for call in _calls("states", "DescribeExecution StopExecution RedriveExecution", f"{child}/{label}:x")
            ),
            *_calls("s3", "GetObject", f"{BUCKET}/loads/x/pieces.json"),
            *(
                call
                for folder in ("compared", "results")
                for call in _calls("s3", _MULTIPART, f"{BUCKET}/loads/x/{folder}/y")
            ),
            *_for_bucket("Decrypt Encrypt GenerateDataKey", "loads"),
            *_calls("sns", "Publish", topic),
            *logs,
        ],
    }


def cases() -> Iterator[Case]:
    """Stacks that together use every permission of the template: each login, with all other options and with none."""
    cluster = f"arn:aws:redshift:{REGION}:{ACCOUNT}:cluster:analytics"
    yield _case("a cluster's secret", [
        *_calls("redshift-data", "ExecuteStatement", cluster),
        *_calls("secretsmanager", "GetSecretValue", SECRET),
        *_calls("kms", "Decrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/secret", **_through("secretsmanager")),
    ], DbSecretArn=SECRET)  # fmt: skip
    name = f"arn:aws:redshift:{REGION}:{ACCOUNT}:dbname:analytics/dev"
    user = f"arn:aws:redshift:{REGION}:{ACCOUNT}:dbuser:analytics/loader"
    yield _case("a cluster's user", [
        *_calls("redshift-data", "ExecuteStatement", cluster),
        *_calls("redshift", "GetClusterCredentials", name),
        *_calls("redshift", "GetClusterCredentials", user),
    ], DbUser="loader")  # fmt: skip
    yield _case("IAM on a cluster", [
        *_calls("redshift-data", "ExecuteStatement", cluster),
        *_calls("redshift", "GetClusterCredentialsWithIAM", name),
    ])  # fmt: skip
    elsewhere = cluster.replace(REGION, ELSEWHERE), name.replace(REGION, ELSEWHERE), user.replace(REGION, ELSEWHERE)
    mailed = _case("mails under a key of the stack's own", [
        *_calls("redshift-data", "ExecuteStatement", cluster),
        *_calls("redshift", "GetClusterCredentialsWithIAM", name),
    ], SupportNotificationEmail="support@example.com")  # fmt: skip
    for machine in (PROCEDURES_MACHINE, LOADS_MACHINE):
        own_key = mailed.stack.arn("NotificationKey")
        mailed.calls[machine].extend(_calls("kms", "Decrypt GenerateDataKey", own_key, **_through("sns")))
    yield mailed
    yield _case("a cluster elsewhere", [
        *_calls("redshift-data", "ExecuteStatement", elsewhere[0]),
        *_calls("redshift", "GetClusterCredentialsWithIAM", elsewhere[1]),
    ], REGION=ELSEWHERE)  # fmt: skip
    yield _case("a user elsewhere", [
        *_calls("redshift-data", "ExecuteStatement", elsewhere[0]),
        *_calls("redshift", "GetClusterCredentials", elsewhere[1]),
        *_calls("redshift", "GetClusterCredentials", elsewhere[2]),
    ], REGION=ELSEWHERE, DbUser="loader")  # fmt: skip
    for region, given in ((REGION, {}), (ELSEWHERE, {"REGION": ELSEWHERE})):
        workgroup = f"arn:aws:redshift-serverless:{region}:{ACCOUNT}:workgroup/{WORKGROUP_ID}"
        execute = [
            *_calls("redshift-data", "ExecuteStatement", workgroup),
            *_calls("redshift-data", "ExecuteStatement", workgroup.replace("redshift-serverless", "redshift")),
        ]
        credentials = _calls("redshift-serverless", "GetCredentials", workgroup)
        login = given | {"WorkgroupName": workgroup}
        yield _case(f"IAM on Serverless in {region}", [*execute, *credentials], **login)
    secret = _calls("secretsmanager", "GetSecretValue", SECRET.replace(REGION, ELSEWHERE))
    key, through = f"arn:aws:kms:{ELSEWHERE}:{ACCOUNT}:key/secret", _through("secretsmanager", ELSEWHERE)
    decrypt = _calls("kms", "Decrypt", key, **through)
    yield _case(
        "a secret beside Serverless elsewhere",
        [*execute, *secret, *decrypt],
        **login,
        DbSecretArn=SECRET.replace(REGION, ELSEWHERE),
    )
    yield _full()


def _case(name: str, login: list[Call], **given: str) -> Case:
    stack = deployed(DataS3Bucket="existing", **given)
    calls = _of_every_stack(stack)
    calls[STATEMENTS] += login
    return Case(name, stack, calls)


def _full() -> Case:
    stack = deployed(
        DataS3Bucket="existing",
        TargetKey="",
        LoadableTables="audits,eu-*-sales",
        KmsKeyArn=KEY,
        ShouldEnableTracing="true",
        StoredProcedureSchedule="rate(1 hour)",
        LoadSchedule="cron(0 3 * * ? *) Europe/Berlin",
        DbUser="loader",
    )
    case = _case("every option", [
        *_calls("redshift-data", "ExecuteStatement", f"arn:aws:redshift:{REGION}:{ACCOUNT}:cluster:analytics"),
        *_calls("redshift", "GetClusterCredentials", f"arn:aws:redshift:{REGION}:{ACCOUNT}:dbname:analytics/dev"),
        *_calls("redshift", "GetClusterCredentials", f"arn:aws:redshift:{REGION}:{ACCOUNT}:dbuser:analytics/loader"),
    ], DbUser="loader")  # fmt: skip
    calls = {role: list(made) for role, made in case.calls.items()}
    for role in (STATEMENTS, PREPARE, LIST, COMPARE, BEGIN, LOAD, VERIFY):
        calls[role] += _for_table(KEY, "redshift-pipelines-ledger")
    calls[STATEMENTS] += _for_table(KEY, "redshift-statement-tokens")
    # Lambda receives and sends in the name of the function's role.
    calls[STATEMENTS] += _calls("kms", "Decrypt GenerateDataKey", KEY, **_through("sqs"))
    here = {"aws_RequestedRegion": REGION, "aws_ResourceAccount": ACCOUNT}
    for name in ("audits", "eu-1-sales"):
        table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"
        calls[PREPARE] += _calls("dynamodb", "DescribeTable DescribeTimeToLive", table, **here)
        calls[LOAD] += _calls("dynamodb", "BatchWriteItem BatchGetItem", table, **here)
        calls[LOAD] += _for_table(TABLE_KEY, name)
        calls[VERIFY] += _calls("dynamodb", "DescribeTable", table, **here)
    for machine in (PROCEDURES_MACHINE, LOADS_MACHINE):
        calls[machine] += _calls("kms", "Decrypt GenerateDataKey", KEY, **_through("sns"))
        calls[machine] += _calls("xray", _TRACES, ANY)
    # Scheduler and Lambda send what they could not deliver in the name of these roles.
    calls[SCHEDULE] = [
        *_calls("lambda", "InvokeFunction", stack.arn("StartScheduledFunction")),
        *_calls("sqs", "SendMessage", stack.arn("UnhandledEventsQueue")),
        *_calls("kms", "Decrypt GenerateDataKey", KEY, **_through("sqs")),
    ]
    calls[START] = [
        *_calls("kms", "Decrypt GenerateDataKey", KEY, **_through("sqs")),
        *_calls("sqs", "SendMessage", stack.arn("UnhandledEventsQueue")),
        *_calls("states", "StartExecution", stack.arn("RedshiftDataApiSPProcesStateMachine")),
        *_calls("states", "StartExecution", stack.arn("RedshiftToDynamoProcesStateMachine")),
    ]
    return Case(case.name, stack, calls)
