import ssl
from pathlib import Path

from local.simulators.authority import Authority
from shared.kafka import KafkaConnection


def test_a_plain_connection_says_nothing_of_who_we_are() -> None:
    options = KafkaConnection("kafka:9092").options()
    assert options == {
        "bootstrap_servers": "kafka:9092",
        "security_protocol": "PLAINTEXT",
        "request_timeout_ms": 20_000,
    }


def test_a_password_is_given_to_the_client_and_shown_to_nobody() -> None:
    kafka = KafkaConnection(
        "kafka:9092",
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="licensing",
        sasl_password="correct horse",
    )
    assert kafka.options()["sasl_plain_password"] == "correct horse"
    assert "horse" not in repr(kafka)


def test_a_secured_connection_trusts_its_authority_alone(tmp_path: Path) -> None:
    authority = Authority.create("Kafka")
    (tmp_path / "ca.pem").write_bytes(authority.certificate_pem)
    kafka = KafkaConnection("kafka:9092", security_protocol="SSL", ca_file=tmp_path / "ca.pem")
    context = kafka.options()["ssl_context"]
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1
