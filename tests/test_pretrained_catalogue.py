"""Models are found, measured and refused; whatever is wrong with one is said in one sentence."""

import errno
import importlib
import json
import re
import shutil
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar
from urllib.parse import unquote

import numpy as np
import pytest
from processes import printed

from attn import pretrained
from attn.pretrained import ModelError, Settings, errors
from attn.pretrained.loading import catalogue, safetensors_file

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from safetensors.torch import save_file  # noqa: E402

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder with a tiny BERT and the tokenizer of the default model."""
    folder = tmp_path_factory.mktemp("tiny")
    config = transformers.BertConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=37, max_position_embeddings=41
    )
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    for file in TOKENIZER_FILES:
        shutil.copy(pretrained.inspect().folder / file, folder)
    return folder


@pytest.fixture
def broken(tiny, tmp_path):
    """A copy of the tiny model to break."""
    return Path(shutil.copytree(tiny, tmp_path / "broken"))


# finding


def test_the_default_is_found_in_its_package_without_importing_it():
    found = pretrained.inspect()
    assert (found.name, found.where) == (pretrained.DEFAULT, "package")
    assert found.bytes == 90_868_376
    assert found.memory == pytest.approx(found.bytes, rel=1e-3)  # the file holds float32
    loaded = printed("import sys; from attn.pretrained import inspect; inspect(); print(*sys.modules)")
    assert catalogue.DEFAULT_PACKAGE not in loaded.split()


def test_a_folder_is_loaded(tiny):
    loaded = pretrained.load(tiny)
    assert (loaded.where, loaded.num_layers, loaded.num_heads, loaded.max_tokens) == ("folder", 2, 3, 41)
    recording = pretrained.record(loaded, "word " * 60)
    assert (len(recording.tokens), recording.truncated_from) == (41, 62)


def test_weights_in_several_files_are_loaded(tiny, tmp_path):
    model = transformers.AutoModel.from_pretrained(tiny)
    model.save_pretrained(tmp_path, max_shard_size="1MB")
    for file in TOKENIZER_FILES:
        shutil.copy(tiny / file, tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert pretrained.inspect(tmp_path).memory == pretrained.inspect(tiny).memory
    whole, parts = (pretrained.record(pretrained.load(folder), "a b").layers[1].query for folder in (tiny, tmp_path))
    np.testing.assert_array_equal(whole, parts)
    next(iter(tmp_path.glob("*.safetensors"))).unlink()
    with pytest.raises(
        ModelError, match=r"must have the \d safetensors files that its .*index.json names, but .*missing"
    ):
        pretrained.load(tmp_path)


# refusing


def no_config(folder):
    (folder / "config.json").unlink()


def spoilt_config(folder):
    (folder / "config.json").write_text("{")


def own_code(folder):
    auto_map = {"AutoConfig": "configuration.Config", "AutoModel": "modeling.Model"}
    (folder / "config.json").write_text(json.dumps({"model_type": "brand_new", "auto_map": auto_map}))
    (folder / "configuration.py").write_text("raise SystemExit('code of the repository was run')")


def unknown_family(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "brand_new"}))


def no_attention(folder):
    config = transformers.FNetConfig(vocab_size=30522, hidden_size=24, num_hidden_layers=1, intermediate_size=37)
    transformers.AutoModel.from_config(config).save_pretrained(folder)


def pickle_only(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def no_weights(folder):
    (folder / "model.safetensors").unlink()


def cut_off(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def cut_to_nothing(folder):
    (folder / "model.safetensors").write_bytes(b"")


def other_bytes(folder):
    (folder / "model.safetensors").write_bytes(b"\xff" * 5000)


def nested_header(folder):
    header = b'{"a":' + b"[" * 200_000
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)


def header_without_shapes(folder):
    header = b'{"a":{"dtype":"F32","data_offsets":[0,4]}}'
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))


def no_tokenizer(folder):
    for file in TOKENIZER_FILES:
        (folder / file).unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_config, "it has no config.json"),
        (spoilt_config, "has a config.json that cannot be read"),
        (own_code, "needs Python code from its repository"),
        (unknown_family, "transformers knows no kind of model called brand_new"),
        (no_attention, "there is no attention in"),
        (pickle_only, "has no safetensors file"),
        (no_weights, "has no weights"),
        (cut_off, "model.safetensors is damaged or .*file not fully covered"),
        (nested_header, "model.safetensors is damaged or .*recursion limit"),
        (header_without_shapes, "model.safetensors is damaged or .*missing field `shape`"),
        (cut_to_nothing, "model.safetensors is damaged"),
        (other_bytes, "model.safetensors is damaged"),
        (no_tokenizer, "has no tokenizer"),
    ],
)
def test_a_folder_that_is_no_model_is_one_sentence(broken, spoil, message):
    spoil(broken)
    with pytest.raises(ModelError, match=message) as raised:
        pretrained.load(broken)
    assert "\n" not in str(raised.value)


def test_code_of_a_repository_is_not_run_where_transformers_knows_the_family(broken):
    config = json.loads((broken / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "own.Config", "AutoModel": "own.Model"}
    (broken / "config.json").write_text(json.dumps(config))
    (broken / "own.py").write_text("raise SystemExit('code of the repository was run')")
    assert pretrained.load(broken).recordable


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "a model must be named"),
        ("/no/such/folder", "there is no folder /no/such/folder"),
        ("../elsewhere", "there is no folder"),
        ("~nobody-here/model", "there is no folder"),
        ("C:\\models\\bert", "there is no folder"),
        ("a/b/c", "there is no folder a/b/c"),
        ("not a name!", "a model must be named"),
        ("x" * 5000, "a model must be named"),
        ("a\0b", "a model must be named"),
    ],
)
def test_a_name_that_cannot_be_one_is_one_sentence(name, message):
    with pytest.raises(ModelError, match=message):
        pretrained.inspect(name)


def test_a_model_larger_than_the_limit_is_refused(tiny):
    with pytest.raises(ModelError, match=r"must have at most 0.001 GB here, got 0.00\d+ GB"):
        pretrained.load(tiny, size_limit=1_000_000)
    with pytest.raises(ModelError, match="must have at most"):
        pretrained.load(tiny, settings=Settings(size_limit=1_000_000))


def test_half_precision_counts_as_what_it_takes_in_memory(tiny, tmp_path):
    transformers.AutoModel.from_pretrained(tiny).half().save_pretrained(tmp_path)
    found = pretrained.inspect(tmp_path)
    assert found.bytes < 0.6 * found.memory
    assert found.memory == pretrained.inspect(tiny).memory


def test_another_file_than_the_expected_one_is_refused(tiny):
    with pytest.raises(ModelError, match=r"must have the sha256 0{12}…, got"):
        safetensors_file.verify(tiny / "model.safetensors", "0" * 64)


# settings


def test_a_deployment_can_switch_off_other_models_or_folders(tiny):
    alone, hub = Settings(models="default"), Settings(models="hub")
    assert pretrained.inspect(settings=alone).where == "package"
    assert pretrained.inspect("all-MiniLM-L6-v2", settings=alone) == pretrained.inspect(settings=alone)
    for name in (tiny, "gpt2"):
        with pytest.raises(ModelError, match="this server shows sentence-transformers/all-MiniLM-L6-v2 only"):
            pretrained.load(name, settings=alone)
    with pytest.raises(ModelError, match="there is no folder"):
        pretrained.load(tiny, settings=hub)


# the hub


def web_client():
    """Return the web client that the hub's client is built on: httpx or its successor."""
    from huggingface_hub import errors as hub

    return importlib.import_module(hub.HTTPError.__module__.split(".")[0])


