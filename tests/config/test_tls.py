"""What is said of certificates, keys and ciphers in a config: which file, where it is named, and why."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.config.certificates import CA, OTHER, OWN
from tests.config.test_check import fine, said
from tests.harness.secure import Pair
from tetrapylon.config.model import UpstreamTls
from tetrapylon.net import x509
from tetrapylon.net.tls import client_context

NOW = datetime.now(UTC)


def listener(text: str) -> str:
    """The one problem of a listener's `tls`, which is on the second line."""
    (problem,) = said(f"server: {{listen: [{{address: '127.0.0.1:8443',\n  tls: {{{text}}}}}]}}")
    assert problem.startswith("g.yaml:2:")
    return problem.partition(": server.listen[0].tls")[2]


def pair(cert: str = OWN.cert, key: str = OWN.key) -> str:
    return f"cert: {cert}, key: {key}"


def upstream(text: str, target: str = "https://127.0.0.1:9") -> str:
    (problem,) = said(f"upstreams: {{u: {{targets: ['{target}'],\n  tls: {{{text}}}}}}}")
    assert problem.startswith("g.yaml:2:")
    return problem.partition(": upstreams.u.tls")[2]


class TestListeners:
    def test_a_sound_one(self) -> None:
        fine(f"server: {{listen: [{{address: 'a:1', tls: {{{pair()}, client_ca: {CA.pem}}}}}]}}")

    @pytest.mark.parametrize("key", ["cert", "key"])
    def test_a_file_that_is_not_there(self, key: str, tmp_path: Path) -> None:
        missing = str(tmp_path / "missing.pem")
        problem = listener(pair(**{key: missing}))
        assert problem.startswith(f".{key}: {missing} cannot be read: No such file")

    def test_a_certificate_and_a_key_that_do_not_match(self) -> None:
        problem = listener(pair(key=OTHER.key))
        assert problem.startswith(
            f".key: the key in {OTHER.key} does not belong to the certificate in {OWN.cert}; expected"
        )

    def test_a_further_one(self) -> None:
        problem = listener(f"{pair()}, certificates: [{{{pair(OTHER.cert, OWN.key)}}}]")
        assert problem.startswith(f".certificates[0].key: the key in {OWN.key} does not belong")

    def test_one_that_has_expired(self) -> None:
        old = CA.issue("old.test", begins=NOW - timedelta(9), ends=NOW - timedelta(1))
        problem = listener(pair(*old))
        assert (
            problem
            == f".cert: the certificate in {old.cert} expired on {NOW - timedelta(1):%Y-%m-%d}; renew it"
        )

    def test_one_that_has_not_begun(self) -> None:
        early = CA.issue("early.test", begins=NOW + timedelta(2), ends=NOW + timedelta(9))
        assert f"the certificate in {early.cert} begins on" in listener(pair(*early))

    def test_files_that_hold_something_else(self, tmp_path: Path) -> None:
        text = tmp_path / "text.pem"
        text.write_text("not a certificate")
        broken = tmp_path / "broken.pem"
        broken.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
        assert f".cert: {text} holds no certificate in PEM form" in listener(pair(cert=str(text)))
        assert f".cert: {broken} holds a certificate that cannot be read" in listener(pair(cert=str(broken)))
        assert f".key: {text} holds no key that can be read" in listener(pair(key=str(text)))
        assert f".client_ca: {text} holds no CA certificate" in listener(f"{pair()}, client_ca: {text}")

    def test_a_key_with_a_passphrase(self, tmp_path: Path) -> None:
        from cryptography.hazmat.primitives import serialization

        plain = serialization.load_pem_private_key(Path(OWN.key).read_bytes(), None)
        locked = tmp_path / "locked.pem"
        locked.write_bytes(
            plain.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        )
        assert f".key: the key in {locked} is locked with a passphrase" in listener(pair(key=str(locked)))

    def test_unknown_ciphers(self) -> None:
        good = "ECDHE-ECDSA-AES128-GCM-SHA256"
        problem = listener(f"{pair()}, ciphers: '{good}:ECDHE-ECDSA-AES128-GCM-SHA257'")
        assert problem.startswith(".ciphers: there is no cipher 'ECDHE-ECDSA-AES128-GCM-SHA257'; expected")
        assert "leaves no cipher" in listener(f"{pair()}, ciphers: '{good}:!{good}'")

    def test_settings_for_client_certificates_without_their_ca(self) -> None:
        assert listener(f"{pair()}, client_auth: optional").startswith(
            ".client_auth: clients are asked for no certificate; give the CAs"
        )

    @pytest.mark.parametrize("name", ["Host", "connection", "X_Forwarded-For", "Authorization"])
    def test_a_subject_in_a_field_that_has_a_meaning(self, name: str) -> None:
        problem = listener(f"{pair()}, client_ca: {CA.pem}, subject_header: {name}")
        wrong = f"{name} says something else of a request; choose a name of its own"
        assert problem == f".subject_header: {wrong}"

    def test_a_key_that_may_not_be_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        opened = open

        def denied(file: object, *rest: object, **more: object) -> object:
            if file == OWN.key:  # root may read everything, so that no mode of the file shows it
                raise PermissionError(13, "Permission denied", file)
            return opened(file, *rest, **more)  # type: ignore[call-overload]

        monkeypatch.setattr("builtins.open", denied)
        assert listener(pair()).startswith(
            f".key: {OWN.key} cannot be read: Permission denied; check the name and its permissions"
        )

    def test_an_old_version(self) -> None:
        assert "expected 1.2 or 1.3" in listener(f"{pair()}, min_version: '1.1'")
        assert "did you mean 1.2, in quotes?" in listener(f"{pair()}, min_version: 1.2")


