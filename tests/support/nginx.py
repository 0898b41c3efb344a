"""nginx in front of a device, with a server block of a test's own."""

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def proxy(nginx: str, folder: Path, server: str, port: int) -> Iterator[str]:
    """Run nginx with a server block like the documented one; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = free.getsockname()[1]
    block = re.sub(r"listen 443 ssl;|ssl_certificate(_key)? .*;", "", server)
    block = block.replace("server_name shelf.example;", f"listen 127.0.0.1:{listen};")
    block = block.replace("127.0.0.1:8765", f"127.0.0.1:{port}").replace("https", "http")
    config = folder / "nginx.conf"
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config.write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{block}\n}}\n"
    )
    process = subprocess.Popen([nginx, "-c", str(config), "-e", str(folder / "error.log")], cwd=folder)
    try:
        deadline = time.monotonic() + 30
        while True:
            assert process.poll() is None, (folder / "error.log").read_text()
            try:
                socket.create_connection(("127.0.0.1", listen), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
        yield f"http://127.0.0.1:{listen}/"
    finally:
        process.terminate()
        process.wait(20)