def hub_error(kind, status):
    """Return an error as the hub's client raises it."""
    from huggingface_hub import errors as hub

    httpx = web_client()
    response = httpx.Response(status, request=httpx.Request("GET", "http://hub/x"))
    return getattr(hub, kind)("what the hub says\nin several lines", response=response)


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        ("GatedRepoError", 403, "x/y is gated"),
        ("RepositoryNotFoundError", 404, "there is no public model called x/y"),
        ("DisabledRepoError", 403, "x/y has been disabled"),
        ("RemoteEntryNotFoundError", 404, "a file of x/y is missing"),
        ("HfHubHTTPError", 500, "the hub does not hand out x/y: it has a fault of its own (500)"),
        ("HfHubHTTPError", 429, "the hub does not hand out x/y now: too many requests"),
        ("HfHubHTTPError", 418, "the hub does not hand out x/y: what the hub says"),
        ("RevisionNotFoundError", 404, "x/y has no revision main"),
    ],
)
def test_errors_of_the_hub_are_one_sentence(kind, status, message):
    wrapped = OSError("as transformers wraps it")
    wrapped.__cause__ = hub_error(kind, status)
    for error in (wrapped, wrapped.__cause__):
        assert str(errors.explain(error, "x/y")).startswith(message)
        assert "\n" not in str(errors.explain(error, "x/y"))


