"""The lab's own certificate authority, and what it signs: the server's certificate and its administrator's.

Source: kubeadm's certificates (cmd/kubeadm/app/phases/certs); RFC 5280. Keys are P-256, as a new cluster may have them.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

ADMIN, MASTERS = "kubernetes-admin", "system:masters"
NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
)
YEARS = 10


class Pair(NamedTuple):
    """A certificate and its private key, in PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """An authority: a new one, or the one whose key, and perhaps certificate, are given. To be made in a thread: what
    it imports is slow. Raises ValueError where those are no P-256 key, and no certificate of it.
    """

    def __init__(self, key: bytes = b"", certificate: bytes = b"") -> None:
        self._key = read_key(key) if key else new_key()
        self._subject = _name("kubernetes")
        self.certificate = certificate or _pem(self._certificate(self._key, self._subject, [], authority=True))
        if certificate and _public(certificate) != self._key.public_key():
            raise ValueError("the certificate is not the key's")

    def server(self, addresses: Sequence[str]) -> Pair:
        """For the API server at these addresses, and by the names of its Service."""
        return self._pair("kube-apiserver", [], [*NAMES, *addresses])

    def client(self, name: str, groups: Sequence[str]) -> Pair:
        """For a user, who is in these groups."""
        return self._pair(name, groups, [])

    def _pair(self, name: str, groups: Sequence[str], alternatives: Sequence[str]) -> Pair:
        key = new_key()
        return Pair(_pem(self._certificate(key, _name(name, groups), alternatives)), written_key(key))

    @property
    def key(self) -> bytes:
        """Its private key, in PEM."""
        return written_key(self._key)

    def _certificate(
        self, key: EllipticCurvePrivateKey, subject: x509.Name, names: Sequence[str], authority: bool = False
    ) -> x509.Certificate:
        from cryptography import x509
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.x509 import oid

        now = datetime.now(UTC)
        issuer = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=365 * YEARS))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(_usage(authority), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
        )
        if not authority:
            purpose = oid.ExtendedKeyUsageOID.SERVER_AUTH if names else oid.ExtendedKeyUsageOID.CLIENT_AUTH
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(_alternatives(names)), critical=False)
        return builder.sign(self._key, SHA256())


def kubeconfig(server: str, authority: bytes, user: Pair) -> str:
    """A kubeconfig with everything in it, as `kubeadm init` writes it for the administrator."""

    def inline(data: bytes) -> str:
        return base64.b64encode(data).decode()

    return f"""\
apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority-data: {inline(authority)}
    server: {server}
  name: lab
contexts:
- context:
    cluster: lab
    user: {ADMIN}
  name: {ADMIN}@lab
current-context: {ADMIN}@lab
preferences: {{}}
users:
- name: {ADMIN}
  user:
    client-certificate-data: {inline(user.certificate)}
    client-key-data: {inline(user.key)}
"""


def new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def read_key(pem: bytes) -> EllipticCurvePrivateKey:
    """A P-256 key from PEM. Raises ValueError for anything else."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, None)
    except (TypeError, UnsupportedAlgorithm) as error:  # it has a passphrase; its kind is not known
        raise ValueError(str(error)) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not a P-256 key")
    return key


def written_key(key: EllipticCurvePrivateKey) -> bytes:
    """A private key in PEM."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def _public(certificate: bytes) -> object:
    from cryptography.x509 import load_pem_x509_certificate

    return load_pem_x509_certificate(certificate).public_key()


def _name(common: str, organizations: Sequence[str] = ()) -> x509.Name:
    from cryptography import x509

    groups = [x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, each) for each in organizations]
    return x509.Name([*groups, x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])


def _alternatives(names: Sequence[str]) -> list[x509.GeneralName]:
    from ipaddress import ip_address

    from cryptography import x509

    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _usage(authority: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not authority,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)
