"""A training that asks for more than there is: the autoscaler brings nodes, it runs across them, and they go again."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
import yaml
from fault_runs import LONG, REPOSITORY, assert_same_run

pytestmark = [pytest.mark.ray, pytest.mark.faults]

TEMPLATE = REPOSITORY / "cluster" / "local-autoscaling.yaml"
RAY = str(Path(sys.executable).with_name("ray"))
HEAD_ID = "f" * 51 + "00000"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("", 0))
        return one.getsockname()[1]


def of_this_cluster(token: Path) -> list[int]:
    """Processes that were started with this test's token."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(entry.name) != os.getpid() and str(token).encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


class Growing:
    """A head of one CPU that grows by the template.

    Attributes:
        environment: of its clients.
    """

    def __init__(self):
        import ray

        self.folder = Path(tempfile.mkdtemp(prefix="molre-grow-", dir="/tmp"))
        self.token = self.folder / "token"
        self.token.write_text("0123456789abcdef" * 4)
        dashboard, port = free_port(), free_port()
        self.gcs = f"{ray.util.get_node_ip_address()}:{port}"
        self.environment = os.environ | {
            "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token),
            "RAY_FAKE_CLUSTER": "1", "RAY_enable_autoscaler_v2": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "RAY_CLOUD_INSTANCE_ID": HEAD_ID, "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
            "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "120",
        }  # fmt: skip
        self.environment.pop("RAY_ADDRESS", None)
        template = yaml.safe_load(TEMPLATE.read_text())
        template["provider"]["gcs_address"] = self.gcs  # nodes look for port 6379, where another cluster may be
        mine = self.folder / TEMPLATE.name
        mine.write_text(yaml.safe_dump(template))
        command = [
            RAY, "start", "--head", "--num-cpus=1", f"--autoscaling-config={mine}", f"--port={port}",
            "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}", f"--temp-dir={self.folder}/ray",
            f"--dashboard-agent-listen-port={free_port()}", f"--ray-client-server-port={free_port()}",
            f"--object-store-memory={100 * 2**20}",
        ]  # fmt: skip
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        self.dashboard = f"http://127.0.0.1:{dashboard}"

    @property
    def nodes(self) -> int:
        """Nodes that are alive."""
        from ray._raylet import GcsClient
        from ray.core.generated.gcs_pb2 import GcsNodeInfo

        nodes = GcsClient(address=self.gcs).get_all_node_info()
        return sum(node.state == GcsNodeInfo.GcsNodeState.ALIVE for node in nodes.values())

    def close(self) -> None:
        """End every process of this cluster and no other."""
        for what in (signal.SIGTERM, signal.SIGKILL):
            for pid in of_this_cluster(self.token):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, what)
            begun = time.monotonic()
            while of_this_cluster(self.token) and time.monotonic() < begun + 10:
                time.sleep(0.2)
        subprocess.run(["rm", "-rf", self.folder], check=False)


@pytest.fixture
def growing(monkeypatch):
    running = Growing()
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(running.token))
    yield running
    running.close()


def test_nodes_come_for_a_training_and_go_again(small_store, features, calm, growing, tmp_path):
    assert growing.nodes == 1
    flags = {"store": small_store, "features": features, "out": tmp_path, **LONG, "workers": 3}
    words = [str(word) for name, value in flags.items() for word in (f"--{name.replace('_', '-')}", value)]
    # Ray Train asks Ray's state of the one cluster it finds on the machine, and there is a second one here.
    told_where = json.dumps({"env_vars": {"RAY_ADDRESS": growing.gcs}})
    command = [RAY, "job", "submit", "--address", growing.dashboard, "--working-dir", str(REPOSITORY)]
    command += ["--runtime-env-json", told_where, "--", "python", "jobs/train.py", *words, "--no-evaluate"]
    job = subprocess.Popen(
        command, env=growing.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    told: list[str] = []
    reader = threading.Thread(target=lambda: told.append(job.stdout.read()), daemon=True)
    reader.start()
    counts = [1]
    begun = time.monotonic()
    while (job.poll() is None or counts[-1] != 1) and time.monotonic() < begun + 400:
        now = growing.nodes
        if now != counts[-1]:
            counts.append(now)
        time.sleep(0.3)
    reader.join(10)
    assert job.returncode == 0, told[0][-3000:]
    assert "the cluster offers 1 of 3 workers; waiting for more" in told[0]
    assert max(counts) == 3
    assert counts[-1] == 1, counts
    assert_same_run(tmp_path, calm, exactly=False)
