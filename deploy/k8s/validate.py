"""`make manifests`: render every kustomization and validate each object against Kubernetes' own schemas, strictly."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

HERE = Path(__file__).parent
KUSTOMIZATIONS = (HERE / "base",)
KUSTOMIZE = "sigs.k8s.io/kustomize/kustomize/v5@v5.5.0"


def renderer() -> list[str]:
    """Return the command that renders a kustomization. Raises SystemExit where there is none."""
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    if shutil.which("go"):
        return ["go", "run", KUSTOMIZE, "build"]
    raise SystemExit("neither kubectl nor go is on the PATH: one of them is needed to render the manifests")


def rendered(kustomization: Path) -> list[dict[str, Any]]:
    """Return the objects of a kustomization."""
    output = subprocess.run([*renderer(), str(kustomization)], check=True, capture_output=True, text=True)  # noqa: S603
    return list(yaml.safe_load_all(output.stdout))


def complaints(objects: list[dict[str, Any]]) -> list[str]:
    """Return what is wrong with these objects, one line each."""
    found = []
    for each in objects:
        try:
            kubernetes_validate.validate(each, "1.32", strict=True)
        except kubernetes_validate.ValidationError as error:
            name = f"{each['kind']} {each['metadata']['name']}"
            found.append(f"{name}: {'.'.join(map(str, error.path))}: {error.message}")
    return found


def main() -> int:
    """Validate every kustomization; return the exit code."""
    wrong = 0
    for kustomization in KUSTOMIZATIONS:
        objects = rendered(kustomization)
        found = complaints(objects)
        wrong += len(found)
        sys.stdout.write(f"{kustomization.relative_to(HERE)}: {len(objects)} objects, {len(found)} wrong\n")
        sys.stdout.writelines(f"  {line}\n" for line in found)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
