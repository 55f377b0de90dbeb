"""A configuration becomes a folder or a bucket, or is refused in one line.

Google's and Microsoft's buckets are opened and their URLs checked without a network: nothing here
proves that the clouds accept them.
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from obstore.store import AzureStore, GCSStore, LocalStore, S3Store

from serve_app.config import StorageConfig
from serve_app.errors import ConfigError
from serve_app.storage.names import ObjectName
from serve_app.storage.objects import open_objects
from serve_app.storage.store import ImageStore

NAME = str(ObjectName.new("png", 1_800_000_000))
AZURE_KEY = base64.b64encode(b"k" * 64).decode()
S3_OPTIONS = {"region": "eu-central-1", "access_key_id": "id", "secret_access_key": "s3cret"}


def test_without_a_bucket_it_is_the_folder(folder_config: StorageConfig) -> None:
    assert isinstance(open_objects(folder_config), LocalStore)


def test_only_the_owner_can_list_the_folder(folder_config: StorageConfig) -> None:
    open_objects(folder_config)
    assert folder_config.directory.stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"storage\.directory .*/file/media: Not a directory"):
        open_objects(StorageConfig(directory=tmp_path / "file" / "media"))


@pytest.mark.parametrize(
    ("bucket", "options", "kind"),
    [
        ("s3://pictures/krea", S3_OPTIONS, S3Store),
        ("gs://pictures/krea", {}, GCSStore),
        ("az://pictures/krea", {"account_name": "acct", "account_key": AZURE_KEY}, AzureStore),
    ],
)
def test_the_scheme_says_which_cloud(
    bucket: str, options: dict[str, str], kind: type[S3Store | GCSStore | AzureStore]
) -> None:
    opened = open_objects(StorageConfig(bucket=bucket, bucket_options=options))
    assert isinstance(opened, kind)
    assert opened.prefix == "krea"


@pytest.mark.parametrize(
    ("bucket", "options", "reason"),
    [
        ("s3://pictures", {"planet": "x"}, "'planet' is not valid for store 'S3'"),
        ("s3://pictures", {"access_key_id": "id"}, "Missing SecretAccessKey"),
        ("s3://pictures", {"virtual_hosted_style_request": "maybe"}, "maybe"),
        ("gs://pictures", {"service_account_key": '{"private": "s3cret"}'}, "service account"),
        ("az://pictures", {"account_key": "s3cret"}, "AccountName|[Aa]ccount"),
    ],
)
def test_a_setting_that_obstore_refuses_is_one_clear_line(
    bucket: str, options: dict[str, str], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason) as refused:
        open_objects(StorageConfig(bucket=bucket, bucket_options=options))
    message = str(refused.value)
    assert message.startswith(f"storage.bucket {bucket} cannot be used: ")
    assert "\n" not in message
    assert "s3cret" not in message


def test_a_url_into_google_is_signed_with_the_service_account_key() -> None:
    key = rsa.generate_private_key(65537, 2048)
    store = ImageStore.open(google_config(key))
    parts = urlsplit(store.url(NAME, "unused"))
    query, _, signature = parts.query.partition("&X-Goog-Signature=")
    assert (parts.netloc, parts.path) == ("storage.googleapis.com", f"/pictures/krea/{NAME}")
    assert parse_qs(query)["X-Goog-Expires"] == ["600"]
    signed = google_string_to_sign(parts.netloc, parts.path, query)
    key.public_key().verify(bytes.fromhex(signature), signed, padding.PKCS1v15(), hashes.SHA256())


def google_config(key: rsa.RSAPrivateKey) -> StorageConfig:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = {
        "private_key": pem.decode(),
        "private_key_id": "1",
        "client_email": "krea@project.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return StorageConfig(
        bucket="gs://pictures/krea",
        bucket_options={"service_account_key": json.dumps(account)},
        url_ttl_s=600,
    )


def google_string_to_sign(host: str, path: str, query: str) -> bytes:
    """Google's V4 signing process, without the signature itself in the query."""
    canonical = f"GET\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
    parameters = parse_qs(query)
    scope = parameters["X-Goog-Credential"][0].partition("/")[2]
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    lines = [parameters["X-Goog-Algorithm"][0], parameters["X-Goog-Date"][0], scope, digest]
    return "\n".join(lines).encode()


def test_a_url_into_azure_is_signed_with_the_account_key() -> None:
    options = {"account_name": "acct", "account_key": AZURE_KEY}
    config = StorageConfig(bucket="az://pictures/krea", bucket_options=options, url_ttl_s=600)
    parts = urlsplit(ImageStore.open(config).url(NAME, "unused"))
    assert parts.netloc == "acct.blob.core.windows.net"
    assert parts.path == f"/pictures/krea/{NAME}"
    sas = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert sas["sp"] == "r"
    to_sign = azure_string_to_sign(f"/blob/acct{parts.path}", sas)
    expected = hmac.digest(base64.b64decode(AZURE_KEY), to_sign, "sha256")
    assert base64.b64decode(sas["sig"]) == expected


def azure_string_to_sign(resource: str, sas: dict[str, str]) -> bytes:
    """What a service SAS of version 2020-12-06 or later signs; the empty fields are not used."""
    fields = [sas["sp"], sas["st"], sas["se"], resource, "", "", "", sas["sv"], sas["sr"]]
    return "\n".join([*fields, *[""] * 7]).encode()
