"""A Ray cluster of several nodes on this machine, in a process of its own that is told what to do line by line."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    # A node that is killed is given up after two seconds.
    "RAY_health_check_initial_delay_ms": "500",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "500",
    "RAY_health_check_failure_threshold": "4",
}


class Nodes:
    """A head of one CPU, and nodes of one CPU each that come and go.

    Attributes:
        address: of the cluster.
        token: file that holds what its clients need, and by which its processes are known.
    """

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="molre-nodes-", dir="/tmp")
        self.token = str(Path(self.folder.name, "token"))
        Path(self.token).write_text("0123456789abcdef" * 4)
        self.environment = {**ENVIRONMENT, "RAY_AUTH_TOKEN_PATH": self.token}
        self._process = subprocess.Popen(
            [sys.executable, __file__, self.folder.name], env=os.environ | self.environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.address = self._answer()

    def add(self) -> str:
        """Start a node, and its name."""
        return self._tell("add")

    def remove(self, name: str) -> None:
        """Kill a node with all its processes."""
        self._tell("remove", name)

    def drain(self, name: str, deadline_s: int) -> None:
        """Give notice that a node will be taken away."""
        subprocess.run(
            [Path(sys.executable).with_name("ray"), "drain-node", "--address", self.address, "--node-id", name,
             "--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot",
             "--deadline-remaining-seconds", str(deadline_s)],
            env=os.environ | self.environment, check=True, capture_output=True,
        )  # fmt: skip

    def close(self) -> None:
        """End every node."""
        self._process.stdin.close()
        self._process.wait(60)
        self.folder.cleanup()

    def _tell(self, *words: str) -> str:
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)["answer"]
        raise AssertionError("the cluster's process has ended")


def serve(folder: str) -> None:
    """Do what standard input says, until it ends."""
    from ray.cluster_utils import Cluster

    Path("/tmp/ray").mkdir(exist_ok=True)  # where cluster_utils writes the address, whatever temp_dir is
    settings = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    head = {**settings, "temp_dir": f"{folder}/ray", "include_dashboard": False}
    cluster, nodes = Cluster(initialize_head=True, head_node_args=head), {}
    print(json.dumps({"answer": cluster.address}), flush=True)
    for line in sys.stdin:
        word, *names = line.split()
        answer = ""
        if word == "add":
            node = cluster.add_node(**settings)
            answer = node.node_id
            nodes[answer] = node
        else:
            cluster.remove_node(nodes.pop(names[0]), allow_graceful=False)
        print(json.dumps({"answer": answer}), flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    serve(sys.argv[1])
