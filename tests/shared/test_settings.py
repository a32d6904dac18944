from collections.abc import Mapping
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from shared.errors import SettingsError
from shared.settings import ServiceSettings, load

DATABASE = "postgresql://licensing:hunter2@localhost:5432/licensing"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment that says just what a service needs."""
    keys = tmp_path / "keys.json"
    keys.touch()
    for name in ServiceSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in required(keys).items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def required(keys: Path) -> Mapping[str, str]:
    return {
        "DATABASE_URL": DATABASE,
        "VAULT_KEYS_FILE": str(keys),
        "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
        "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "OIDC_ISSUERS": "https://id.example.org, https://kubernetes.default.svc",
        "JWKS_URLS": "https://id.example.org/keys,https://kubernetes.default.svc/openid/v1/jwks",
        "AUDIENCE": "managed-distribution",
    }


def test_the_required_settings_are_enough(environment: pytest.MonkeyPatch) -> None:
    settings = load(ServiceSettings)
    assert settings.database_url.get_secret_value() == DATABASE
    assert settings.issuers == {
        "https://id.example.org": "https://id.example.org/keys",
        "https://kubernetes.default.svc": "https://kubernetes.default.svc/openid/v1/jwks",
    }
    assert settings.broker_keeps_log
    assert settings.trusted_proxies == ()


@pytest.mark.parametrize("name", sorted(required(Path())))
def test_a_missing_setting_refuses_the_start_with_its_name(
    environment: pytest.MonkeyPatch, name: str
) -> None:
    environment.delenv(name)
    with pytest.raises(SettingsError) as caught:
        load(ServiceSettings)
    assert f"{name} is missing" in str(caught.value).splitlines()


def test_an_empty_setting_is_a_missing_one(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AUDIENCE", "")
    with pytest.raises(SettingsError, match=r"^AUDIENCE is missing$"):
        load(ServiceSettings)


def test_each_wrong_setting_has_its_line_and_no_value_is_repeated(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DATABASE_URL", "mysql://root:hunter2@localhost")
    environment.setenv("HTTP_PORT", "hunter3")
    environment.delenv("AUDIENCE")
    with pytest.raises(SettingsError) as caught:
        load(ServiceSettings)
    lines = str(caught.value).splitlines()
    assert sorted(line.split(":")[0] for line in lines) == [
        "AUDIENCE is missing",
        "DATABASE_URL",
        "HTTP_PORT",
    ]
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://",
        "postgresql://u:hunter2@localhost",
        "postgresql://u:hunter2@[::1/db",
        "postgres://u@h/db",
    ],
)
def test_a_database_that_cannot_be_found_so_refuses_the_start(
    environment: pytest.MonkeyPatch, url: str
) -> None:
    environment.setenv("DATABASE_URL", url)
    with pytest.raises(
        SettingsError, match=r"^DATABASE_URL: .*must read postgresql://user:password@host/"
    ) as caught:
        load(ServiceSettings)
    assert "hunter" not in str(caught.value)


def test_keys_come_over_https_unless_they_do_not_leave_the_machine(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("JWKS_URLS", "https://id.example.org/keys,http://127.0.0.1:9/jwks")
    assert len(load(ServiceSettings).jwks_urls) == 2
    environment.setenv(
        "JWKS_URLS", "https://id.example.org/keys,http://kubernetes.default.svc/openid/v1/jwks"
    )
    with pytest.raises(SettingsError, match=r"^JWKS_URLS: .*each must begin with https://"):
        load(ServiceSettings)


def test_an_issuer_is_named_once(environment: pytest.MonkeyPatch) -> None:
    """Else the first one's keys would be forgotten without a word."""
    environment.setenv("OIDC_ISSUERS", "https://id.example.org,https://id.example.org")
    with pytest.raises(SettingsError, match=r"^OIDC_ISSUERS names an issuer twice"):
        load(ServiceSettings)


def test_each_issuer_needs_its_keys(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("JWKS_URLS", "https://id.example.org/keys")
    with pytest.raises(SettingsError, match=r"^JWKS_URLS needs one URL for each of OIDC_ISSUERS"):
        load(ServiceSettings)


def test_sasl_needs_its_names(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    with pytest.raises(SettingsError, match="KAFKA_SASL_PASSWORD"):
        load(ServiceSettings)


def test_a_certificate_needs_its_key(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tls.pem").touch()
    environment.setenv("TLS_CERT_FILE", str(tmp_path / "tls.pem"))
    with pytest.raises(SettingsError, match="TLS_CERT_FILE and TLS_KEY_FILE go together"):
        load(ServiceSettings)


def test_proxies_and_subject_scopes_are_read(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1")
    environment.setenv("SUBJECT_SCOPES", '{"https://k": {"system:serviceaccount:a:b": ["assignments:read"]}}')
    settings = load(ServiceSettings)
    assert settings.trusted_proxies == (IPv4Network("10.0.0.0/8"), IPv4Network("127.0.0.1/32"))
    assert settings.subject_scopes["https://k"]["system:serviceaccount:a:b"] == {"assignments:read"}


def test_subject_scopes_that_are_no_json_are_refused_by_name(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SUBJECT_SCOPES", "hunter2")
    with pytest.raises(SettingsError, match="SUBJECT_SCOPES") as caught:
        load(ServiceSettings)
    assert "hunter2" not in str(caught.value)


def test_settings_do_not_show_their_secrets(environment: pytest.MonkeyPatch) -> None:
    assert "hunter2" not in repr(load(ServiceSettings))
