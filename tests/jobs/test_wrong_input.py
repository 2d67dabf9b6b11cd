"""Wrong input to a job: one clear line on stderr, a non-zero exit, no traceback."""

import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def job(monkeypatch, capfd):
    """Run a job in this process and return its exit status and stderr."""

    def ran(name, *flags):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, flags)])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(REPOSITORY / "jobs" / f"{name}.py"), run_name="__main__")
        return stop.value.code, capfd.readouterr().err

    return ran


def assert_one_line(status, told, said):
    lines = [line for line in told.splitlines() if line.startswith("error:")]
    assert status == 2
    assert len(lines) == 1
    assert said in lines[0]
    assert "Traceback" not in told


def test_an_empty_folder(job, tmp_path):
    (tmp_path / "archive").mkdir()
    flags = ["--source", "dicom", "--root", tmp_path / "archive", "--store", tmp_path / "store"]
    assert_one_line(*job("ingest", *flags), "no DICOM")


@pytest.mark.ray
def test_a_text_file_named_dcm(job, tmp_path, ray_cluster):
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "note.dcm").write_text("not a scan")
    flags = ["--source", "dicom", "--root", tmp_path / "archive", "--store", tmp_path / "store"]
    flags += ["--key-file", tmp_path / "key"]
    assert_one_line(*job("ingest", *flags), "rejected")
    assert "note.dcm" in (tmp_path / "store" / "rejected.csv").read_text()


@pytest.mark.parametrize("name", ["train", "tune", "embed"])
def test_a_missing_store(job, tmp_path, name):
    flags = ["--store", tmp_path / "nothing", "--out", tmp_path / "out"]
    assert_one_line(*job(name, *flags), "there is no store at")


def test_a_missing_bundle(job, tmp_path, small_store):
    flags = ["--bundle", tmp_path / "nothing", "--store", small_store, "--out", tmp_path / "out"]
    assert_one_line(*job("evaluate", *flags), "no bundle")
    assert_one_line(*job("serve", "--bundle", tmp_path / "nothing"), "no bundle")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--backbone", "resnet"], "unknown backbone 'resnet': choose from dinov3-tiny"),
        (["--adapter", "magic"], "--adapter"),
        (["--site", "nowhere"], "nowhere"),
        (["--rank", "64"], "over the budget"),
        (["--weights", "/nowhere.safetensors"], "no weights at"),
        (["--epochs", "0"], "epochs is 0"),
        (["--lr", "1"], "--lr"),
        (["--config", "/nowhere.yaml"], "no configuration file"),
    ],
)
def test_wrong_flags_of_train(job, tmp_path, small_store, flags, said):
    assert_one_line(*job("train", "--store", small_store, "--out", tmp_path / "out", *flags), said)


def test_a_port_in_use(job, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert_one_line(*job("serve", "--bundle", tmp_path, "--port", port), "in use")


def test_a_wrong_key_in_yaml(job, tmp_path, small_store):
    (tmp_path / "c.yaml").write_text("epochz: 3\n")
    assert_one_line(*job("train", "--config", tmp_path / "c.yaml"), "unknown key 'epochz'")


@pytest.mark.slow
def test_a_job_started_by_hand_ends_with_status_two(tmp_path):
    command = [sys.executable, str(REPOSITORY / "jobs" / "train.py"), "--store", str(tmp_path / "nothing")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert_one_line(done.returncode, done.stderr, "there is no store at")


@pytest.mark.parametrize("name", ["ingest", "embed", "train", "tune", "evaluate", "benchmark", "serve", "pretrain"])
def test_help_names_every_flag_with_a_text(job, name, capfd):
    import dataclasses

    status, _ = job(name, "--help")
    assert status == 0
    module = runpy.run_path(str(REPOSITORY / "jobs" / f"{name}.py"))
    config = next(
        value for value in module.values()
        if isinstance(value, type) and dataclasses.is_dataclass(value) and hasattr(value, "__slots__")
        and value.__name__.endswith(("Config", "Job"))
    )  # fmt: skip
    assert dataclasses.fields(config)
