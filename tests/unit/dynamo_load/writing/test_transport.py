"""Batches written over real sockets to a sink that fails as DynamoDB and networks do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import ClassVar

import botocore.session
import pytest
from botocore.credentials import CredentialProvider, CredentialResolver, Credentials

from dynamo_load.errors import CredentialsUnavailable, DynamoDbRefused, EndpointNotTrusted, WritesStalled
from dynamo_load.writing.batches import Batch
from dynamo_load.writing.common_pace import CommonPace
from dynamo_load.writing.ledger_client import ledger_client
from local.dynamodb_sink import DynamoDbSink, SinkBehaviour
from local.dynamodb_sink.capacity import TableCapacity
from tests.unit.dynamo_load.conftest import Stage
from tests.unit.dynamo_load.writing.conftest import Writer

WriteTo = Callable[..., Writer]

NOTHING_STORED = {
    "throttles": SinkBehaviour(key="pk", strict=True, throttled_share=0.3),
    "server errors": SinkBehaviour(key="pk", strict=True, error_share=0.3),
    "resets": SinkBehaviour(key="pk", strict=True, reset_share=0.3),
    "unprocessed items": SinkBehaviour(key="pk", strict=True, unprocessed_share=0.3),
}
STORED_BUT_NOT_SAID = {
    "lost answers": SinkBehaviour(key="pk", strict=True, lost_answer_share=0.3),
    "truncated answers": SinkBehaviour(key="pk", strict=True, truncated_share=0.3),
    "wrong checksums": SinkBehaviour(key="pk", strict=True, bad_crc_share=0.3),
}
NOTHING_EVER_STORED = {
    "throttles": SinkBehaviour(throttled_share=1.0),
    "server errors": SinkBehaviour(error_share=1.0),
    "resets": SinkBehaviour(reset_share=1.0),
    "unprocessed items": SinkBehaviour(unprocessed_share=1.0),
}


def reported_once(writer: Writer) -> bool:
    return sorted(batch.last_row for batch in writer.written) == [batch.last_row for batch in writer.pulled]


def expected_keys(rows: int) -> set[str]:
    return {f"row-{number}" for number in range(rows)}


def test_every_row_is_stored_once_and_every_batch_reported_once(write_to: WriteTo) -> None:
    with DynamoDbSink(SinkBehaviour(key="pk", strict=True)) as sink:
        writer = write_to(sink)
        total = 0
        for rows in (0, 1, 24, 25, 26, 2_000):
            writer.send(rows, first=total)
            total += rows
            assert sink.stored() == dict.fromkeys(expected_keys(total), 1)
        assert sink.report().violations == []
    assert reported_once(writer)


@pytest.mark.parametrize("fault", NOTHING_STORED)
def test_what_was_not_stored_is_sent_again_and_nothing_else(write_to: WriteTo, fault: str) -> None:
    with DynamoDbSink(NOTHING_STORED[fault]) as sink:
        writer = write_to(sink)
        writer.send(1_010)
        assert sink.stored() == dict.fromkeys(expected_keys(1_010), 1)
        assert sink.report().violations == []
        assert sink.report().rows_received > 1_010, "the sink did not fail"
    assert reported_once(writer)


@pytest.mark.parametrize("fault", STORED_BUT_NOT_SAID)
def test_what_may_not_be_stored_is_sent_again_and_reported_once(write_to: WriteTo, fault: str) -> None:
    with DynamoDbSink(STORED_BUT_NOT_SAID[fault]) as sink:
        writer = write_to(sink)
        writer.send(510)
        assert set(sink.stored()) == expected_keys(510)
        assert sink.report().keys_stored_again > 0, "the sink did not fail"
    assert reported_once(writer)


def test_no_row_is_lost_when_everything_goes_wrong_at_once(write_to: WriteTo) -> None:
    behaviour = SinkBehaviour(
        key="pk",
        strict=True,
        latency_seconds=0.003,
        unprocessed_share=0.3,
        throttled_share=0.05,
        error_share=0.05,
        reset_share=0.05,
        lost_answer_share=0.05,
        truncated_share=0.05,
        bad_crc_share=0.05,
    )
    with DynamoDbSink(behaviour) as sink:
        writer = write_to(sink)
        writer.send(1_000, text='quote " backslash \\ newline \n ,{"PutRequest":{ umlaut ä')
        assert set(sink.stored()) == expected_keys(1_000)
        assert sink.report().violations == []
    assert reported_once(writer)


def test_unprocessed_rows_are_sent_again_as_they_were(write_to: WriteTo) -> None:
    text = 'quote " backslash \\ newline \n umlaut ä null \x00 beyond 😀'
    with DynamoDbSink(SinkBehaviour(unprocessed_share=0.5)) as sink:
        write_to(sink).send(500, text=text)
        report = sink.report()
    bytes_per_row = len(json.dumps({"S": text}, ensure_ascii=False).encode())
    assert report.rows_stored == 500
    assert report.answers["unprocessed"] > 0
    assert report.request_bytes >= report.rows_received * bytes_per_row


def test_a_request_that_is_never_answered_is_sent_again(write_to: WriteTo) -> None:
    with DynamoDbSink(SinkBehaviour(key="pk", silent_share=0.5)) as sink:
        writer = write_to(sink, request_seconds=0.2)
        writer.send(200)
        assert set(sink.stored()) == expected_keys(200)
    assert writer.rows_written == 200


def test_an_answer_may_arrive_in_parts(write_to: WriteTo) -> None:
    with DynamoDbSink(SinkBehaviour(key="pk", in_parts=True, unprocessed_share=0.2)) as sink:
        writer = write_to(sink)
        writer.send(500)
        assert sink.stored() == dict.fromkeys(expected_keys(500), 1)
    assert writer.rows_written == 500


def test_requests_of_megabytes_go_through(write_to: WriteTo) -> None:
    with DynamoDbSink(SinkBehaviour(key="pk")) as sink:
        writer = write_to(sink)
        writer.send(50, text="x" * 390_000)
        assert sink.stored() == dict.fromkeys(expected_keys(50), 1)


def test_plain_http_is_spoken_where_the_endpoint_says_so(write_to: WriteTo) -> None:
    with DynamoDbSink(SinkBehaviour(tls=False, key="pk", reset_share=0.1)) as sink:
        write_to(sink).send(500)
        assert sink.stored() == dict.fromkeys(expected_keys(500), 1)


def test_connections_are_kept_from_request_to_request(write_to: WriteTo) -> None:
    with DynamoDbSink() as sink:
        writer = write_to(sink, max_in_flight=4)
        writer.send(5_000)
        writer.send(5_000)
        report = sink.report()
    assert report.requests == 400
    assert report.connections <= 4 + 1, "four of the writer, one that asks for the report"


def test_an_untrusted_certificate_ends_the_load(write_to: WriteTo, monkeypatch: pytest.MonkeyPatch) -> None:
    with DynamoDbSink() as sink, DynamoDbSink() as other:
        sink.ca_bundle = other.ca_bundle
        with pytest.raises(EndpointNotTrusted, match="AWS_CA_BUNDLE"):
            write_to(sink).send(25)


TOO_LARGE = ("ValidationException", "Item size has exceeded the maximum allowed size")


@pytest.mark.parametrize("refused", [{0}, {24}, {7, 8}, {3, 26, 60}, set(range(25))])
def test_a_refusal_costs_the_refused_rows_and_no_other(write_to: WriteTo, refused: set[int]) -> None:
    keys = tuple(f"row-{number}" for number in refused)
    behaviour = SinkBehaviour(key="pk", strict=True, refusal=TOO_LARGE, refused_keys=keys)
    with DynamoDbSink(behaviour) as sink:
        writer = write_to(sink)
        writer.send(61)
        assert sink.stored() == dict.fromkeys(expected_keys(61) - set(keys), 1)
        assert sink.report().violations == []
        assert sink.report().requests <= 3 + 2 * len(refused) * 5
    assert writer.refused == dict.fromkeys(keys, ": ".join(TOO_LARGE))
    assert writer.write_units == writer.rows_written == 61 - len(refused)
    assert reported_once(writer)


@pytest.mark.parametrize("code", ["ItemCollectionSizeLimitExceededException", "SerializationException"])
def test_other_refusals_of_one_item_cost_that_item_alone(write_to: WriteTo, code: str) -> None:
    with DynamoDbSink(SinkBehaviour(key="pk", refusal=(code, "no"), refused_keys=("row-5",))) as sink:
        writer = write_to(sink)
        writer.send(25)
    assert writer.refused == {"row-5": f"{code}: no"}
    assert writer.rows_written == 24


def test_refused_rows_are_found_when_everything_else_goes_wrong_as_well(write_to: WriteTo) -> None:
    keys = tuple(f"row-{number}" for number in range(0, 500, 33))
    behaviour = SinkBehaviour(
        key="pk",
        strict=True,
        refusal=TOO_LARGE,
        refused_keys=keys,
        refused_share=0.9,
        unprocessed_share=0.3,
        throttled_share=0.05,
        error_share=0.05,
        reset_share=0.05,
        lost_answer_share=0.05,
        bad_crc_share=0.05,
    )
    text = 'quote " backslash \\ newline \n ,{"PutRequest":{ umlaut ä'
    with DynamoDbSink(behaviour) as sink:
        writer = write_to(sink)
        writer.send(500, text=text)
        assert set(sink.stored()) >= expected_keys(500) - set(keys)
        assert sink.report().violations == []
    assert writer.refused.keys() <= set(keys)
    assert writer.refused
    assert reported_once(writer)


def test_a_batch_with_nothing_but_refused_rows_is_no_stall(write_to: WriteTo) -> None:
    with DynamoDbSink(SinkBehaviour(refusal=TOO_LARGE)) as sink:
        writer = write_to(sink)
        writer.send(25)
        assert sink.report().requests == 2 * 25 - 1
    assert len(writer.refused) == 25


def test_nothing_of_a_batch_is_reported_while_a_part_of_it_is_still_to_be_sent(write_to: WriteTo) -> None:
    with DynamoDbSink(SinkBehaviour(key="pk", refusal=TOO_LARGE, refused_keys=("row-3",))) as sink:
        writer = write_to(sink, seconds_left=lambda: 60.0 if sink.report().answers.get("refused", 0) < 4 else 0.0)
        writer.send(25)
    assert writer.done == []


def test_a_refusal_is_told_in_dynamodbs_words_without_the_rows_contents(write_to: WriteTo) -> None:
    message = "The parameter cannot be converted to a numeric value: geheim und privat"
    with DynamoDbSink(SinkBehaviour(refusal=("ValidationException", message))) as sink:
        writer = write_to(sink)
        writer.send(1, text="geheim und privat")
    assert list(writer.refused.values()) == [
        "ValidationException: The parameter cannot be converted to a numeric value: …"
    ]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDeniedException", "not yours: geheim"),
        ("ResourceNotFoundException", "no such table: geheim"),
        ("ValidationException", "The provided key element does not match the schema: geheim"),
        ("ValidationException", "Provided list of item keys contains duplicates: geheim"),
    ],
)
def test_what_is_refused_to_all_rows_alike_ends_the_load_at_once(write_to: WriteTo, code: str, message: str) -> None:
    with DynamoDbSink(SinkBehaviour(refusal=(code, message))) as sink:
        writer = write_to(sink, max_in_flight=1)
        with pytest.raises(DynamoDbRefused) as refused:
            writer.send(100, text="geheim")
        assert sink.report().requests == 1, "a refused request is not sent again"
    assert f"{code}: {message.replace('geheim', '…')}" in str(refused.value)
    assert writer.done == []


class Provider(CredentialProvider):
    """Hands out credentials one after the other, the last one for ever."""

    METHOD = CANONICAL_NAME = "test"

    def __init__(self, *access_keys: str) -> None:
        self._access_keys = list(access_keys)

    def load(self) -> Credentials:
        key = self._access_keys.pop(0) if len(self._access_keys) > 1 else self._access_keys[0]
        return Credentials(key, "secret", "token")


def session_with(*access_keys: str) -> botocore.session.Session:
    session = botocore.session.Session()
    session.set_config_variable("region", "eu-central-1")
    session.register_component("credential_provider", CredentialResolver([Provider(*access_keys)]))
    return session


def test_expired_credentials_are_renewed_and_the_rows_sent_again(write_to: WriteTo) -> None:
    with DynamoDbSink(SinkBehaviour(key="pk", expired_access_key="EXPIRED", latency_seconds=0.02)) as sink:
        writer = write_to(sink, session=session_with("EXPIRED", "FRESH"))
        writer.send(1_000)
        assert sink.stored() == dict.fromkeys(expected_keys(1_000), 1)
        assert sink.report().answers["expired"] > 0


def test_an_answer_that_comes_late_does_not_have_new_credentials_renewed_again(write_to: WriteTo) -> None:
    """Requests are served one after the other, so all but the first are refused after the credentials were renewed."""
    behaviour = SinkBehaviour(key="pk", expired_access_key="EXPIRED", latency_seconds=0.05, parallel=1)
    with DynamoDbSink(behaviour) as sink:
        write_to(sink, session=session_with("EXPIRED", "FRESH")).send(100)
        assert sink.stored() == dict.fromkeys(expected_keys(100), 1)
        assert sink.report().answers["expired"] == 4


def test_expired_credentials_without_newer_ones_end_the_load(write_to: WriteTo) -> None:
    with DynamoDbSink(SinkBehaviour(expired_access_key="EXPIRED")) as sink:
        writer = write_to(sink, session=session_with("EXPIRED"))
        with pytest.raises(CredentialsUnavailable, match="expired"):
            writer.send(1_000)


class Pauses:
    """Takes the place of chance: notes from what each pause is drawn, and lets it be none."""

    def __init__(self) -> None:
        self.longest: list[float] = []

    def uniform(self, shortest: float, longest: float) -> float:
        assert shortest == 0
        self.longest.append(longest)
        return 0.0


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    pauses = Pauses()
    monkeypatch.setattr("random.uniform", pauses.uniform)
    return pauses


@pytest.mark.parametrize("fault", NOTHING_EVER_STORED)
def test_pauses_grow_with_every_attempt_in_vain(write_to: WriteTo, pauses: Pauses, fault: str) -> None:
    with DynamoDbSink(NOTHING_EVER_STORED[fault]) as sink:
        writer = write_to(sink, seconds_left=lambda: 60.0 if len(pauses.longest) < 10 else 0.0)
        with pytest.raises(WritesStalled):
            writer.send(25)
    assert pauses.longest == [0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_pauses_begin_anew_when_a_part_was_stored(write_to: WriteTo, pauses: Pauses) -> None:
    with DynamoDbSink(SinkBehaviour(unprocessed_share=0.5)) as sink:
        write_to(sink).send(25)
    assert len(pauses.longest) > 2
    assert set(pauses.longest[:2]) == {0.025}


def test_near_the_deadline_pulling_stops_and_what_was_pulled_is_finished(write_to: WriteTo) -> None:
    with DynamoDbSink(SinkBehaviour(key="pk", latency_seconds=0.02, unprocessed_share=0.2)) as sink:
        writer: Writer = write_to(sink, seconds_left=lambda: 60.0 if len(writer.pulled) < 40 else 1.0)
        writer.send(10_000_000)
        stored = sink.stored()
    assert len(writer.pulled) == 40
    assert reported_once(writer)
    assert stored == dict.fromkeys(expected_keys(1_000), 1)


def test_at_the_deadline_what_was_not_answered_is_not_reported(write_to: WriteTo) -> None:
    with DynamoDbSink(SinkBehaviour(key="pk", silent_share=0.3)) as sink:
        writer: Writer = write_to(sink, seconds_left=lambda: 60.0 if len(writer.written) < 8 else 0.0)
        writer.send(10_000_000)
        stored = sink.stored()
    assert 8 <= len(writer.written) < len(writer.pulled)
    assert {f"row-{batch.last_row}" for batch in writer.written} <= set(stored)


def test_nothing_is_pulled_when_the_deadline_is_already_near(write_to: WriteTo) -> None:
    with DynamoDbSink() as sink:
        writer = write_to(sink, seconds_left=lambda: 0.5)
        writer.send(100)
        assert sink.report().requests == 0
    assert writer.pulled == []


@pytest.mark.parametrize("fault", NOTHING_EVER_STORED)
def test_a_table_that_takes_nothing_until_the_deadline_is_an_error(write_to: WriteTo, fault: str) -> None:
    with DynamoDbSink(NOTHING_EVER_STORED[fault]) as sink:
        writer: Writer = write_to(
            sink, max_in_flight=6, seconds_left=lambda: 60.0 if sink.report().requests < 12 else 0.0
        )
        with pytest.raises(WritesStalled, match="nothing could be written to reviews before the deadline"):
            writer.send(10_000)
    assert writer.written == []
    assert len(writer.pulled) <= 2 * 6, "as many as may be in flight, and as many that wait to be sent again"


def test_the_units_reported_are_those_that_dynamodb_charged(write_to: WriteTo) -> None:
    with DynamoDbSink(SinkBehaviour(unprocessed_share=0.3)) as sink:
        writer = write_to(sink)
        writer.transport.send(
            (replace(batch, write_units=1_000) for batch in source(500)), writer.done.append, writer.wait
        )
    assert writer.write_units == pytest.approx(500)


def test_the_estimated_units_are_reported_where_dynamodb_tells_none(write_to: WriteTo) -> None:
    with DynamoDbSink(SinkBehaviour(unprocessed_share=0.3, consumed_capacity=False)) as sink:
        writer = write_to(sink)
        writer.send(500)
    assert writer.write_units == pytest.approx(500)


def test_an_error_of_the_source_is_raised_and_the_transport_stays_usable(write_to: WriteTo) -> None:
    def broken() -> Iterator[Batch]:
        yield from source(100)
        raise ValueError("corrupt file")

    with DynamoDbSink(SinkBehaviour(key="pk", latency_seconds=0.01)) as sink:
        writer = write_to(sink)
        with pytest.raises(ValueError, match="corrupt file"):
            writer.transport.send(broken(), writer.done.append, writer.wait)
        writer.done.clear()
        writer.send(500, first=1_000)
    assert reported_once(writer), "what was in flight when the source failed is no longer reported"


def test_requests_in_flight_grow_to_the_most_allowed_while_latency_holds(write_to: WriteTo) -> None:
    with DynamoDbSink(SinkBehaviour(latency_seconds=0.05)) as sink:
        write_to(sink, max_in_flight=24).send(5_000)
        assert sink.report().most_in_flight >= 20


def test_requests_in_flight_stay_few_where_more_would_only_queue(write_to: WriteTo) -> None:
    # Long beside what a busy machine adds to it, which would make the best latency of all a bad one.
    with DynamoDbSink(SinkBehaviour(latency_seconds=0.1, parallel=4)) as sink:
        write_to(sink, max_in_flight=128).send(8_000)
        assert sink.report().most_in_flight < 64


def test_a_table_that_throttles_gets_hardly_more_rows_than_it_takes(write_to: WriteTo) -> None:
    capacity = TableCapacity("pk", partitions=8)
    with DynamoDbSink(SinkBehaviour(key="pk", latency_seconds=0.005, capacity=capacity)) as sink:
        writer = write_to(sink, max_in_flight=64)
        writer.send(30_000)
        report = sink.report()
        assert report.keys == 30_000
        assert report.keys_stored_again == 0
        assert writer.transport.throttling.rows == report.rows_received - 30_000 > 0
    assert writer.transport.throttling.seconds > 0
    assert report.rows_received < 1.3 * 30_000
    assert reported_once(writer)


def test_a_loader_can_begin_with_what_the_table_is_known_to_take(write_to: WriteTo) -> None:
    capacity = TableCapacity("pk", partitions=1, units_per_partition=1_000, burst_seconds=0.2)
    with DynamoDbSink(SinkBehaviour(key="pk", capacity=capacity)) as sink:
        writer = write_to(sink, first_rate=400.0, headroom=0.2)
        writer.send(300)
        assert sink.report().rows_received == 300
        write_to(sink).send(600, first=300)
        assert sink.report().rows_received > 900, "the table takes more than that"
    assert reported_once(writer)


def test_it_begins_with_what_another_loader_has_found_if_one_has(write_to: WriteTo, stage: Stage) -> None:
    def pace() -> CommonPace:
        return CommonPace(ledger_client(stage.aws.session), stage.ledger_table, "monday", 2)

    pace().meet(400.0)
    capacity = TableCapacity("pk", partitions=1, units_per_partition=1_000, burst_seconds=0.2)
    with DynamoDbSink(SinkBehaviour(key="pk", capacity=capacity)) as sink:
        write_to(sink, first_rate=1_000_000.0, headroom=0.2, common_pace=pace()).send(300)
        assert sink.report().rows_received == 300


@pytest.mark.parametrize("few_keys", [False, True])
def test_loaders_agree_on_a_pace_unless_a_hot_key_is_the_limit(write_to: WriteTo, *, few_keys: bool) -> None:
    class Meetings:
        rates: ClassVar[list[float]] = []

        def known(self) -> None:
            return None

        def meet(self, rate: float) -> float:
            self.rates.append(rate)
            return rate

    Meetings.rates.clear()
    capacity = TableCapacity("pk", partitions=2, burst_seconds=0.5)
    with DynamoDbSink(SinkBehaviour(latency_seconds=0.005, capacity=capacity)) as sink:
        writer = write_to(sink, common_pace=Meetings())
        batches = (replace(batch, few_keys=few_keys) for batch in source(3_000))
        writer.transport.send(batches, writer.done.append, writer.wait)
    assert bool(Meetings.rates) is not few_keys


def test_rows_of_several_requests_that_were_left_go_together(write_to: WriteTo) -> None:
    with DynamoDbSink(SinkBehaviour(key="pk", strict=True, unprocessed_share=0.04, latency_seconds=0.005)) as sink:
        writer = write_to(sink)
        writer.send(10_000)
        report = sink.report()
        assert sink.stored() == dict.fromkeys(expected_keys(10_000), 1)
        assert report.violations == []
    # Nearly two of three batches are left with a row or two.
    assert report.answers["unprocessed"] > 150
    # Alone, each of them would take a request of its own.
    assert report.requests - 400 < 0.8 * report.answers["unprocessed"]
    assert reported_once(writer)


def test_a_row_that_is_refused_among_rows_of_several_requests_is_found(write_to: WriteTo) -> None:
    refused = {f"row-{number}" for number in (3, 1_026, 2_500)}
    behaviour = SinkBehaviour(
        key="pk", latency_seconds=0.005, unprocessed_share=0.3, refusal=TOO_LARGE, refused_keys=tuple(refused)
    )
    with DynamoDbSink(behaviour) as sink:
        writer = write_to(sink)
        writer.send(5_000)
        assert sink.stored().keys() == expected_keys(5_000) - refused
    assert writer.refused.keys() == refused
    assert reported_once(writer)


def test_a_refused_request_of_several_batches_is_taken_apart_and_no_batch_forgotten(write_to: WriteTo) -> None:
    keys = {f"row-{number}" for number in range(0, 3_000, 10)}
    behaviour = SinkBehaviour(
        key="pk",
        latency_seconds=0.005,
        unprocessed_share=0.2,
        refusal=TOO_LARGE,
        refused_keys=tuple(keys),
        refused_share=0.3,
    )
    with DynamoDbSink(behaviour) as sink:
        writer = write_to(sink)
        writer.send(3_000)
        assert sink.stored().keys() | writer.refused.keys() == expected_keys(3_000)
        assert sink.stored().keys() >= expected_keys(3_000) - keys
    assert writer.refused.keys() <= keys
    assert reported_once(writer)


def test_the_caller_is_asked_every_second_while_there_is_nothing_to_do(write_to: WriteTo) -> None:
    class StoppedError(Exception):
        pass

    def stop() -> None:
        raise StoppedError

    with DynamoDbSink(SinkBehaviour(silent_share=1.0)) as sink:
        writer = write_to(sink)
        with pytest.raises(StoppedError):
            writer.transport.send(source(25), writer.done.append, stop)


def test_waiting_for_answers_takes_no_processor_time(write_to: WriteTo) -> None:
    with DynamoDbSink(SinkBehaviour(tls=False, latency_seconds=1.0)) as sink:
        writer = write_to(sink)
        before = time.process_time()
        writer.send(25)
        assert time.process_time() - before < 0.1


def source(rows: int) -> Iterator[Batch]:
    numbers = count()
    for number in numbers:
        if number * 25 >= rows:
            return
        items = ",".join(f'{{"PutRequest":{{"Item":{{"pk":{{"S":"row-{number * 25 + row}"}}}}}}}}' for row in range(25))
        yield Batch(items.encode(), 25, 25, number * 25 + 24, deletes=False, few_keys=False)
