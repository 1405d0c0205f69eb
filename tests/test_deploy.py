"""What .github/DEPLOY.md shows is a configuration that nginx takes, and fits the app and itself."""

import re
import subprocess

import pytest
from processes import ROOT
from proxying import NGINX, documented, nginx_files

from attn.ui.settings import MEGABYTE, read_settings


@pytest.mark.skipif(NGINX is None, reason="no nginx")
def test_nginx_takes_the_configuration(tmp_path):
    done = subprocess.run([*nginx_files(tmp_path, 8080, (9001, 9002)), "-t"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


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
