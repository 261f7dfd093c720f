"""The operations of the Redshift Data API: a checked request in, a response as in the API's service model out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.redshift.api import authorization, parameters, protocol, results, target
from local.redshift.api.catalog import Catalog
from local.redshift.api.errors import NotImitatedError, ResourceNotFoundError
from local.redshift.api.statements import Mode, Status, Submission

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.redshift.api.authorization import Caller
    from local.redshift.api.quotas import Quotas
    from local.redshift.api.statements import Query, Statement
    from local.redshift.api.store import StatementStore
    from local.redshift.sql.engine import Engine
    from local.redshift.transfer.storage import Storage

Request = dict[str, Any]
Response = dict[str, Any]

_ECHOED = ("ClusterIdentifier", "WorkgroupName", "Database", "DbUser", "SecretArn")
_STATEMENTS_PER_PAGE = 100
_NAMES_PER_PAGE = 1000


class Operations:
    """The operations that are imitated, by their names in the API; `quotas` limit how often they may be called."""

    def __init__(self, engine: Engine, storage: Storage, store: StatementStore, quotas: Quotas | None = None) -> None:
        self._engine = engine
        self._storage = storage
        self._store = store
        self._quotas = quotas
        self._by_name: dict[str, Callable[[Request, Caller], Response]] = {
            "ExecuteStatement": self._execute_statement,
            "BatchExecuteStatement": self._batch_execute_statement,
            "DescribeStatement": self._describe_statement,
            "GetStatementResult": self._get_statement_result,
            "CancelStatement": self._cancel_statement,
            "ListStatements": self._list_statements,
            "ListDatabases": self._list_databases,
            "ListSchemas": self._list_schemas,
            "ListTables": self._list_tables,
            "DescribeTable": self._describe_table,
        }

    def run(self, name: str, body: bytes, caller: Caller) -> Response:
        """Run the operation with a name. Raises `DataApiError`."""
        if name not in self._by_name:
            raise NotImitatedError(name)
        if self._quotas:
            self._quotas.spend(name, caller.account, caller.region)
        return self._by_name[name](protocol.parse(name, body), caller)

    def _execute_statement(self, request: Request, caller: Caller) -> Response:
        return self._submit(request, caller, (request["Sql"],), None)

    def _batch_execute_statement(self, request: Request, caller: Caller) -> Response:
        mode = Mode(request.get("ExecutionMode", Mode.TRANSACTION))
        return self._submit(request, caller, tuple(request["Sqls"]), mode)

    def _submit(self, request: Request, caller: Caller, sqls: tuple[str, ...], mode: Mode | None) -> Response:
        aimed_at = target.find(request, caller.region, caller.account)
        values = parameters.read(request, sqls)
        submission = Submission(
            sqls=sqls,
            parameters=values,
            name=request.get("StatementName", ""),
            mode=mode,
            with_event=request.get("WithEvent", False),
            client_token=request.get("ClientToken"),
            target=aimed_at,
            login=authorization.log_in(request, aimed_at, caller),
            caller=caller,
            echoed={member: request[member] for member in _ECHOED if member in request},
        )
        statement = self._store.submit(submission)
        response: Response = {
            "Id": statement.id,
            "CreatedAt": statement.created_at,
            **statement.submission.echoed,
        }
        if "WaitTimeSeconds" in request:
            statement.ended.wait(request["WaitTimeSeconds"])
            response |= {
                "Status": statement.status,
                "RedshiftPid": statement.process_id,
                "HasResultSet": _has_result_set(statement),
            }
        return response

    def _describe_statement(self, request: Request, caller: Caller) -> Response:
        statement, query = self._find(request, caller)
        if "WaitTimeSeconds" in request:
            statement.ended.wait(request["WaitTimeSeconds"])
        response: Response = {
            "Id": statement.id,
            "Status": statement.status,
            "CreatedAt": statement.created_at,
            "UpdatedAt": statement.updated_at,
            "Duration": sum(max(item.duration_nanoseconds, 0) for item in statement.queries),
            "RedshiftPid": statement.process_id,
            "RedshiftQueryId": 0 if statement.is_batch else statement.queries[0].number,
            "ResultRows": statement.rows,
            "ResultSize": -1 if statement.is_batch else _result_size(statement.queries[0]),
            "HasResultSet": _has_result_set(statement),
            "ResultFormat": "JSON",
            **statement.submission.echoed,
        }
        if statement.error:
            response["Error"] = statement.error
        if statement.submission.parameters:
            response["QueryParameters"] = _parameters(statement)
        if statement.submission.mode is None:
            response["QueryString"] = statement.submission.sqls[0]
        else:
            shown = [query] if query else statement.queries
            response["ExecutionMode"] = statement.submission.mode
            response["SubStatements"] = [_sub_statement(statement, item) for item in shown]
        return response

    def _get_statement_result(self, request: Request, caller: Caller) -> Response:
        statement, query = self._find(request, caller)
        if "WaitTimeSeconds" in request:
            statement.ended.wait(request["WaitTimeSeconds"])
        if query is None and not statement.is_batch:
            query = statement.queries[0]
        if query is None or query.result is None or not query.has_result_set or not statement.ended.is_set():
            raise ResourceNotFoundError(
                "Query does not have result. Please check query status with DescribeStatement.", request["Id"]
            )
        start = protocol.page_start(request, len(query.result.records))
        records, end = results.page(query.result, start)
        response: Response = {
            "Records": records,
            "ColumnMetadata": [results.column_metadata(column) for column in query.result.columns],
            "TotalNumRows": len(query.result.records),
        }
        if end < len(query.result.records):
            response["NextToken"] = str(end)
        return response

    def _cancel_statement(self, request: Request, caller: Caller) -> Response:
        statement, _ = self._find(request, caller)
        self._store.cancel(statement)
        return {"Status": True}

    def _list_statements(self, request: Request, caller: Caller) -> Response:
        if "ClusterIdentifier" in request or "WorkgroupName" in request:
            target.find(request, caller.region, caller.account)
        wanted = request.get("Status", Status.FINISHED)
        matching = [
            statement
            for statement in self._store.submitted_by(caller.owner)
            if wanted in ("ALL", statement.status)
            and statement.submission.name.startswith(request.get("StatementName", ""))
            and (request.get("RoleLevel", True) or statement.submission.caller.arn == caller.arn)
            and all(
                statement.submission.echoed.get(member) == request[member]
                for member in ("ClusterIdentifier", "WorkgroupName", "Database")
                if member in request
            )
        ]
        return _listed("Statements", [_statement_data(item) for item in matching], request, _STATEMENTS_PER_PAGE)

    def _list_databases(self, request: Request, caller: Caller) -> Response:
        return _listed("Databases", self._catalog(request, caller).databases(), request, _NAMES_PER_PAGE)

    def _list_schemas(self, request: Request, caller: Caller) -> Response:
        schemas = self._catalog(request, caller).schemas(request.get("SchemaPattern", "%"))
        return _listed("Schemas", schemas, request, _NAMES_PER_PAGE)

    def _list_tables(self, request: Request, caller: Caller) -> Response:
        tables = self._catalog(request, caller).tables(
            request.get("SchemaPattern", "%"), request.get("TablePattern", "%")
        )
        return _listed("Tables", tables, request, _NAMES_PER_PAGE)

    def _describe_table(self, request: Request, caller: Caller) -> Response:
        if "Table" not in request:
            raise NotImitatedError("DescribeTable without Table")
        columns = self._catalog(request, caller).columns(request.get("Schema"), request["Table"])
        return {
            "TableName": request["Table"],
            **_listed("ColumnList", columns, request, _NAMES_PER_PAGE),
        }

    def _catalog(self, request: Request, caller: Caller) -> Catalog:
        if request.get("ConnectedDatabase", request.get("Database")) != request.get("Database"):
            raise NotImitatedError("a ConnectedDatabase other than Database")
        aimed_at = target.find(request, caller.region, caller.account)
        return Catalog(self._engine, self._storage, authorization.log_in(request, aimed_at, caller))

    def _find(self, request: Request, caller: Caller) -> tuple[Statement, Query | None]:
        """The statement of an id, and its query if the id is that of a sub-statement (`<uuid>:<number>`)."""
        statement_id, _, number = request["Id"].partition(":")
        statement = self._store.find(statement_id, caller.owner)
        if not number:
            return statement, None
        if not statement.is_batch or not 1 <= int(number) <= len(statement.queries):
            raise ResourceNotFoundError("Query does not exist.", request["Id"])
        return statement, statement.queries[int(number) - 1]


def _listed(member: str, items: list[Any], request: Request, size: int) -> Response:
    shown, token = protocol.page(items, request, size)
    return {member: shown, "NextToken": token} if token else {member: shown}


def _has_result_set(statement: Statement) -> bool:
    return any(query.has_result_set for query in statement.queries)


def _result_size(query: Query) -> int:
    return -1 if query.result is None else results.size_in_bytes(query.result.records)


def _parameters(statement: Statement) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in statement.submission.parameters.items()]


def _sub_statement(statement: Statement, query: Query) -> Response:
    response: Response = {
        "Id": f"{statement.id}:{statement.queries.index(query) + 1}",
        "Status": query.status,
        "CreatedAt": statement.created_at,
        "UpdatedAt": query.updated_at,
        "Duration": query.duration_nanoseconds,
        "QueryString": query.sql,
        "RedshiftQueryId": query.number,
        "ResultRows": query.result.rows if query.result else -1,
        "ResultSize": _result_size(query),
        "HasResultSet": query.has_result_set,
    }
    if query.error:
        response["Error"] = query.error
    return response


def _statement_data(statement: Statement) -> Response:
    submission = statement.submission
    response: Response = {
        "Id": statement.id,
        "StatementName": submission.name,
        "Status": statement.status,
        "CreatedAt": statement.created_at,
        "UpdatedAt": statement.updated_at,
        "IsBatchStatement": statement.is_batch,
        "ResultFormat": "JSON",
    }
    if submission.parameters:
        response["QueryParameters"] = _parameters(statement)
    if statement.is_batch:
        response["QueryStrings"] = list(submission.sqls)
    else:
        response["QueryString"] = submission.sqls[0]
    if "SecretArn" in submission.echoed:
        response["SecretArn"] = submission.echoed["SecretArn"]
    return response
