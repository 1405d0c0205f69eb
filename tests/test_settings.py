"""Each setting of a server is read, checked, in force for whom it is meant, and stands in the README's table."""

import ast
import logging
import re
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from driving import notices, opened
from processes import ROOT
from streamlit import config
from streamlit.testing.v1 import AppTest

from attn.pretrained import DEFAULT, threads
from attn.pretrained.intervention.presets import PRESETS
from attn.pretrained.loading import safetensors_file, smollm2
from attn.ui import settings
from attn.ui.settings import SETTINGS, is_elsewhere, read_settings
from attn.ui.shared_results import kept_results

NAMES = {setting.name: setting for setting in SETTINGS}
READ = [  # name, what is typed, what is read of it
    ("PUBLIC", "No", "no"),
    ("MODELS", "Hub", "hub"),
    ("SIZE_LIMIT", "5e8", 500_000_000),
    ("TEXT_LENGTH", " 3000 ", 3000),
    ("UPLOADS", "off", False),
    ("UPLOADS", True, True),
    ("UPLOAD_SIZE", "1_000", 1000),
    ("HEAVY_RUNS", 3, 3),
    ("KEPT_BYTES", "0", 0),
    ("HUB_BYTES", "5e9", 5_000_000_000),
    ("CACHE", "/kept/here", Path("/kept/here")),
]


@pytest.fixture
def server(monkeypatch):
    """A function that sets settings of the server that the pages run on, for one test."""
    before = config.get_option("server.maxUploadSize"), threads.heavy_queue.at_once

    def change(**given):
        for name, value in given.items():
            monkeypatch.setenv(f"ATTENTION_LAB_{name}", value)
        settings.server.clear()

    yield change
    monkeypatch.undo()
    settings.server.clear()
    config.set_option("server.maxUploadSize", before[0])
    threads.heavy_queue.at_once = before[1]


# reading


@pytest.mark.parametrize(("name", "typed", "value"), READ)
def test_what_is_typed_is_read_and_holds_for_all(name, typed, value):
    found = read_settings({f"ATTENTION_LAB_{name}": typed})
    assert getattr(found.here, name.lower()) == getattr(found.elsewhere, name.lower()) == value
    assert found.notices == ()