class TestUpstreams:
    def test_a_bad_ca(self, tmp_path: Path) -> None:
        missing = str(tmp_path / "missing.pem")
        assert upstream(f"ca: {missing}").startswith(f".ca: {missing} cannot be read")

    def test_a_certificate_of_another_key(self) -> None:
        assert f".key: the key in {OTHER.key} does not belong" in upstream(pair(key=OTHER.key))

    @pytest.mark.parametrize("name", ["X-Client-Cert-Subject", "x_client-CERT_subject"])
    def test_a_header_that_tells_a_clients_subject(self, name: str) -> None:
        listen = f"server: {{listen: [{{address: 'a:1', tls: {{{pair()}, client_ca: {CA.pem}}}}}]}}"
        headers = f"{{{name}: CN=root}}"
        config = f"{listen}\nupstreams: {{u: {{targets: ['http://127.0.0.1:9'], headers: {headers}}}}}"
        (problem,) = said(config)
        assert problem.startswith(
            f"g.yaml:2:83: upstreams.u.headers.{name}: server.listen[0].tls tells the client certificate's"
            " subject in this field; choose"
        )

    def test_upstreams_cannot_have_connections_renegotiated(self) -> None:
        context = client_context(UpstreamTls())
        assert context.options & ssl.OP_NO_RENEGOTIATION

    def test_a_key_alone(self) -> None:
        assert ".key: there is a key and no certificate" in upstream(f"key: {OWN.key}")

    def test_no_target_that_speaks_tls(self) -> None:
        assert "no target is spoken to by TLS" in upstream("verify: false", "http://127.0.0.1:9")

    def test_a_server_name_with_a_port(self) -> None:
        assert "names a port" in upstream("server_name: 'a.test:443'")


class TestCertificates:
    @pytest.mark.parametrize("ends", [datetime(2049, 12, 31, tzinfo=UTC), datetime(2051, 1, 2, tzinfo=UTC)])
    def test_names_and_dates_are_read(self, ends: datetime) -> None:
        begins = datetime(2020, 2, 29, 1, 2, 3, tzinfo=UTC)
        made = CA.issue(
            "Some.test", "*.wild.test", "10.0.0.1", "::1", "me@mail.test", begins=begins, ends=ends
        )
        found = x509.first(Path(made.cert).read_text())
        assert found == (("some.test", "*.wild.test", "10.0.0.1", "::1"), begins, ends)

    def test_what_is_cut_short_is_no_certificate(self) -> None:
        der = ssl.PEM_cert_to_DER_cert(
            Path(OWN.cert).read_text().partition("-----END CERTIFICATE-----\n")[0]
            + "-----END CERTIFICATE-----\n"
        )
        for length in range(len(der)):
            with pytest.raises(ValueError, match="holds"):
                x509.first(ssl.DER_cert_to_PEM_cert(der[:length]))


def test_files_are_named_together() -> None:
    bad = Pair("/nonexistent/cert", "/nonexistent/key")
    found = said(
        "server: {listen: [{address: 'a:1', tls: {"
        + f"{pair(*bad)}, certificates: [{{{pair(*bad)}}}], client_ca: /nonexistent/ca}}}}]}}"
    )
    assert len(found) == 3