def test_errors_of_the_network_are_one_sentence():
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

    httpx = web_client()
    for error in (httpx.ConnectError("no route"), httpx.ReadTimeout("late"), LocalEntryNotFoundError("not found")):
        assert str(errors.explain(error, "x/y")).startswith("x/y is not on this machine, and the hub cannot be reached")
    assert "switched off" in str(errors.explain(OfflineModeIsEnabled("offline"), "x/y"))
    assert str(errors.explain(KeyError("a"), "x/y")) == "x/y cannot be opened: transformers knows no 'a'"
    assert str(errors.explain(ValueError("it says:\n why\n and so on"), "x/y")) == "x/y cannot be opened: it says: why"


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as the client asks for: what a repository holds, and its files."""

    folders: ClassVar = {}  # name of a repository -> its folder, with revisions other than main after an @
    commit = "0123456789abcdef0123456789abcdef01234567"
    refusals: ClassVar = {  # name of a repository -> status and headers
        "secret": (401, {"X-Error-Code": "GatedRepo"}),
        "waiting": (403, {"X-Error-Code": "GatedRepo"}),
        "slow": (500, {}),
        "busy": (429, {}),
        "expired": (401, {"X-Error-Message": "Invalid credentials in Authorization header"}),
        "blocked": (403, {"Content-Type": "text/html"}),
        "proxy": (407, {}),
        "login": (200, {"Content-Type": "text/html"}),
        "portal": (302, {"Location": "/login"}),
    }
    spoilt: ClassVar = {  # name of a repository -> the file that is sent in a bad way, by a method of that name
        "endless": "model.safetensors",
        "flood": "config.json",
        "short": "model.safetensors",
        "elsewhere": "model.safetensors",
    }
    unsized: ClassVar = {"unsized": "tokenizer.json"}  # name of a repository -> the file whose size it does not know
    page = b"<!DOCTYPE html><html>Please log in</html>"

    def log_message(self, *arguments):
        """Keep quiet."""

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = unquote(self.path.split("?")[0])
        if path == "/login":
            return self.reply(200, self.page, {"Content-Type": "text/html"})
        asked = re.fullmatch(r"(?:/api/models)?/lab/([^/]+)(?:/(?:revision|resolve)/(refs/pr/\d+|[^/]+))?/?(.*)", path)
        name, revision, file = asked.groups() if asked else ("", "main", "")
        if name in self.refusals and not (name == "waiting" and not file):
            status, headers = self.refusals[name]
            return self.reply(status, self.page, headers)
        if name == "hanging":
            return time.sleep(3)
        if name == "chatty" and not file:
            with suppress(OSError):  # a list without an end
                self.reply(200, b'{"id": [', {"Content-Type": "application/json"}, length=False)
                while True:
                    self.wfile.write(b"0," * 50_000)
        if name == "odd":
            return self.reply(200, b'{"login": true}', {"Content-Type": "application/json"})
        key = name if revision in (None, "main", self.commit) else f"{name}@{revision}"
        if key not in self.folders:
            code = "RevisionNotFound" if name in self.folders else "RepoNotFound"
            return self.reply(404, b"{}", {"X-Error-Code": code})
        if not file:
            return self.describe(name, self.folders[key])
        path = self.folders[key] / file
        if not path.is_file():
            return self.reply(404, b"", {"X-Error-Code": "EntryNotFound"})
        body, headers = path.read_bytes(), {"ETag": f'"{key}-{file}"', "X-Repo-Commit": self.commit}
        if self.command == "GET" and file == self.spoilt.get(name):
            return getattr(self, name)(body, headers)
        return self.reply(200, body, headers)

    def endless(self, body, headers):
        """Send a file, and go on for ever."""
        self.reply(200, body, headers, length=False)
        with suppress(OSError):  # until whoever asked hangs up
            while True:
                self.wfile.write(bytes(100_000))

    flood = endless

    def short(self, body, headers):
        """Send less of a file than was said."""
        self.reply(200, body[:-1000], headers, length=False)

    def elsewhere(self, body, headers):
        """Send to another place, where there is a page for people."""
        self.reply(302, b"", {"Location": f"http://localhost:{self.server.server_port}/login"})

    def describe(self, name, folder):
        """Answer what a repository holds."""
        paths = [path for path in folder.rglob("*") if path.is_file()]
        files = {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}
        if name != "nested":
            files["onnx/model.onnx"] = 10**9
        counts = {"I32": 700_000, "F16": 40_000} if name == "packed" else {"F32": 740_000}
        about = {
            "id": f"lab/{name}",
            "sha": self.commit,
            "siblings": [
                {"rfilename": file} | ({"size": size} if file != self.unsized.get(name) else {})
                for file, size in files.items()
            ],
            "safetensors": {"parameters": counts, "total": 740_000},
        }
        self.reply(200, json.dumps(about).encode(), {"Content-Type": "application/json"})

    def reply(self, status, body, headers, length=True):
        """Send an answer, without its body to HEAD."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@contextmanager
