"""The lean signer against botocore's own."""

from __future__ import annotations

from datetime import UTC, datetime

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import CredentialProvider, CredentialResolver, Credentials
from hypothesis import given
from hypothesis import strategies as st

from dynamo_load.errors import CredentialsUnavailable
from dynamo_load.writing.signing import BatchWriteSigner

TEXT = st.text(st.characters(codec="ascii", exclude_categories=["C", "Z"]), min_size=1, max_size=60)


def session_of(access_key: str, secret_key: str, token: str | None) -> botocore.session.Session:
    session = botocore.session.Session()
    session.set_credentials(access_key, secret_key, token)
    return session


def as_mapping(lines: list[bytes]) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.decode().partition(":") for line in lines)}


def signed_by_botocore(url: str, body: bytes, headers: dict[str, str], credentials: Credentials, region: str) -> str:
    """The Authorization header that botocore gives a request with the same signed headers at the same time."""
    signed = {name: headers[name] for name in ("content-type", "x-amz-target")}
    request = AWSRequest(method="POST", url=url, data=body, headers=signed)
    request.headers["X-Amz-Date"] = request.context["timestamp"] = headers["x-amz-date"]
    if credentials.token:
        request.headers["X-Amz-Security-Token"] = credentials.token
    auth = SigV4Auth(credentials, "dynamodb", region)
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    names = auth.signed_headers(auth.headers_to_sign(request))
    return f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={names}, Signature={signature}"


@given(
    body=st.binary(max_size=300),
    access_key=TEXT,
    secret_key=st.text(min_size=1, max_size=60),
    token=st.none() | TEXT,
    region=st.sampled_from(["us-east-1", "eu-central-1", "cn-north-1"]),
    url=st.sampled_from(
        [
            "https://dynamodb.us-east-1.amazonaws.com",
            "http://127.0.0.1:4566",
            "https://vpce-1.example:8443/",
            "http://h:80/",
        ]
    ),
    seconds=st.integers(0, 4_000_000_000),
)
def test_a_signature_equals_botocores(
    body: bytes, access_key: str, secret_key: str, token: str | None, region: str, url: str, seconds: int
) -> None:
    signer = BatchWriteSigner(
        session_of(access_key, secret_key, token), endpoint_url=url, region=region, clock=lambda: seconds
    )
    headers = as_mapping(signer.headers(body))
    assert headers["x-amz-date"] == datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")
    expected = signed_by_botocore(url, body, headers, Credentials(access_key, secret_key, token), region)
    assert headers["Authorization"] == expected


def test_the_signature_follows_the_clock_across_midnight_and_new_credentials() -> None:
    moments = iter([datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)])
    credentials = Credentials("FIRST", "secret", "token")
    session = session_of("", "", None)
    session._credentials = credentials  # type: ignore[attr-defined]
    signer = BatchWriteSigner(session, endpoint_url="https://x", region="r", clock=lambda: next(moments).timestamp())
    for key, date in (("FIRST", "20261231T235959Z"), ("SECOND", "20270101T000000Z")):
        credentials.access_key = key
        headers = as_mapping(signer.headers(b"{}"))
        assert headers["x-amz-date"] == date
        assert headers["Authorization"] == signed_by_botocore("https://x", b"{}", headers, credentials, "r")


def test_renewed_credentials_sign_the_very_next_request() -> None:
    session = session_of("EXPIRED", "secret", "token")
    signer = BatchWriteSigner(session, endpoint_url="https://x", region="r", clock=lambda: 1_800_000_000.0)
    assert "Credential=EXPIRED/" in as_mapping(signer.headers(b"{}"))["Authorization"]
    session.register_component("credential_provider", CredentialResolver([Fresh()]))

    signer.renew_credentials()

    assert "Credential=FRESH/" in as_mapping(signer.headers(b"{}"))["Authorization"]


class Fresh(CredentialProvider):
    METHOD = CANONICAL_NAME = "test"

    def load(self) -> Credentials:
        return Credentials("FRESH", "secret", "token")


def test_missing_credentials_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    session = botocore.session.Session()
    monkeypatch.setattr(session, "get_credentials", lambda: None)
    with pytest.raises(CredentialsUnavailable, match="no AWS credentials were found"):
        BatchWriteSigner(session, endpoint_url="https://x", region="r")
