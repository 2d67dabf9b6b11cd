"""A local Ray with authentication on, the main job submitted to it, and nothing left running afterwards."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST_CPUS = 4  # each takes memory, and the demo is to stay below 6 GB
CHATTER = re.compile(
    r"Set ray log level|\w+\.py:\d+ --|DeepSpeed .* built successfully|^(\x1b\[\d+m)?\(\w+ pid=\d+\)(\x1b\[0m)?\s*$"
)
"""Lines of Ray's client and of DeepSpeed that say nothing about the job."""
PREFIX = re.compile(r"^\x1b\[\d+m\(\w+ pid=\d+\)\x1b\[0m ")
SET_CHILD_SUBREAPER = 36  # of <linux/prctl.h>
OBJECT_STORE_BYTES = 400 * 2**20  # Ray's least is 75 MB; the default, a third of the memory, is far too much for a demo


def main() -> int:
    """Run the demo and return the job's exit status."""
    os.chdir(ROOT)
    adopt()
    # Unix sockets lie in Ray's folder, and their paths may have 107 characters: hence /tmp and a short name.
    folder = Path(tempfile.mkdtemp(prefix="molre-", dir="/tmp"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    begun = time.monotonic()
    head = None
    try:
        environment = prepare(folder)
        dashboard = free_ports(1)[0]
        environment["RAY_ADDRESS"] = f"http://127.0.0.1:{dashboard}"
        head = start(folder, environment, dashboard)
        print(
            f"Ray is up (dashboard http://127.0.0.1:{dashboard}); results go to {environment['MOLRE_HOME']}", flush=True
        )
        status = submit(environment)
        print(f"demo {'finished' if status == 0 else 'failed'} after {time.monotonic() - begun:.0f} s", flush=True)
        return status
    except KeyboardInterrupt:
        print("interrupted: run make demo again to go on", file=sys.stderr)
        return 130
    finally:
        stop(head, folder)


def prepare(folder: Path) -> dict[str, str]:
    """The environment of Ray and of the job: a token of its own, no usage reports."""
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    return {
        **os.environ,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_BACKEND_LOG_LEVEL": "fatal",  # its internals would stand between the lines of the job
        "MOLRE_HOME": os.environ.get("MOLRE_HOME", str(ROOT / "runs")),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start(folder: Path, environment: dict[str, str], dashboard: int) -> subprocess.Popen[bytes]:
    """Start a head on ports of its own, beside any other Ray of the machine, and wait until it takes jobs."""
    gcs, client, agent = free_ports(3)
    cpus = max(2, min(MOST_CPUS, os.cpu_count() or 2))
    command = [
        str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--node-ip-address=127.0.0.1",
        f"--port={gcs}", f"--ray-client-server-port={client}", f"--dashboard-agent-listen-port={agent}",
        "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}", f"--temp-dir={folder}/ray",
        f"--num-cpus={cpus}", f"--object-store-memory={OBJECT_STORE_BYTES}",
    ]  # fmt: skip
    log = (folder / "ray.log").open("wb")
    head = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + 90
    while not answers(dashboard, environment):
        if head.poll() is not None or time.monotonic() > deadline:
            print((folder / "ray.log").read_text()[-2000:], file=sys.stderr)
            raise SystemExit("error: Ray did not start; its log is above")
        time.sleep(0.5)
    return head


def answers(port: int, environment: dict[str, str]) -> bool:
    """Whether the job server is there."""
    token = Path(environment["RAY_AUTH_TOKEN_PATH"]).read_text()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/jobs/", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def submit(environment: dict[str, str]) -> int:
    """Submit the main job and show what it prints."""
    ray = str(Path(sys.executable).with_name("ray"))
    command = [ray, "job", "submit", "--working-dir", ".", "--", "python", "jobs/train.py"]
    print(f"$ ray {' '.join(command[1:])}", flush=True)
    job = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert job.stdout is not None
    for line in job.stdout:
        if not CHATTER.search(line):
            print(PREFIX.sub("", line), end="", flush=True)
    return job.wait()


def stop(head: subprocess.Popen[bytes] | None, folder: Path) -> None:
    """End this demo's Ray and no other, and return when the last of its processes is gone."""
    ours = descendants(head.pid) if head is not None else {}
    if head is not None:
        head.terminate()
        try:
            head.wait(timeout=30)
        except subprocess.TimeoutExpired:
            head.kill()
    for sign in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + 5
        while (left := {**alive(ours), **owned(folder)}) and time.monotonic() < deadline:
            bury()
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sign)
            time.sleep(0.2)
    shutil.rmtree(folder, ignore_errors=True)


def adopt() -> None:
    """Become the parent of what Ray leaves behind, so that `bury` sees it end (prctl(2))."""
    with contextlib.suppress(OSError, AttributeError):  # other systems have no such call
        ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def bury() -> None:
    """Take note of every child that has ended; until then it stays in the list of processes."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def processes() -> Iterator[tuple[int, int, str]]:
    """Number, parent and start of every process; the start tells it from a later one with the same number."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            _, parent, *rest = (entry / "stat").read_text().rpartition(")")[2].split()
            yield int(entry.name), int(parent), rest[17]


def descendants(pid: int) -> dict[int, str]:
    """Start by number of the processes below one."""
    below: dict[int, str] = {}
    known = list(processes())
    parents = {pid}
    while parents:
        found = {number: start for number, parent, start in known if parent in parents}
        below |= found
        parents = set(found)
    return below


def alive(ours: dict[int, str]) -> dict[int, str]:
    """Those of the processes that are still there."""
    return {number: start for number, _, start in processes() if ours.get(number) == start}


def owned(folder: Path) -> dict[int, str]:
    """Processes of this demo: their environment names its token."""
    found = {}
    for number, _, start in processes():
        with contextlib.suppress(OSError):
            environment = Path(f"/proc/{number}/environ").read_bytes()
            if str(folder).encode() in environment and number != os.getpid():
                found[number] = start
    return found


if __name__ == "__main__":
    sys.exit(main())
