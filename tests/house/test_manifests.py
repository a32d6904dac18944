"""What deploy/ says agrees with the code: environment, ports, probes, roles, grace, scripts."""

import copy
import importlib
import inspect
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.k8s import validate
from shared.lifecycle import Lifecycle, Role
from shared.settings import ServiceSettings, load
from shared.topics import SERVICES
from shared.web import Health, operations_app

Manifest = dict[str, Any]
Base = dict[tuple[str, str], Manifest]

ROOT = Path(__file__).parents[2]
BASE = ROOT / "deploy" / "k8s" / "base"
DOCKERFILE = (ROOT / "deploy" / "docker" / "Dockerfile").read_text()

SECRETS = {
    "DATABASE_URL": "postgresql://licensing:made-up@postgres/licensing",
    "KAFKA_SASL_USERNAME": "licensing",
    "KAFKA_SASL_PASSWORD": "made-up",
}
OWN_SECRETS = {"invitation": {"SMTP_URL": "smtps://relay.example.org"}}
WORKLOADS = ("api", "worker", "migrate")
DEPLOYMENTS = ("api", "worker")

every_service = pytest.mark.parametrize("service", SERVICES)
every_workload = pytest.mark.parametrize("workload", WORKLOADS)
every_deployment = pytest.mark.parametrize("component", DEPLOYMENTS)


@pytest.fixture(scope="module")
def base() -> Base:
    """The rendered objects by kind and name."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on the PATH; `make manifests` does with Go alone, but takes its time")
    return {(each["kind"], each["metadata"]["name"]): each for each in validate.rendered(BASE)}


def template(base: Base, service: str, workload: str) -> Manifest:
    kind = "Job" if workload == "migrate" else "Deployment"
    found: Manifest = base[kind, f"{service}-{workload}"]["spec"]["template"]
    return found


def pod(base: Base, service: str, workload: str) -> Manifest:
    spec: Manifest = template(base, service, workload)["spec"]
    return spec


def container(base: Base, service: str, workload: str) -> Manifest:
    (only,) = pod(base, service, workload)["containers"]
    assert isinstance(only, dict)
    return only


def settings_of(service: str) -> type[ServiceSettings]:
    module = importlib.import_module(f"{service.replace('-', '_')}.settings")
    (found,) = (
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, ServiceSettings) and kind is not ServiceSettings
    )
    return found


def said(base: Base, service: str, workload: str) -> dict[str, str]:
    """Return what the manifests themselves put into a container's environment."""
    running = container(base, service, workload)
    maps = [each["configMapRef"]["name"] for each in running["envFrom"] if "configMapRef" in each]
    values = {name: text for each in maps for name, text in base["ConfigMap", each]["data"].items()}
    return values | {each["name"]: each["value"] for each in running.get("env", ())}


def ports(base: Base, service: str, component: str) -> dict[str, int]:
    return {each["name"]: each["containerPort"] for each in container(base, service, component)["ports"]}


@every_service
@every_workload
def test_everything_a_container_is_told_is_a_setting(base: Base, service: str, workload: str) -> None:
    known = {name.upper() for name in settings_of(service).model_fields}
    told = said(base, service, workload).keys() | SECRETS.keys() | OWN_SECRETS.get(service, {}).keys()
    assert told - known == set()


