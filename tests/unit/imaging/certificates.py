"""A certification authority of the tests' own, and the signer it vouches for."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from serve_app.config import ProvenanceConfig


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and the key it speaks of."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


@dataclass(frozen=True, slots=True)
class Authority:
    """Vouches for signers.

    Attributes:
        root: What a reader trusts.
        intermediate: What signs the signers' certificates.
    """

    root: Identity
    intermediate: Identity

    @property
    def anchor(self) -> str:
        return self.root.pem.decode()

    def signer(self, days: int = 30) -> Identity:
        """Return a signer of files, whose certificate lasts some days from now."""
        return _issue("signer", self.intermediate, days, is_authority=False)

    def config(self, folder: Path, signer: Identity, key: bytes | None = None) -> ProvenanceConfig:
        """Return the configuration of a signer, its files in a folder."""
        certificate_file, private_key_file = folder / "chain.pem", folder / "key.pem"
        certificate_file.write_bytes(signer.pem + self.intermediate.pem)
        private_key_file.write_bytes(signer.key_pem if key is None else key)
        return ProvenanceConfig(
            certificate_file=certificate_file, private_key_file=private_key_file
        )


def authority() -> Authority:
    root = _issue("root", None, 365, is_authority=True)
    return Authority(root, _issue("intermediate", root, 90, is_authority=True))


def _issue(name: str, issuer: Identity | None, days: int, is_authority: bool) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    parent = x509_name(name) if issuer is None else issuer.certificate.subject
    signing_key = key if issuer is None else issuer.key
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(subject_name=x509_name(name), issuer_name=parent)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(_usage(is_authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()),
            critical=False,
        )
    )
    if not is_authority:
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purposes, critical=False)
    return Identity(builder.sign(signing_key, hashes.SHA256()), key)


def x509_name(name: str) -> x509.Name:
    # C2PA wants the organisation: readers show it as the issuer.
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "krea-serve tests"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _usage(is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
