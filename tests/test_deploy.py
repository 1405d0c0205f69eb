"""What .github/DEPLOY.md shows is a configuration that nginx takes, and fits the app and itself."""

import contextlib
import http.client
import re
import subprocess
import time
from urllib.parse import urlsplit

import pytest
from processes import ROOT
from proxying import NGINX, documented, nginx_files
from serving import free_port

from attn.ui.settings import MEGABYTE, read_settings


@pytest.mark.skipif(NGINX is None, reason="no nginx")
def test_nginx_takes_the_configuration(tmp_path):
    done = subprocess.run([*nginx_files(tmp_path, 8080, (9001, 9002)), "-t"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


@pytest.mark.skipif(NGINX is None, reason="no nginx")
def test_an_address_with_a_folder_leads_to_its_last_name(tmp_path):
    """No process runs behind it: what is not sent elsewhere is the 502 of a server that was asked for in vain."""
    port = free_port()
    process = subprocess.Popen(nginx_files(tmp_path, port, (free_port(), free_port())))
    try:
        found = {address: _answer(port, address) for address in ADDRESSES}
    finally:
        process.terminate()
        process.wait(timeout=30)
    assert found == ADDRESSES


ADDRESSES = {  # what nginx answers to each, and where it sends a browser
    "/a/heads": (302, "/heads"),
    "/a/b/c": (302, "/c"),
    "/a/b%20c": (302, "/b"),
    "/a/%0d%0aX:1": (302, "/"),
    "/": (502, None),
    "/heads?seed=5": (502, None),
    "/static/js/index.js": (502, None),
    "/media/0123.png": (502, None),
    "/component/a/b.js": (502, None),
    "/_stcore/bidi-components/a/b.js": (502, None),
    "/heads/_stcore/health": (502, None),  # Streamlit asks there first
}


def _answer(port, address):
    """Return the status and the place a browser is sent to, once nginx listens."""
    for _ in range(100):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.closing(connection), contextlib.suppress(ConnectionRefusedError):
            connection.request("GET", address)
            answer = connection.getresponse()
            return answer.status, urlsplit(answer.headers["Location"]).path if "Location" in answer.headers else None
        time.sleep(0.05)
    raise RuntimeError("nginx must listen within 5 seconds")


def test_each_process_has_a_cookie_a_place_among_all_and_another_to_stand_in():
    block = documented("nginx")
    ports = re.findall(r"server 127\.0\.0\.1:(\d+)", re.search(r"upstream attention_lab_any \{(.*?)\}", block, re.S)[1])
    assert ports == ["8501", "8502"]
    for number, port in enumerate(ports, start=1):
        own = re.search(rf"upstream attention_lab_{number} \{{(.*?)\}}", block, re.S)[1]
        others = set(ports) - {port}
        assert re.findall(r"server 127\.0\.0\.1:(\d+) max_fails", own) == [port]
        assert set(re.findall(r"server 127\.0\.0\.1:(\d+) backup", own)) == others
        assert re.search(rf"~:{port}\$ +\"attention_lab={number};", block)
        assert re.search(rf"^ +{number} +attention_lab_{number};", block, re.M)


def test_nginx_lets_through_what_the_app_takes():
    allowed = int(re.search(r"client_max_body_size (\d+)m;", documented("nginx"))[1]) * MEGABYTE
    assert allowed > read_settings({}).here.upload_size


def test_the_settings_of_the_processes_make_sense():
    given = dict(pair.split("=") for pair in re.search(r"^Environment=(.*)$", documented("ini"), re.M)[1].split())
    found = read_settings(given)
    assert found.notices == ()
    assert found.here == found.elsewhere  # nginx is on the same machine, and so all visitors seem to be
    text = (ROOT / ".github/DEPLOY.md").read_text(encoding="utf-8")
    started = re.findall(r"^\.venv/bin/streamlit run .*--server\.port (\d+)(.*)$", text, re.M)
    assert started == [("8501", " &"), ("8502", " &")]  # the first would keep the terminal from the second
    assert f"export {' '.join(f'{name}={value}' for name, value in given.items())}" in text
