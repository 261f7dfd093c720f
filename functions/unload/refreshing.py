"""What a load with buckets is compared with: settled once, by what is noted of the table, and passed on in the plan."""

from dynamo_load.encoding import ENCODER_VERSION
from dynamo_load.plan import Refresh
from records.table_state import TableState, TableStates
from target.table import TargetTable
from unload.asked import AskedLoad
from unload.errors import EmptyResult, FullLoadNeeded
from unload.request import LoadRequest


def refuse_empty(request: LoadRequest, rows: int) -> None:
    """Raise EmptyResult if the load would delete every item, as the query returned no rows, unless that is allowed."""
    if request.mode == "mirror" and not rows and request.deletes_allowed < 1:
        raise EmptyResult(
            "mend the query, which returned no rows, so that every item would be deleted; if that is meant, give "
            '"deletes_allowed": 1.'
        )


def refresh_of(asked: AskedLoad, target: TargetTable, states: TableStates, key_form: str | None) -> Refresh | None:
    """Read which records tell what the table holds, and whether they tell rows that are unchanged; None: no buckets.

    `key_form` is None if the query returned no rows: then it is the state's. Raises RecordUnreadable, unless the load
    begins anew, and FullLoadNeeded.
    """
    request, buckets = asked.request, asked.buckets
    if buckets is None:
        return None
    state = states.read(anew=request.forgets)
    unknown = _nothing_is_known_because(request, target, state, key_form)
    if unknown and asked.newer_than:
        raise FullLoadNeeded(f'give "full": true, as only newer rows were unloaded, but {unknown}.')
    known = None if unknown else state
    outdated = _digests_are_outdated_because(known) if known else None
    return Refresh(
        buckets=buckets,
        key_form=key_form or (known.key_form if known else ""),
        current=known.current if known else None,
        begun=known.begun if known else (),
        digests_hold=outdated is None,
        full_because=unknown or outdated,
        deletes=request.mode == "mirror",
        deletes_allowed=request.deletes_allowed if request.mode == "mirror" else 0.0,
    )


def _nothing_is_known_because(
    request: LoadRequest, target: TargetTable, state: TableState | None, key_form: str | None
) -> str | None:
    if request.forgets:
        return f"the input says {'full' if request.full else 'unique'}"
    if state is None or not (state.current or state.begun):
        return "no load has noted yet what the table holds"
    if state.made != target.made:
        return "the table was made anew since the last load"
    if key_form not in {None, state.key_form}:
        return (
            "the columns of the key have other types than in the last load, or this version writes keys in another way"
        )
    return None


def _digests_are_outdated_because(state: TableState) -> str | None:
    if not state.digests_hold:
        return "a load in mode upsert, or a full one that failed, has changed the table since"
    if state.encoder != ENCODER_VERSION:
        return "this version of the application writes items in another way"
    return None