def hub(**folders):
    """Serve repositories of an owner called lab, and yield the address."""
    handler = type("OwnHub", (Hub,), {"folders": folders})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def run(code, endpoint, home, **variables):
    """Run code in a process of its own, whose hub and cache are elsewhere; return what it prints."""
    code = "from attn.pretrained import *\nfrom attn.pretrained.loading import catalogue\n" + code
    variables |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    return printed(code, **variables).splitlines()


SAY = """
for name in {names}:
    try:
        print(inspect(name).where)
    except ModelError as error:
        print(error)
"""


REFUSED = {
    "lab/secret": "lab/secret is gated: ask for access on https://huggingface.co/lab/secret, make a token on "
    "https://huggingface.co/settings/tokens and set it as HF_TOKEN",
    "lab/waiting": "lab/waiting is gated: ask for access",  # its files are refused, and what it holds is told
    "lab/nothing": "there is no public model called lab/nothing on the hub; it may be misspelt, or a private",
    "lab/tiny@nowhere": "lab/tiny has no revision nowhere on the hub",
    "lab/pickle": "lab/pickle has no safetensors file, only pytorch_model.bin",
    "lab/packed": "the weights of lab/packed are quantised (GPTQ, 4 bits)",
    "lab/slow": "the hub does not hand out lab/slow: it has a fault of its own (500)",
    "lab/busy": "the hub does not hand out lab/busy now: too many requests",
    "lab/blocked": "lab/blocked is not on this machine, and what answers in place of the hub is no hub",
    "lab/login": "lab/login is not on this machine, and what answers in place of the hub is no hub",
    "lab/portal": "lab/portal is not on this machine, and what answers in place of the hub is no hub",
    "lab/odd": "lab/odd is not on this machine, and what answers in place of the hub is no hub",
    "lab/proxy": "the proxy on the way to the hub (HTTPS_PROXY) asks for a name and a password",
    "lab/around": "lab/around holds a model in a folder of its own and none at its top: open "
    "https://huggingface.co/lab/around/tree/main/inner",
    "https://huggingface.co/lab/around/tree/main/elsewhere": "lab/around has no folder elsewhere on the hub",
}
WITH_TOKEN = {
    "lab/expired": "the hub does not accept your HF_TOKEN (401), which may have expired: make a new one on",
    "lab/waiting": "lab/waiting is gated, and the account of your HF_TOKEN has not been let in",
    "lab/nothing": "there is no public model called lab/nothing on the hub; it may be misspelt, or one that your",
}


