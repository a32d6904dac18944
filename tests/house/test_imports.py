"""Who may import whom: the contracts of pyproject.toml hold, and each of them holds something."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from grimp import ImportGraph, build_graph

ROOT = Path(__file__).parents[2]
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS = [contract for contract in LINTER["contracts"] if contract["type"] == "forbidden"]


def test_the_import_contracts_hold() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own tool
    assert said.returncode == 0, said.stdout


@pytest.fixture(scope="module")
def graph() -> ImportGraph:
    return build_graph(*LINTER["root_packages"], include_external_packages=True, cache_dir=None)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["name"])
@pytest.mark.parametrize("side", ["source_modules", "forbidden_modules"])
def test_a_contract_speaks_of_rooms_that_exist(
    graph: ImportGraph, contract: dict[str, list[str]], side: str
) -> None:
    assert any(graph.find_matching_modules(expression) for expression in contract[side])
