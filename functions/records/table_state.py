"""Which records say what a table holds: one row of the ledger for each table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from aws_errors import named_failures
from errors import AwsUnavailable
from locks.table import TableLock
from records.errors import RecordUnreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, PutTypeDef

_ENTRY = "record"
# Of the JSON in the row: raised by whoever changes what a state means to code that reads it.
_FORMAT = 1


@dataclass(frozen=True)
class Generation:
    """The records that one load has written: an object for each of its `buckets`, a power of two."""

    load_id: str
    buckets: int


@dataclass(frozen=True)
class Progress:
    """How far incremental loads have come: the highest value of a column among the rows of one query.

    `query` is the digest of the query's text, `highest` the value as Redshift writes it.
    """

    column: str
    query: str
    highest: str


@dataclass(frozen=True)
class TableState:
    """What is noted of the table that was made at `made`.

    It holds what `current` says, save what the loads in `begun`, oldest first, may have changed since: they have not
    succeeded. `keys` is the number of keys in the current records. If `digests_hold` is false, something has changed
    items since without noting them, or the encoder that made them wrote otherwise: then only the keys are of use.
    `key_form` is what the text and the hash of a key depend on, `encoder` the version of the encoder that made the
    digests.
    """

    made: str
    key_form: str
    encoder: int
    current: Generation | None = None
    begun: tuple[Generation, ...] = ()
    keys: int = 0
    digests_hold: bool = True
    progress: Progress | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` made of one."""
        progress = document["progress"]
        return cls(**{**document, **generations(document), "progress": progress and Progress(**progress)})


def generations(document: Mapping[str, Any]) -> dict[str, Any]:
    """Read the `current` and the `begun` generations of what has both, as `dataclasses.asdict` made them."""
    current = document["current"]
    return {
        "current": current and Generation(**current),
        "begun": tuple(Generation(**generation) for generation in document["begun"]),
    }


class TableStates:
    """The row of the target table `table` in `ledger_table`, as the execution `execution_arn` reads and writes it.

    Every call raises AwsUnavailable and AwsRefused.
    """

    def __init__(self, dynamodb: DynamoDBClient, ledger_table: str, table: str, execution_arn: str) -> None:
        self._dynamodb, self._ledger_table, self._table = dynamodb, ledger_table, table
        self._key: dict[str, AttributeValueTypeDef] = {"loadId": {"S": f"table#{table}"}, "entry": {"S": _ENTRY}}
        self._lock = TableLock(dynamodb, ledger_table, table, execution_arn)
        self._version = 0

    def read(self, *, anew: bool = False) -> TableState | None:
        """Return what is noted of the table, or None; raises RecordUnreadable, but not for a load that begins `anew`.

        To that, what can't be read is nothing, and `write` replaces it.
        """
        self._version, text = self._row()
        if not self._version:
            return None
        try:
            document = json.loads(text)
            if document["format"] == _FORMAT:
                return TableState.from_json(document["state"])
            found = f"has the format {document['format']}, this code writes {_FORMAT}"
        except (ValueError, LookupError, TypeError) as error:
            found = f"is damaged ({type(error).__name__})"
        if anew:
            return None
        raise RecordUnreadable(
            'give "full": true (with "mode": "changes" or "mirror"), which writes all rows and notes them anew: '
            f"what is noted of table {self._table} {found}."
        )

    def write(self, state: TableState) -> None:
        """Replace what was read, if it is still there and the table is this execution's; doing it twice does no harm.

        Raises TableIsBeingLoaded if it is another's.
        """
        text = json.dumps({"format": _FORMAT, "state": asdict(state)})
        with named_failures():
            try:
                self._dynamodb.transact_write_items(
                    TransactItems=[{"ConditionCheck": self._lock.condition()}, {"Put": self._replacement(text)}]
                )
            except self._dynamodb.exceptions.TransactionCanceledException as error:
                self._lock.check()
                if self._row() != (self._version + 1, text):
                    raise AwsUnavailable(
                        f"what is noted of table {self._table} was changed meanwhile, try again later: {error}"
                    ) from error
        self._version += 1

    def _replacement(self, text: str) -> PutTypeDef:
        return {
            "TableName": self._ledger_table,
            "Item": self._key | {"state": {"S": text}, "version": {"N": str(self._version + 1)}},
            "ConditionExpression": "attribute_not_exists(#version) OR #version = :read",
            "ExpressionAttributeNames": {"#version": "version"},
            "ExpressionAttributeValues": {":read": {"N": str(self._version)}},
        }

    def _row(self) -> tuple[int, str]:
        """The row's version and text; 0 if there is none."""
        with named_failures():
            answer = self._dynamodb.get_item(TableName=self._ledger_table, Key=self._key, ConsistentRead=True)
        row = answer.get("Item")
        return (int(row["version"]["N"]), row["state"]["S"]) if row else (0, "")
