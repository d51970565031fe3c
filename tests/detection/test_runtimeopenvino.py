"""OpenVINO does without its telemetry: no look-up of a host, no file in the home folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("openvino")

from metaphase.models.modelfile import default_model, load_model

WAYS = {
    "runtime": "from metaphase.detection.runtime import open_runtime\n"
    "from metaphase.models.modelfile import load_model\n"
    "open_runtime(load_model('compact'), 'openvino')",
    "bfloat16": "from metaphase.detection.runtimeopenvino import computes_bf16\ncomputes_bf16()",
    "import": "from metaphase.detection.runtimeopenvino import import_openvino\nimport_openvino()",
}

# Every look-up of a host and every connection is recorded, also in threads, and refused.
TRACED = """
import socket, sys, time
calls = []
def refuse(name):
    def call(*arguments, **options):
        calls.append((name, arguments))
        raise OSError("the network is cut")
    return call
for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "create_connection"):
    setattr(socket, name, refuse(name))
socket.socket.connect = refuse("connect")
sys.addaudithook(
    lambda event, arguments: calls.append((event, arguments))
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname") else None
)
{code}
time.sleep(1)
assert "openvino" in sys.modules
assert calls == [], calls
assert sys.modules["openvino_telemetry"] is None
print("quiet")
"""


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_looked_up(way: str, tmp_path: Path) -> None:
    import os

    code = TRACED.format(code=WAYS[way])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HOME": str(tmp_path), "CI": ""},
    )
    assert (done.returncode, done.stdout) == (0, "quiet\n"), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_name_has_library_version_and_device() -> None:
    from metaphase.detection.runtimeopenvino import OpenVinoRuntime

    runtime = OpenVinoRuntime(load_model(default_model()), cores=1)
    assert runtime.name.startswith("openvino 20")
    assert runtime.name.endswith("cpu")
    assert (runtime.streams, runtime.batch, runtime.precision) == (1, 1, "fp32")