def repositories(tiny, folder):
    """Make repositories of other kinds out of one model."""
    made = {name: Path(shutil.copytree(tiny, folder / name)) for name in ("pickle", "packed", "waiting", "revised")}
    pickle_only(made["pickle"])
    config = json.loads((tiny / "config.json").read_text())
    method = {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    (made["packed"] / "config.json").write_text(json.dumps(config | method))
    for name, inside in (("around", "inner"), ("nested", "0_Transformer")):
        made[name] = folder / name
        shutil.copytree(tiny, made[name] / inside)
    modules = [{"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}]
    (made["nested"] / "modules.json").write_text(json.dumps(modules))
    made["sharded"] = folder / "sharded"
    transformers.AutoModel.from_pretrained(tiny).save_pretrained(made["sharded"], max_shard_size="1MB")
    for file in TOKENIZER_FILES:
        shutil.copy(tiny / file, made["sharded"])
    made["parts"] = Path(shutil.copytree(made["sharded"], folder / "parts"))
    (made["parts"] / "model.safetensors.index.json").unlink()
    (made["parts"] / "config.json").write_text((tiny / "config.json").read_text(), encoding="utf-8-sig")
    return made | {"tiny": tiny, "unsized": tiny, "tiny@refs/pr/1": made.pop("revised")}


def test_what_the_hub_refuses_or_another_answers_is_one_sentence(tiny, tmp_path):
    with hub(**repositories(tiny, tmp_path)) as endpoint:
        said = run(SAY.format(names=list(REFUSED)), endpoint, tmp_path / "home")
        with_token = run(SAY.format(names=list(WITH_TOKEN)), endpoint, tmp_path / "home", HF_TOKEN="hf_of_a_test")
    for sentences, expected in ((said, REFUSED), (with_token, WITH_TOKEN)):
        for sentence, begins in zip(sentences, expected.values(), strict=True):
            assert sentence.startswith(begins), sentence
            assert "hf_of_a_test" not in sentence


def test_a_hub_that_hangs_or_sends_what_it_did_not_say_is_one_sentence(tiny, tmp_path):
    expected = {
        "lab/hanging": "lab/hanging is not on this machine, and the hub cannot be reached: it did not answer in time",
        "lab/chatty": "lab/chatty is not on this machine, and what answers in place of the hub is no hub",
        "lab/vast": "the config.json of lab/vast must have at most 20,000,000 bytes, got 20,000,001",
        "lab/flood": "the hub sends more of lab/flood than the 20,000,000 bytes expected: try again later",
        "lab/endless": "the hub sends more of lab/endless than the ",
        "lab/short": "a file of lab/short did not come whole from the hub, or another came in its place",
        "lab/elsewhere": "a file of lab/elsewhere did not come whole from the hub, or another came in its place",
    }
    code = f"""
catalogue.TIMEOUT = 0.5
for name in {list(expected)}:
    try:
        print(fetch(inspect(name)))
    except ModelError as error:
        print(error)
"""
    vast = Path(shutil.copytree(tiny, tmp_path / "vast"))
    (vast / "config.json").write_bytes(b" " * 20_000_001)
    with hub(vast=vast, hanging=tiny, flood=tiny, endless=tiny, short=tiny, elsewhere=tiny) as endpoint:
        said = run(code, endpoint, tmp_path / "home")
    assert [sentence[: len(begins)] for sentence, begins in zip(said, expected.values(), strict=True)] == [
        *expected.values()
    ]
    brought = sum(path.stat().st_size for path in (tmp_path / "home").rglob("*") if path.is_file())
    assert brought < 30_000_000 + 4 * (tiny / "model.safetensors").stat().st_size


def test_a_home_that_cannot_be_written_is_one_sentence_with_what_to_set(tiny, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with hub(tiny=tiny) as endpoint:
        for home, needed in ((tmp_path / "file", tmp_path / "file"), (Path("/proc/none"), Path("/proc/none/hub"))):
            (said,) = run(SAY.format(names=["lab/tiny"]), endpoint, home)
            assert said.startswith(f"lab/tiny needs {needed}, which cannot be used: ")
            assert said.endswith("; another folder can be set as HF_HOME")


@pytest.mark.parametrize("kind", [PermissionError, FileNotFoundError])
def test_a_file_in_the_cache_that_is_forbidden_or_missing_is_told_apart(kind):
    from huggingface_hub import constants

    number = {PermissionError: errno.EACCES, FileNotFoundError: errno.ENOENT}[kind]
    said = str(errors.explain(kind(number, "why", f"{constants.HF_HUB_CACHE}/models--x--y/blob"), "x/y"))
    assert said.startswith("x/y needs ") == (kind is PermissionError)
    assert said.endswith("set as HF_HOME") == (kind is PermissionError)


def test_downloads_are_bounded_one_by_one_and_together(tiny, tmp_path):
    """By what is listed, before a byte comes; the limit of all counts what lies in the cache already."""
    code = """if True:
        for name, most, times in (("one", 1e3, 9), ("one", 1e9, 0.5), ("one", 1e9, 1.5), ("other", 1e9, 1.5)):
            try:
                found = inspect(f"lab/{name}")
                check_size(found, most)
                catalogue.check_hub_cache(found, times * found.bytes)
                print(fetch(found).is_dir())
            except ModelError as error:
                print(error)
    """
    with hub(one=tiny, other=tiny) as endpoint:
        said = run(code, endpoint, tmp_path / "home")
    together = "models of the hub must have at most … GB together on this server, got … GB that are here and … GB of "
    assert [re.sub(r"[\d.e-]+ GB", "… GB", each) for each in said] == [
        "lab/one must have at most … GB here, got … GB", f"{together}lab/one", "True", f"{together}lab/other",
    ]  # fmt: skip


def adapters(tiny, folder):
    """Make an adapter that lies beside its model, and one alone in a folder of a repository."""
    query = "base_model.model.encoder.layer.0.attention.self.query.lora"
    made = {"base": tiny, "beside": Path(shutil.copytree(tiny, folder / "beside")), "alone": folder / "alone"}
    for inside in (made["beside"], made["alone"] / "one"):
        inside.mkdir(parents=True, exist_ok=True)
        settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "base_model_name_or_path": "lab/base"}
        (inside / "adapter_config.json").write_text(json.dumps(settings))
        matrices = {f"{query}_A.weight": torch.ones(2, 24), f"{query}_B.weight": torch.ones(24, 2)}
        save_file(matrices, inside / "adapter_model.safetensors")
    return made


MEASURED = """
found = inspect("lab/tiny")
print(found.where, found.memory, sorted(found.files))
arrived = []
folder = catalogue.fetch(found, lambda bytes, total: arrived.append((bytes, total)))
print(arrived[-1][0] == arrived[-1][1] == found.bytes)
print(inspect("lab/tiny").where, (folder / "onnx").exists())
unsized = inspect("lab/unsized")
check_size(unsized, 1e9)
print(unsized.bytes, catalogue.fetch(unsized).is_dir())
"""
CACHED = 'loaded = load("lab/tiny"); print(loaded.where, loaded.num_layers, len(record(loaded, "a b").layers))\n'
AROUND = "https://huggingface.co/lab/around/tree/main/inner"
OPENED = f"""
for name in ("lab/sharded", "lab/parts", "lab/tiny@refs/pr/1", "lab/nested", "{AROUND}"):
    found = inspect(name)
    weights = catalogue.weights_in(fetch(found), name)
    print(found.where, "encoder.layer.1.attention.self.query.weight" in weights.entries)
"""
ADAPTED = """
for name in ("lab/beside", "https://huggingface.co/lab/alone/tree/main/one"):
    found = inspect(name)
    model = load(name)
    ours, base = (each.model.encoder.layer[0].attention.self.query.weight for each in (model, model.base))
    print(found.where, found.adapter.where, len(found.adapter.files), float((ours - base).mean().round(decimals=4)))
"""


@pytest.fixture(scope="module")
def told(tiny, tmp_path_factory):
    """What two processes print, part by part: one while there is a hub, and then one that has only the cache."""
    folder, parts = tmp_path_factory.mktemp("hub"), "\nprint('---')\n"
    with hub(**repositories(tiny, folder), **adapters(tiny, folder)) as endpoint:
        there = run(parts.join([MEASURED, OPENED, ADAPTED]), endpoint, folder / "home")
    gone = run(parts.join([CACHED, OPENED, ADAPTED]), "http://127.0.0.1:9", folder / "home")
    return [[part.splitlines() for part in "\n".join(lines).split("\n---\n")] for lines in (there, gone)]


def test_a_model_on_the_hub_is_measured_downloaded_and_then_found_in_the_cache(tiny, told):
    there, gone = told
    where, arrived, cached, unsized = there[0]
    files = sorted(path.name for path in tiny.iterdir())
    assert where == f"hub {4 * 740_000} {files}"
    assert arrived == "True"
    assert cached == "cache False"
    assert unsized == "None True"  # one whose files the hub does not know the sizes of
    assert gone[0] == ["cache 2 2"]


def test_bytes_that_are_told_on_the_way_and_on_disk_are_counted_once(tmp_path, monkeypatch):
    """As the hub's newer protocol, xet, tells them."""
    xet = pytest.importorskip("huggingface_hub.utils._xet_progress_reporting")
    arrived = []

    def bring(id, file, revision, tqdm_class):
        bars = xet.XetDownloadProgressReporter(
            reconstruction_desc=file, total=700, log_level=0, name="xet", tqdm_class=tqdm_class
        )
        for on_the_way, on_disk in ((400, 0), (700, 500), (700, 700)):
            told = {"total_transfer_bytes_completed": on_the_way, "total_bytes_completed": on_disk, "total_bytes": 700}
            rates = {"total_bytes_completion_rate": 1.0, "total_transfer_bytes_completion_rate": 1.0}
            bars.update_progress(SimpleNamespace(**told, **rates))
        bars.close()
        return str(tmp_path / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", bring)
    found = pretrained.Preflight("lab/one", "hub", 700, None, None, ("config.json",))
    assert pretrained.fetch(found, lambda *told: arrived.append(told)) == tmp_path
    assert arrived == [(500, 700), (700, 700)]


def test_models_of_the_hub_open_by_index_revision_and_folder(told):
    there, gone = told
    assert there[1] == ["hub True"] * 5
    assert gone[1] == ["cache True"] * 5


def test_adapters_on_the_hub_are_applied_at_once(told):
    """One lies beside its model, one alone in a folder of a repository."""
    there, gone = told
    assert there[2] == ["hub hub 2 4.0"] * 2
    assert gone[2] == ["cache cache 0 4.0"] * 2


def test_half_a_model_in_the_cache_is_said_where_the_hub_cannot_be_reached(tiny, tmp_path):
    ask = "try: {}\nexcept ModelError as error: print(error)"
    with hub(**repositories(tiny, tmp_path)) as endpoint:
        run('catalogue.inspect("lab/sharded")', endpoint, tmp_path / "home")  # brings the index alone
    (sentence,) = run(ask.format('load("lab/sharded")'), "http://127.0.0.1:9", tmp_path / "home")
    assert "safetensors files that its model.safetensors.index.json names, but" in sentence
    assert sentence.endswith("this is what is on this machine, and the hub cannot be reached")


def test_without_network_the_answer_comes_at_once(tmp_path):
    code = (
        "import time; begin = time.perf_counter()\n"
        + SAY.format(names=["gpt2"])
        + "\nprint(time.perf_counter() - begin)"
    )
    sentence, seconds = run(code, "http://127.0.0.1:9", tmp_path)
    assert sentence == "gpt2 is not on this machine, and the hub cannot be reached"
    assert float(seconds) < 5


def test_without_its_package_the_default_is_looked_for_elsewhere(tmp_path):
    code = "catalogue.DEFAULT_PACKAGE = 'not_installed'" + SAY.format(names=[pretrained.DEFAULT])
    (sentence,) = run(code, "http://127.0.0.1:9", tmp_path)
    assert sentence == f"{pretrained.DEFAULT} is not on this machine, and the hub cannot be reached"