@every_service
@every_workload
def test_a_container_is_told_everything_its_settings_need(
    base: Base, service: str, workload: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kind = settings_of(service)
    for name in kind.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    there = tmp_path / "there"
    there.touch()
    for name, text in said(base, service, workload).items():
        monkeypatch.setenv(name, str(there) if name.endswith("_FILE") else text)
    for name, text in (SECRETS | OWN_SECRETS.get(service, {})).items():
        monkeypatch.setenv(name, text)
    assert load(kind).audience == said(base, service, workload)["AUDIENCE"]


@every_service
@every_workload
def test_a_file_that_a_setting_names_lies_in_a_mounted_volume(
    base: Base, service: str, workload: str
) -> None:
    files = {text for name, text in said(base, service, workload).items() if name.endswith("_FILE")}
    mounts = {each["mountPath"]: each["name"] for each in container(base, service, workload)["volumeMounts"]}
    assert {str(Path(file).parent) for file in files} | {"/tmp"} == set(mounts)  # noqa: S108 - the mount of scratch files
    assert set(mounts.values()) == {each["name"] for each in pod(base, service, workload)["volumes"]}


@every_service
@every_workload
def test_no_manifest_carries_a_secret(base: Base, service: str, workload: str) -> None:
    assert {each["secretRef"]["name"] for each in container(base, service, workload)["envFrom"][-1:]} == {
        service
    }
    assert not said(base, service, workload).keys() & (SECRETS | OWN_SECRETS.get(service, {})).keys()
    assert not {kind for kind, _ in base} & {"Secret"}


def test_the_base_says_which_secrets_it_needs() -> None:
    text = (BASE / "kustomization.yaml").read_text()
    needed = {*SECRETS, *(name for own in OWN_SECRETS.values() for name in own)}
    assert {name for name in needed if name not in text} == set()


@every_service
@every_deployment
def test_ports_are_those_the_code_opens(base: Base, service: str, component: str) -> None:
    fields = settings_of(service).model_fields
    opened = {"metrics": fields["metrics_port"].default}
    if component == "api":
        opened["https"] = fields["http_port"].default
    assert ports(base, service, component) == opened


@every_service
@every_deployment
def test_probes_ask_where_the_code_answers(base: Base, service: str, component: str) -> None:
    async def ready() -> list[str]:
        return []

    answered = {getattr(route, "path", "") for route in operations_app(Health(list, ready)).routes}
    running = container(base, service, component)
    for probe, path in (("startup", "/livez"), ("liveness", "/livez"), ("readiness", "/readyz")):
        assert running[f"{probe}Probe"]["httpGet"] == {"path": path, "port": "metrics"}
        assert path in answered


@every_service
@every_deployment
def test_a_deployment_serves_in_the_role_of_its_name(base: Base, service: str, component: str) -> None:
    assert container(base, service, component)["args"] == ["serve", "--role", Role(component)]


@every_service
def test_the_job_migrates_and_may_try_again(base: Base, service: str) -> None:
    assert container(base, service, "migrate")["args"] == ["migrate"]
    assert pod(base, service, "migrate")["restartPolicy"] == "OnFailure"


@every_service
@every_deployment
def test_a_pod_is_given_longer_to_stop_than_the_process_takes(
    base: Base, service: str, component: str
) -> None:
    grace = inspect.signature(Lifecycle).parameters["grace_seconds"].default
    before = container(base, service, component).get("lifecycle", {}).get("preStop", {}).get("sleep", {})
    assert pod(base, service, component)["terminationGracePeriodSeconds"] > before.get("seconds", 0) + grace


@every_service
@every_deployment
def test_a_deployment_selects_its_own_pods_and_no_others(base: Base, service: str, component: str) -> None:
    selector = base["Deployment", f"{service}-{component}"]["spec"]["selector"]["matchLabels"]
    assert [
        (other, workload)
        for other in SERVICES
        for workload in WORKLOADS
        if selector.items() <= template(base, other, workload)["metadata"]["labels"].items()
    ] == [(service, component)]


@every_service
def test_a_service_leads_to_the_api_pods_and_a_port_they_open(base: Base, service: str) -> None:
    spec = base["Service", service]["spec"]
    assert spec["selector"] == template(base, service, "api")["metadata"]["labels"]
    assert [port["targetPort"] for port in spec["ports"]] == ["https"]
    assert "https" in ports(base, service, "api")


@every_service
@every_workload
def test_a_pod_is_restricted_as_kubernetes_defines_it(base: Base, service: str, workload: str) -> None:
    spec = pod(base, service, workload)
    assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container(base, service, workload)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not base["ServiceAccount", spec["serviceAccountName"]]["automountServiceAccountToken"]
    assert not spec["enableServiceLinks"]


@every_service
@every_workload
def test_a_container_has_a_memory_limit_and_no_cpu_limit(base: Base, service: str, workload: str) -> None:
    resources = container(base, service, workload)["resources"]
    assert set(resources["requests"]) == {"cpu", "memory"}
    assert set(resources["limits"]) == {"memory"}  # throttling stalls heartbeats


def test_every_service_has_the_same_objects_and_nothing_else_is_there(base: Base) -> None:
    named = {key for key in base if key[0] != "ConfigMap"}
    kinds = ("Deployment", "api"), ("Deployment", "worker"), ("Job", "migrate")
    expected = {(kind, f"{service}-{part}") for service in SERVICES for kind, part in kinds}
    expected |= {(kind, service) for service in SERVICES for kind in ("Service", "ServiceAccount")}
    assert named == expected


def test_a_file_holds_one_object_and_is_called_by_its_kind() -> None:
    for path in BASE.rglob("*.yaml"):
        (only,) = yaml.safe_load_all(path.read_text())
        assert path.stem.endswith(only["kind"].lower().removesuffix("configuration")), path


@every_service
@every_workload
def test_the_image_is_the_services_own(base: Base, service: str, workload: str) -> None:
    assert container(base, service, workload)["image"] == f"managed-distribution/{service}"


@every_service
def test_the_image_starts_the_script_that_the_service_installs(service: str) -> None:
    project = tomllib.loads((ROOT / "services" / service / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {service: f"{service.replace('-', '_')}.main:main"}
    assert "COPY services/${SERVICE} services/${SERVICE}" in DOCKERFILE
    assert "ln -s /venv/bin/${SERVICE} /usr/local/bin/service" in DOCKERFILE
    assert 'ENTRYPOINT ["/usr/local/bin/service"]' in DOCKERFILE


def test_the_image_opens_the_ports_of_the_settings_as_nobody_special() -> None:
    fields = ServiceSettings.model_fields
    assert f"EXPOSE {fields['http_port'].default} {fields['metrics_port'].default}\n" in DOCKERFILE
    assert re.search(r"^USER [1-9]\d+$", DOCKERFILE, re.MULTILINE)
    said_in_image = re.search(r"^ENV (.*)$", DOCKERFILE, re.MULTILINE)
    assert said_in_image is not None
    assert "HTTP_HOST=0.0.0.0" in said_in_image[1].split()
    assert "http_host" in fields


def test_what_is_rendered_is_valid(base: Base) -> None:
    assert validate.complaints(list(base.values())) == []


def test_a_misspelt_field_is_found(base: Base) -> None:
    misspelt = copy.deepcopy(base["Deployment", "invitation-api"])
    misspelt["spec"]["template"]["spec"]["terminationGracePeriod"] = 60
    (complaint,) = validate.complaints([misspelt])
    assert complaint.startswith("Deployment invitation-api: spec.template.spec: ")
    assert "terminationGracePeriod" in complaint


def test_a_misspelt_field_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], base: Base
) -> None:
    misspelt = copy.deepcopy(base["Service", "invitation"]) | {"spce": {}}
    monkeypatch.setattr(validate, "rendered", lambda _: [misspelt])
    assert validate.main() == 1
    assert "1 objects, 1 wrong" in capsys.readouterr().out
