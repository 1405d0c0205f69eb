"""Several servers of the app behind nginx, in the configuration that .github/DEPLOY.md shows."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from serving import ROOT, free_port

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def documented(kind):
    """Return the block of a kind, such as nginx, that DEPLOY.md shows."""
    text = (ROOT / ".github/DEPLOY.md").read_text(encoding="utf-8")
    return re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL)[1]


def nginx_files(folder, port, ports):
    """Write the documented configuration into a folder, for nginx on a port before processes on others.

    Returns
    -------
    list of str
        The command that runs nginx with it.
    """
    block = documented("nginx").replace("listen 80;", f"listen 127.0.0.1:{port};")
    for written, real in zip((8501, 8502), ports, strict=True):
        block = block.replace(f":{written}", f":{real}")
    (folder / "attention-lab.conf").write_text(block)
    kept = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user} pid {folder}/pid; daemon off; error_log {folder}/error.log; events {{}}\n"
        f"http {{ {kept} access_log {folder}/access.log; include {folder}/attention-lab.conf; }}\n"
    )
    return [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")]


@contextlib.contextmanager
def behind_nginx(servers):
    """Run nginx before two servers until the block ends, and give its address."""
    if NGINX is None:
        raise RuntimeError("there must be an nginx, found none: apt install nginx")
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        command = nginx_files(Path(name), port, [server.address.rpartition(":")[2] for server in servers])
        process = subprocess.Popen(command)
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(100):
                with contextlib.suppress(urllib.error.URLError):
                    urllib.request.urlopen(f"{address}/_stcore/health", timeout=5).close()
                    break
                time.sleep(0.1)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=30)
