"""Imports run one way: app -> pipelines -> agro, and science does not fetch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests_support import ROOT


def lint_imports(config: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    script = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [script, "--config", config, "--no-cache"], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_no_import_runs_against_the_layers() -> None:
    done = lint_imports(ROOT / "pyproject.toml", ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_check_can_fail(tmp_path: Path) -> None:
    for package in ("low", "high"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("import high\n" if package == "low" else "")
    config = tmp_path / "pyproject.toml"
    config.write_text(
        '[tool.importlinter]\nroot_packages = ["low", "high"]\n[[tool.importlinter.contracts]]\nname = "x"\ntype = "layers"\nlayers = ["high", "low"]\n'
    )
    assert lint_imports(config, tmp_path).returncode == 1
