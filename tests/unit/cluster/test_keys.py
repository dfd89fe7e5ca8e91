"""The keys of a lab that is kept."""

from __future__ import annotations

import os

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from labkit.apiserver.access.certificates import Authority
from labkit.cluster import keys
from labkit.control.store import Store
from labkit.errors import StateError

ACCOUNT = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {"name": "robot", "namespace": "default", "uid": "u"},
}


@pytest.fixture
def store():
    made = Store(seed=1)
    made.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    return made


def test_the_same_authority_and_the_same_signatures_again(tmp_path, store):
    folder = str(tmp_path)
    first, signing = keys.authority(folder), keys.tokens(folder, store)
    account = store.create(ACCOUNT)
    token, _ = signing.issue(account, [], 3600)
    again = keys.authority(folder)
    assert (again.certificate, again.key) == (first.certificate, first.key)
    assert keys.tokens(folder, store).user(token).name == "system:serviceaccount:default:robot"
    assert keys.tokens("", store).user(token) is None
    old = x509.load_pem_x509_certificate(first.client("a", []).certificate)
    old.verify_directly_issued_by(x509.load_pem_x509_certificate(again.certificate))
    assert {path.name for path in tmp_path.iterdir()} == {"ca.key", "ca.crt", "sa.key"}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_without_a_folder_each_is_new():
    assert keys.authority("").certificate != keys.authority("").certificate


def test_killed_between_the_key_and_its_certificate(tmp_path):
    made = keys.authority(str(tmp_path))
    (tmp_path / "ca.crt").unlink()
    (tmp_path / "ca.crt.new").write_text("hal")
    again = keys.authority(str(tmp_path))
    assert again.key == made.key
    x509.load_pem_x509_certificate(again.certificate).verify_directly_issued_by(
        x509.load_pem_x509_certificate(made.certificate)
    )
    assert not (tmp_path / "ca.crt.new").exists()


def _pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


WRONG = {
    "empty": b"",
    "text": b"Dear diary",
    "bytes": b"\xff\x00" * 100,
    "cut": Authority().key[:100],
    "rsa": _pem(rsa.generate_private_key(65537, 2048)),
    "curve": _pem(ec.generate_private_key(ec.SECP384R1())),
}


@pytest.mark.parametrize("name", ["ca.key", "sa.key"])
@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
def test_what_is_no_key_is_refused_and_stays(tmp_path, store, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StateError, match=f"{name} cannot be used: .* move ca.key, ca.crt and sa.key away"):
        keys.authority(str(tmp_path))
        keys.tokens(str(tmp_path), store)
    assert (tmp_path / name).read_bytes() == content


def test_a_certificate_of_another_key_is_refused(tmp_path):
    keys.authority(str(tmp_path))
    for content in (Authority().certificate, b"none"):
        (tmp_path / "ca.crt").write_bytes(content)
        with pytest.raises(StateError, match=r"ca\.key cannot be used"):
            keys.authority(str(tmp_path))
    (tmp_path / "ca.key").unlink()
    with pytest.raises(StateError, match=r"ca\.key cannot be used: it is missing"):
        keys.authority(str(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_takes_no_file(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StateError, match=r"ca\.key cannot be used: Permission denied"):
        keys.authority(str(tmp_path))
