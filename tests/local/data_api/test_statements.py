"""Statements submitted through boto3: how they run, end, are described, listed and cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.stack import LocalAws
from tests.local.data_api.conftest import AS_SUPERUSER, Redshift

if TYPE_CHECKING:
    from tests.local.data_api.conftest import Callers

ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def test_a_query_finishes_and_tells_its_rows_and_columns(redshift: Redshift) -> None:
    described = redshift.run("select 1::int as one, 'a'::varchar(10) as letter union all select 2, 'b' order by 1")

    assert (described["Status"], described["HasResultSet"], described["ResultRows"]) == ("FINISHED", True, 2)
    assert described["ResultSize"] == 4
    assert described["Duration"] > 0
    assert described["RedshiftPid"] > 0
    assert described["Database"] == "dev"
    assert described["ClusterIdentifier"] == "local-redshift"
    assert described["DbUser"] == "awsuser"
    result = redshift.client.get_statement_result(Id=described["Id"])
    assert result["Records"] == [
        [{"longValue": 1}, {"stringValue": "a"}],
        [{"longValue": 2}, {"stringValue": "b"}],
    ]
    assert result["TotalNumRows"] == 2
    assert [(column["name"], column["typeName"]) for column in result["ColumnMetadata"]] == [
        ("one", "int4"),
        ("letter", "varchar"),
    ]


def test_each_kind_of_value_has_its_field(redshift: Redshift) -> None:
    described = redshift.run(
        "select true as a, 9007199254740993::bigint as b, 0.5::float8 as c, 1.50::decimal(10,2) as d, "
        "null::int as e, date '2024-02-29' as f, timestamp '2024-02-29 01:02:03.5' as g"
    )

    assert redshift.client.get_statement_result(Id=described["Id"])["Records"] == [
        [
            {"booleanValue": True},
            {"longValue": 9007199254740993},
            {"doubleValue": 0.5},
            {"stringValue": "1.50"},
            {"isNull": True},
            {"stringValue": "2024-02-29"},
            {"stringValue": "2024-02-29 01:02:03.5"},
        ]
    ]


def test_a_statement_without_a_result_set_has_no_result_to_fetch(redshift: Redshift) -> None:
    described = redshift.run("create table no_result (a int)")

    assert (described["Status"], described["HasResultSet"]) == ("FINISHED", False)
    with pytest.raises(redshift.client.exceptions.ResourceNotFoundException, match="Query does not have result"):
        redshift.client.get_statement_result(Id=described["Id"])


def test_an_empty_result_set_is_still_a_result_set(redshift: Redshift) -> None:
    described = redshift.run("select 1 as a where false")

    assert described["HasResultSet"]
    assert redshift.client.get_statement_result(Id=described["Id"])["Records"] == []


def test_rows_affected_are_counted(redshift: Redshift) -> None:
    redshift.run("create table counted (a int)")

    assert redshift.run("insert into counted values (1), (2), (3)")["ResultRows"] == 3


def test_a_failed_statement_tells_the_error_of_the_database(redshift: Redshift) -> None:
    described = redshift.run("select * from no_such_table")

    assert described["Status"] == "FAILED"
    assert described["Error"] == 'ERROR: relation "no_such_table" does not exist'


def test_an_unknown_database_fails_the_statement_not_the_call(redshift: Redshift) -> None:
    described = redshift.run("select 1", Database="nowhere")

    assert described["Status"] == "FAILED"
    assert described["Error"] == 'FATAL: database "nowhere" does not exist'


def test_an_unknown_user_fails_the_statement_not_the_call(redshift: Redshift) -> None:
    described = redshift.run("select 1", DbUser="nobody")

    assert described["Status"] == "FAILED"
    assert described["Error"] == 'FATAL: user "nobody" does not exist'


def test_a_large_result_comes_in_pages(redshift: Redshift) -> None:
    described = redshift.run("select repeat('x', 30000) as a, n from generate_series(1, 100) as n")

    pages = redshift.client.get_paginator("get_statement_result").paginate(Id=described["Id"])
    sizes = [len(page["Records"]) for page in pages]
    assert len(sizes) > 1
    assert sum(sizes) == 100
    assert described["ResultSize"] > 3_000_000


class TestParameters:
    """`:name` placeholders."""

    def test_values_are_bound_and_shown(self, redshift: Redshift) -> None:
        given: Any = [{"name": "a", "value": 'it\'s \\ $$ "ü"\n'}, {"name": "b", "value": "3"}]
        sql = "select :a::varchar, :b::int + 1, :a::varchar"

        assert redshift.rows(sql, Parameters=given) == [[given[0]["value"], 4, given[0]["value"]]]
        described = redshift.run(sql, Parameters=given)
        assert described["QueryParameters"] == given

    @pytest.mark.parametrize(
        "sql",
        [
            "select ':p'",
            "select 'it''s :p'",
            'select 1 as ":p"',
            "select 1 -- :p",
            "select /* /* */ :p */ 1",
            "select $$ :p $$",
            "select $x$ $$ :p $x$",
            "select 'a'::p",
        ],
    )
    def test_a_parameter_without_a_placeholder_is_refused(self, redshift: Redshift, sql: str) -> None:
        with pytest.raises(redshift.client.exceptions.ValidationException) as refusal:
            redshift.client.execute_statement(Sql=sql, Parameters=[{"name": "p", "value": "1"}], **AS_SUPERUSER)

        message = refusal.value.response["Error"]["Message"]
        assert message == "Parameters list contains unused parameters. Unused parameters: [p]"

    def test_a_batch_shares_its_parameters(self, redshift: Redshift) -> None:
        given: Any = [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]

        described = redshift.run_batch("select :a::int", "select :b::int, :a::int", Parameters=given)

        last = redshift.client.get_statement_result(Id=f"{described['Id']}:2")
        assert last["Records"] == [[{"longValue": 2}, {"longValue": 1}]]

    def test_a_parameter_that_no_statement_of_a_batch_uses_is_refused(self, redshift: Redshift) -> None:
        with pytest.raises(redshift.client.exceptions.ValidationException, match=r"\[b\]"):
            redshift.run_batch("select :a::int", Parameters=[{"name": name, "value": "1"} for name in "ab"])


class TestClientToken:
    """The same call made again."""

    def test_the_same_token_runs_the_statement_once(self, redshift: Redshift) -> None:
        redshift.run("create table once (a int)")

        ids = {redshift.run("insert into once values (1)", ClientToken="once")["Id"] for _ in range(3)}

        assert len(ids) == 1
        assert redshift.rows("select count(*) from once") == [[1]]

    def test_another_roles_token_is_another_token(self, redshift: Redshift, callers: Callers) -> None:
        other = callers.allowed(ALL)

        first, second = (caller.run("select 1", ClientToken="shared")["Id"] for caller in (redshift, other))

        assert first != second


class TestBatch:
    """BatchExecuteStatement."""

    def test_every_statement_is_described_with_its_own_result(self, redshift: Redshift) -> None:
        described = redshift.run_batch(
            "create table batched (a int)", "insert into batched values (7)", "select a from batched"
        )

        assert described["Status"] == "FINISHED"
        assert described["ExecutionMode"] == "TRANSACTION"
        assert "QueryString" not in described
        subs = described["SubStatements"]
        assert [sub["Id"] for sub in subs] == [f"{described['Id']}:{number}" for number in (1, 2, 3)]
        assert [(sub["Status"], sub["HasResultSet"]) for sub in subs] == [
            ("FINISHED", False),
            ("FINISHED", False),
            ("FINISHED", True),
        ]
        assert redshift.client.get_statement_result(Id=subs[2]["Id"])["Records"] == [[{"longValue": 7}]]
        with pytest.raises(redshift.client.exceptions.ResourceNotFoundException):
            redshift.client.get_statement_result(Id=described["Id"])

    def test_describing_a_sub_statement_shows_the_batch_with_that_one(self, redshift: Redshift) -> None:
        batch = redshift.run_batch("select 1", "select 2")

        described = redshift.client.describe_statement(Id=f"{batch['Id']}:2")

        assert described["Id"] == batch["Id"]
        assert [sub["QueryString"] for sub in described["SubStatements"]] == ["select 2"]

    def test_a_transaction_is_undone_by_a_failure(self, redshift: Redshift) -> None:
        redshift.run("create table undone (a int)")

        described = redshift.run_batch("insert into undone values (1)", "select 1/0", "select 3")

        assert described["Status"] == "FAILED"
        assert [sub["Status"] for sub in described["SubStatements"]] == ["FINISHED", "FAILED", "ABORTED"]
        assert described["SubStatements"][1]["Error"] == "ERROR: division by zero"
        assert described["Error"] == "Query #2 failed with ERROR: division by zero"
        assert redshift.rows("select count(*) from undone") == [[0]]

    def test_with_auto_commit_the_others_stand_and_go_on(self, redshift: Redshift) -> None:
        redshift.run("create table kept (a int)")

        described = redshift.run_batch(
            "insert into kept values (1)", "select 1/0", "insert into kept values (3)", ExecutionMode="AUTO_COMMIT"
        )

        assert described["Status"] == "FAILED"
        assert [sub["Status"] for sub in described["SubStatements"]] == ["FINISHED", "FAILED", "FINISHED"]
        assert redshift.rows("select a from kept order by a") == [[1], [3]]


class TestRunningAndCancelling:
    """Statements in the background."""

    def test_statements_run_beside_each_other_and_can_be_cancelled(self, redshift: Redshift) -> None:
        running = redshift.client.execute_statement(Sql="select pg_sleep(100) as cancel_me", **AS_SUPERUSER)["Id"]
        redshift.wait_until_started(running)

        beside = redshift.run("select 1")

        assert beside["Status"] == "FINISHED"
        assert redshift.client.describe_statement(Id=running)["Status"] == "STARTED"
        assert redshift.client.cancel_statement(Id=running)["Status"] is True
        assert redshift.end_of(running)["Status"] == "ABORTED"
        still_there = "select count(*) from pg_stat_activity where query like '%cancel' || '_me%'"
        assert redshift.rows(still_there) == [[0]]

    def test_a_cancelled_transaction_leaves_nothing(self, redshift: Redshift) -> None:
        redshift.run("create table cancelled (a int)")
        running = redshift.client.batch_execute_statement(
            Sqls=["insert into cancelled values (1)", "select pg_sleep(100)", "select 2"], **AS_SUPERUSER
        )["Id"]
        redshift.wait_until_started(running)

        redshift.client.cancel_statement(Id=running)

        described = redshift.end_of(running)
        assert described["Status"] == "ABORTED"
        assert described["SubStatements"][2]["Status"] == "ABORTED"
        assert redshift.rows("select count(*) from cancelled") == [[0]]

    def test_what_follows_a_cancelled_statement_of_a_batch_does_not_run(self, redshift: Redshift) -> None:
        redshift.run("create table not_reached (a int)")
        running = redshift.client.batch_execute_statement(
            Sqls=["select pg_sleep(100)", "insert into not_reached values (1)"],
            ExecutionMode="AUTO_COMMIT",
            **AS_SUPERUSER,
        )["Id"]
        redshift.wait_until_started(running)

        redshift.client.cancel_statement(Id=running)

        described = redshift.end_of(running)
        assert [sub["Status"] for sub in described["SubStatements"]] == ["ABORTED", "ABORTED"]
        assert redshift.rows("select count(*) from not_reached") == [[0]]

    def test_a_statement_that_has_ended_cannot_be_cancelled(self, redshift: Redshift) -> None:
        ended = redshift.run("select 1")["Id"]

        with pytest.raises(redshift.client.exceptions.ValidationException) as refusal:
            redshift.client.cancel_statement(Id=ended)

        message = refusal.value.response["Error"]["Message"]
        assert message == f"Could not cancel a query that is already in FINISHED state with ID: {ended}"

    def test_the_result_of_a_running_statement_is_not_there_yet(self, redshift: Redshift) -> None:
        running = redshift.client.execute_statement(Sql="select pg_sleep(100)", **AS_SUPERUSER)["Id"]
        redshift.wait_until_started(running)

        with pytest.raises(redshift.client.exceptions.ResourceNotFoundException, match="does not have result"):
            redshift.client.get_statement_result(Id=running)

        redshift.client.cancel_statement(Id=running)

    def test_waiting_ends_with_the_statement_or_the_time(self, redshift: Redshift) -> None:
        ended = redshift.client.execute_statement(Sql="select 1", WaitTimeSeconds=30, **AS_SUPERUSER)
        assert (ended["Status"], ended["HasResultSet"]) == ("FINISHED", True)

        running = redshift.client.execute_statement(Sql="select pg_sleep(100)", WaitTimeSeconds=1, **AS_SUPERUSER)
        assert running["Status"] == "STARTED"
        redshift.client.cancel_statement(Id=running["Id"])


class TestListing:
    """ListStatements."""

    def test_finished_statements_are_listed_by_the_beginning_of_their_name(self, redshift: Redshift) -> None:
        finished = redshift.run("select 1", StatementName="listed-1")["Id"]
        batch = redshift.run_batch("select 1", "select 2", StatementName="listed-2")["Id"]
        failed = redshift.run("select 1/0", StatementName="listed-3")["Id"]
        redshift.run("select 1", StatementName="Listed-4")

        def listed(**members: Any) -> list[str]:
            found = redshift.client.list_statements(StatementName="listed-", **members)["Statements"]
            return [statement["Id"] for statement in found]

        assert listed() == [batch, finished]
        assert listed(Status="FAILED") == [failed]
        assert listed(Status="ALL") == [failed, batch, finished]
        assert listed(Status="ALL", Database="other") == []

    def test_a_long_list_comes_in_pages(self, redshift: Redshift) -> None:
        for number in range(5):
            redshift.run("select 1", StatementName=f"page-{number}")

        pages = redshift.client.get_paginator("list_statements").paginate(
            StatementName="page-", PaginationConfig={"PageSize": 2}
        )

        names = [[statement["StatementName"] for statement in page["Statements"]] for page in pages]
        assert names == [["page-4", "page-3"], ["page-2", "page-1"], ["page-0"]]


class TestVisibility:
    """Whose statements a caller sees."""

    def test_sessions_of_one_role_share_their_statements(self, callers: Callers) -> None:
        role = callers.role(ALL)
        submitter, callback = callers.session(role, "submitter"), callers.session(role, "callback")

        statement = submitter.run("select 1", StatementName="shared")["Id"]

        assert callback.client.describe_statement(Id=statement)["Status"] == "FINISHED"
        assert callback.client.list_statements(StatementName="shared")["Statements"]
        assert not callback.client.list_statements(StatementName="shared", RoleLevel=False)["Statements"]

    def test_another_roles_statement_does_not_exist(self, redshift: Redshift, callers: Callers) -> None:
        statement = redshift.run("select 1")["Id"]
        other = callers.allowed(ALL)

        for operation in ("describe_statement", "get_statement_result", "cancel_statement"):
            with pytest.raises(ClientError) as refusal:
                getattr(other.client, operation)(Id=statement)
            error: dict[str, Any] = {**refusal.value.response}
            assert error["Error"]["Code"] == "ResourceNotFoundException"
            assert error["Error"]["Message"] == "Query does not exist."
            assert error["ResourceId"] == statement
        assert statement not in [s["Id"] for s in other.client.list_statements()["Statements"]]


def test_names_keep_their_case_in_a_cluster_whose_parameter_group_says_so() -> None:
    with LocalAws({"enable_case_sensitive_identifier": "true"}) as aws:
        redshift = Redshift(aws.client("redshift-data"))
        described = redshift.run('SELECT 1 AS "loadBucket"')
        result = redshift.client.get_statement_result(Id=described["Id"])
    assert [column["name"] for column in result["ColumnMetadata"]] == ["loadBucket"]