def test_every_setting_is_among_those_read_above():
    assert {f"ATTENTION_LAB_{name}" for name, *_ in READ} == set(NAMES)


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("PUBLIC", "maybe", "must be auto, yes or no, got maybe; yes is used"),
        ("MODELS", "none", "must be any, hub or default, got none; default is used"),
        ("SIZE_LIMIT", "lots", "must be a whole number of bytes, at least 1, got lots; 6e8 is used"),
        ("SIZE_LIMIT", "0", "must be a whole number of bytes, at least 1, got 0; 6e8 is used"),
        ("SIZE_LIMIT", "nan", "must be a whole number of bytes, at least 1, got nan; 6e8 is used"),
        ("SIZE_LIMIT", "1e999", "must be a whole number of bytes, at least 1, got 1e999; 6e8 is used"),
        ("TEXT_LENGTH", "3", "must be a whole number of characters, from 1,000 to 200,000, got 3; 20000 is used"),
        ("UPLOADS", "perhaps", "must be yes or no, got perhaps; yes is used"),
        ("UPLOAD_SIZE", "-5", "must be a whole number of bytes, at least 1, got -5; 10e6 is used"),
        ("HEAVY_RUNS", "1.5", "must be a whole number of runs, from 1 to 64, got 1.5; 2 is used"),
        ("KEPT_BYTES", "x" * 500, f"must be a whole number of bytes, at least 0, got {'x' * 59}…; 1.5e7 is used"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_and_the_careful_default_stands_in(name, typed, said):
    found = read_settings({f"ATTENTION_LAB_{name}": typed})
    assert found.notices == (f"The setting ATTENTION_LAB_{name} {said}.",)
    setting = NAMES[f"ATTENTION_LAB_{name}"]
    assert getattr(found.here, setting.field) == setting.read(setting.careful)


def test_a_name_that_is_no_setting_is_said():
    (notice,) = read_settings({"ATTENTION_LAB_MODEL": "default", "PATH": "/bin"}).notices
    assert notice.startswith("There is no setting ATTENTION_LAB_MODEL; the settings are ATTENTION_LAB_PUBLIC, ")


def test_careful_defaults_allow_no_more_than_the_others():
    found = read_settings({})
    assert (found.here.models, found.elsewhere.models) == ("any", "default")
    for field in ("size_limit", "text_length", "uploads", "upload_size", "heavy_runs", "kept_bytes", "hub_bytes"):
        assert getattr(found.elsewhere, field) <= getattr(found.here, field)


def test_a_server_can_be_public_for_all_or_for_nobody():
    public, own = (read_settings({"ATTENTION_LAB_PUBLIC": word}) for word in ("yes", "no"))
    assert public.here == public.elsewhere
    assert own.here == own.elsewhere
    assert (public.here.models, own.elsewhere.models) == ("default", "any")


@pytest.mark.parametrize(
    ("address", "headers", "elsewhere"),
    [
        (None, {"Host": "localhost:8501"}, False),
        (None, {"Host": "127.0.0.1:8501"}, False),
        (None, {"Host": "[::1]:8501"}, False),
        ("127.0.0.3", {"Host": "127.0.0.3"}, False),
        (None, {"Host": "0.0.0.0:8501"}, False),  # as a server on all networks says when it starts
        (None, {"Host": "[::]:8501"}, False),
        (None, {"Host": "lab.localhost:8501"}, False),
        ("192.168.1.7", {"Host": "0.0.0.0:8501"}, True),
        (None, {"Host": "example.org.notlocalhost"}, True),
        (None, {}, False),  # a page that a test runs without a server
        ("192.168.1.7", {"Host": "192.168.1.2:8501"}, True),
        ("192.168.1.7", {"Host": "localhost:8501"}, True),  # as a hostile visitor would say
        (None, {"Host": "lab.example.org"}, True),  # through a proxy on this machine
        (None, {"Host": "localhost", "X-Forwarded-For": "203.0.113.5"}, True),
        (None, {"Host": "localhost", "Forwarded": "for=127.0.0.1"}, True),
        (None, {"Host": "localhost.example.org"}, True),
        (None, {"Host": "[bad"}, True),
    ],
)
def test_who_comes_from_elsewhere(address, headers, elsewhere):
    assert is_elsewhere(address, headers) is elsewhere


def test_a_proxy_that_is_assumed_is_said_once_in_the_log(server, monkeypatch, caplog):
    server()
    for name in ("_visited_from_elsewhere", "_through_proxy"):
        monkeypatch.setattr(settings, name, threading.Event())
    monkeypatch.setattr(settings, "get_script_run_ctx", lambda: True)
    allowed = []
    with caplog.at_level(logging.WARNING):
        for host in ("localhost:8501", "lab.example.org", "lab.example.org", "localhost:8501"):
            visitor = SimpleNamespace(ip_address=None, headers={"Host": host})
            monkeypatch.setattr(settings.st, "context", visitor)
            allowed.append(settings.visitor_settings().models)
    assert allowed == ["any", "default", "default", "default"]
    said = [record.message for record in caplog.records if record.name == "attn.ui.settings"]
    assert said == [
        "A visitor came through a proxy on this machine, so the careful defaults hold for all visitors until the "
        "server is started again."
    ]


def test_every_box_for_text_says_how_much_it_takes():
    """A browser that is not told lets a visitor type more than is read."""
    silent = []
    for path in [*(ROOT / "attn/ui").rglob("*.py"), *(ROOT / "pages").rglob("*.py"), ROOT / "app.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or getattr(node.func, "attr", "") not in ("text_input", "text_area"):
                continue
            if "max_chars" not in [keyword.arg for keyword in node.keywords]:
                silent.append(f"{path.name}:{node.lineno}")
    assert silent == []


def test_the_table_in_the_readme_has_every_setting():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(ATTENTION_LAB_\w+)` \| (.*?) \| (.*?) \| (.*?) \|$", readme, re.MULTILINE)
    said = lambda value: f"`{value}`" if value else ""  # noqa: E731
    assert rows == [(each.name, said(each.default), said(each.careful), each.what) for each in SETTINGS]


def test_what_the_configuration_allows_is_the_default():
    written = re.search(r"^maxUploadSize = (\d+)$", (ROOT / ".streamlit/config.toml").read_text(), re.MULTILINE)
    assert int(written[1]) * settings.MEGABYTE >= read_settings({}).here.upload_size > (int(written[1]) - 1) * 1e6


# in force


@pytest.mark.parametrize("page", ["heads", "cost"])
def test_a_page_says_what_makes_no_sense_and_goes_on(server, caplog, page):
    server(SIZE_LIMIT="lots")
    with caplog.at_level(logging.WARNING):
        apps = [opened(page), opened(page)]
    said = "The setting ATTENTION_LAB_SIZE_LIMIT must be a whole number of bytes, at least 1, got lots; 6e8 is used."
    for app in apps:
        assert [warning.value.replace("\\", "") for warning in app.warning] == [said]
        assert app.get("vega_lite_chart")
    assert [record.message for record in caplog.records if record.name == "attn.ui.settings"] == [said]


def test_a_setting_may_stand_among_the_secrets(server):
    server()
    app = AppTest.from_file(ROOT / "pages/heads.py", default_timeout=60)
    app.secrets["ATTENTION_LAB_UPLOADS"] = False
    app.secrets["ATTENTION_LAB_HEAVY_RUNS"] = 7
    app.secrets["other"] = {"key": "value"}
    app.run()
    assert threads.heavy_queue.at_once == 7
    assert config.get_option("server.maxUploadSize") == 0


def test_secrets_that_cannot_be_read_make_a_server_careful(server, tmp_path, monkeypatch):
    (tmp_path / "secrets.toml").write_text("ATTENTION_LAB_MODELS = default")  # without its quotes
    before = config.get_option("secrets.files")
    config.set_option("secrets.files", [str(tmp_path / "secrets.toml")])
    try:
        server()
        found = settings.server()
    finally:
        config.set_option("secrets.files", before)
    assert found.notices == (f"The secrets in {tmp_path}/secrets.toml cannot be read; the careful defaults are used.",)
    assert found.here.models == "default"


def test_models_a_server_can_show_one_or_no_folders(server, tmp_path):
    server(MODELS="default")
    app = opened("pretrained", model=str(tmp_path))
    assert "Model" not in [box.label for box in app.selectbox]
    assert any("sentence-transformers/all-MiniLM-L6-v2" in each.value for each in app.sidebar.caption)
    assert not app.error
    server(MODELS="hub")
    app = opened("pretrained", model=str(tmp_path))
    assert "Model" in [box.label for box in app.selectbox]
    assert [error.value.replace("\\", "") for error in app.error] == [f"There is no folder {tmp_path} to open here."]


def test_size_limit_a_larger_model_is_refused_on_the_page(server, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    safetensors_file.write_tensors(tmp_path / "model.safetensors", {"a": (100, 100)}, [np.zeros((100, 100), "float32")])
    server(SIZE_LIMIT="30000")
    app = opened("pretrained", model=str(tmp_path))
    assert "must have at most 3e-05 GB here, got 4.01e-05 GB" in app.error[0].value.replace("\\", "")
    server(SIZE_LIMIT="50000")
    assert "must have at most" not in opened("pretrained", model=str(tmp_path)).error[0].value.replace("\\", "")


@pytest.mark.parametrize("page", ["pretrained", "inside", "change"])
def test_a_link_that_names_another_model_than_the_only_one_says_so(server, page):
    server(MODELS="default")
    app = opened(page, model="openai-community/gpt2")
    said = [notice.replace("\\", "").replace(":gray[]", "") for notice in notices(app)]
    assert said == [f":material/info: The link names openai-community/gpt2, but this server opens {DEFAULT} alone."]
    assert "model" not in app.query_params
    app.toggle(key=f"{page}.random").set_value(True).run()
    assert notices(app) == []
    assert notices(opened(page)) == []


def test_a_model_that_a_server_does_not_open_leaves_none_of_its_heads(server):
    server(MODELS="default")
    own = {"text": "My sister gave the book to her friend."}
    for page in ("pretrained", "inside", "change", "why"):
        usual = opened(page, **own).query_params | {"off": ""}  # Change begins without the heads of its first example
        named = opened(page, **own, model=smollm2.NAME, layer="24", head="5", cell="5.4")
        assert usual == named.query_params | {"off": ""}


@pytest.mark.parametrize("models", ["default", "hub"])
def test_change_offers_a_visitor_only_what_may_be_opened_and_done(server, monkeypatch, models):
    server(MODELS=models)
    monkeypatch.setattr(smollm2, "packaged", lambda: ROOT)
    tries = opened("change").button_group(key="change.tried").options
    known = [preset.title for preset in PRESETS.values() if models != "default" or preset.model == DEFAULT]
    assert tries == known
    for where in ("packaged", "cached"):
        monkeypatch.setattr(smollm2, where, lambda: None)
    assert not any("pip install" in caption.value for caption in opened("change").caption)


def test_text_length_holds_for_widgets_links_and_programs(server):
    server(TEXT_LENGTH="1000")
    app = opened("step_by_step", source="random", text="word " * 300)
    assert "In the link, text must be at most 1,000 characters long, got " in notices(app)[0].replace("\\", "")
    assert app.text_area[0].proto.max_chars == 1000
    app.text_area[0].set_value("word " * 300).run()
    assert len(app.session_state["step_by_step.last"].text) == 1000
    server(TEXT_LENGTH="2000")
    app = opened("step_by_step", source="random", text="word " * 300)
    assert notices(app) == []
    assert len(app.session_state["step_by_step.last"].text) == 1500


def shown_upload():
    """Draw the choice of a picture, as a page of a model that sees does."""
    from dataclasses import dataclass

    from attn.ui.controls.model_and_text import GIVEN
    from attn.ui.controls.upload import upload_control
    from attn.ui.link import link_choice
    from attn.ui.state import PageState

    @dataclass(frozen=True)
    class Setup:
        picture: str = link_choice("circle", GIVEN["picture"].by_rule)

    upload_control(PageState("any", Setup), GIVEN["picture"])


def test_uploads_can_be_off(server):
    server(UPLOADS="yes")
    app = AppTest.from_function(shown_upload).run()
    assert len(app.get("file_uploader")) == 1
    server(UPLOADS="no")
    app = AppTest.from_function(shown_upload).run()
    assert not app.exception
    assert len(app.get("file_uploader")) == 0
    assert "This server takes no picture of yours." in [caption.value for caption in app.caption]
    assert config.get_option("server.maxUploadSize") == 0  # nor does the address that files are sent to


def test_upload_size_a_larger_file_is_refused(server):
    data = (ROOT / "tests/screenshots/step_by_step.png").read_bytes()
    for size, refused in ((len(data) - 1, True), (len(data), False)):
        server(UPLOAD_SIZE=str(size))
        app = AppTest.from_function(shown_upload).run()
        assert app.get("file_uploader")[0].proto.max_upload_size_mb == -(-size // settings.MEGABYTE)
        app.file_uploader[0].set_value(("step_by_step.png", data, "image/png")).run()
        said = f"A picture must have at most {size:,} bytes, got {len(data):,}."
        assert [error.value.replace("\\", "") for error in app.error] == [said] * refused


def test_heavy_runs_so_many_go_on_at_once(server):
    server(HEAVY_RUNS="1")
    opened("heads")
    told = threading.Event()
    with threads.heavy():

        def other():
            with threads.heavy(lambda place: told.set()):
                pass

        waiting = threading.Thread(target=other)
        waiting.start()
        assert told.wait(10)
    waiting.join(10)
    server(HEAVY_RUNS="2")
    opened("heads")
    with threads.heavy(), threads.heavy():
        assert threads.heavy_queue.inside == 2


def test_kept_bytes_bound_what_is_kept(server):
    for most, left in (("1000", 2), ("999", 1), ("0", 1)):  # the newest stays, or every figure would ask for it anew
        server(KEPT_BYTES=most)
        kept_results().clear()
        for name in "ab":
            kept_results().put(("model", False, name), name, 500)
        assert [kept_results().get(("model", False, name)) for name in "ab"].count(None) == 2 - left
    kept_results().clear()


def test_a_cache_in_a_home_that_nobody_has_breaks_nothing(server):
    server(CACHE="~nobody-of-this-name/kept")
    assert opened("heads").get("vega_lite_chart")
