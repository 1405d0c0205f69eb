"""What SECURITY.md says is protected has the tests that it names."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
THREATS = re.findall(r"^\| (?!threat|---)(.+?) \| .+ \| (.+) \|$", (ROOT / ".github/SECURITY.md").read_text(), re.M)


def test_every_threat_has_tests_that_exist():
    assert len(THREATS) >= 14
    for threat, tests in THREATS:
        named = re.findall(r"`(tests/\w+\.py)::(\w+)`", tests)
        assert named, threat
        for file, name in named:
            functions = [
                node.name
                for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body
                if isinstance(node, ast.FunctionDef)
            ]
            assert name in functions, f"{file}::{name}"


def test_ci_asks_for_known_weaknesses_of_what_is_installed():
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    (asked,) = re.findall(r"pip-audit --requirement .*", workflow)
    assert "--strict" in asked  # else packages that the database does not know pass as if they had no weakness
    for file in ("requirements.txt", "requirements-smollm2.txt"):
        assert (ROOT / file).is_file()
        assert file in workflow.partition("audit:")[2]


def test_an_advisory_that_ci_passes_over_is_explained():
    ignored = re.findall(r"--ignore-vuln[= ](\S+)", (ROOT / ".github/workflows/ci.yml").read_text())
    text = (ROOT / ".github/SECURITY.md").read_text()
    assert [each for each in ignored if each not in text] == []
    assert ("No advisory is set aside." in text) == (not ignored)
