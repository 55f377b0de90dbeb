"""What S3 checks of a presigned URL, by Amazon's own signer. moto's server checks none of it."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

SIGNATURE = "X-Amz-Signature"
DATE_FORMAT = "%Y%m%dT%H%M%SZ"


def refusal(url: str, method: str, secrets: dict[str, str], now: datetime) -> str | None:
    """Return why S3 would not answer a presigned URL, or None when it would.

    Args:
        url: As the client asks for it.
        method: Of the client's request.
        secrets: The secret key of every access key.
        now: The server's time.
    """
    parameters = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    if parameters.keys() < {SIGNATURE, "X-Amz-Date", "X-Amz-Expires", "X-Amz-Credential"}:
        return "not signed"
    if not _is_signed(url, method, parameters, secrets):
        return "wrong signature"
    signed_at = datetime.strptime(parameters["X-Amz-Date"], DATE_FORMAT).replace(tzinfo=UTC)
    if now >= signed_at + timedelta(seconds=int(parameters["X-Amz-Expires"])):
        return "expired"
    return None


def _is_signed(url: str, method: str, parameters: dict[str, str], secrets: dict[str, str]) -> bool:
    access_key, _, region, service, _ = parameters["X-Amz-Credential"].split("/")
    if access_key not in secrets:
        return False
    credentials = Credentials(access_key, secrets[access_key])
    auth = S3SigV4QueryAuth(credentials, service, region, int(parameters["X-Amz-Expires"]))
    request = AWSRequest(method, _without_signature(url))
    request.context["timestamp"] = parameters["X-Amz-Date"]
    canonical = auth.canonical_request(request)
    expected = auth.signature(auth.string_to_sign(request, canonical), request)
    return bool(expected == parameters[SIGNATURE])


def _without_signature(url: str) -> str:
    parts = urlsplit(url)
    signed = [(name, value) for name, value in parse_qsl(parts.query) if name != SIGNATURE]
    return urlunsplit(parts._replace(query=urlencode(signed)))
