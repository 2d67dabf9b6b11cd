"""Settings from a deploy file and from the job's flags, and errors that say what to do."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from molre.errors import BundleError, ConfigError, MolreError
from molre.serving.app import build
from molre.serving.run import check_free
from molre.serving.settings import Settings, token_digest

REPOSITORY = Path(__file__).resolve().parents[2]


def test_an_unknown_key_of_a_deploy_file_is_an_error():
    with pytest.raises(ValidationError, match="tokenfile"):
        Settings.model_validate({"bundle": "x", "tokenfile": "y"})


def test_serve_deploy_finds_typed_arguments(bundle_folder):
    from ray.serve._private.api import call_user_app_builder_with_args_if_necessary

    application = call_user_app_builder_with_args_if_necessary(build, {"bundle": str(bundle_folder)})
    assert application is not None
    with pytest.raises(ValidationError):
        call_user_app_builder_with_args_if_necessary(build, {"bundle": str(bundle_folder), "port": 1})


def test_a_bundle_that_is_not_there_is_told_before_anything_starts(tmp_path):
    with pytest.raises(BundleError):
        build(Settings(bundle=str(tmp_path / "absent")))


def test_a_token_must_be_there_and_long_enough(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        token_digest(str(tmp_path / "absent"))
    short = tmp_path / "short"
    short.write_text("short\n")
    with pytest.raises(ConfigError, match="openssl"):
        token_digest(str(short))
    assert token_digest(None) is None


def test_a_port_in_use_is_told_in_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(MolreError, match=f"port {port} is in use: choose another with --port"):
            check_free("127.0.0.1", port)
    check_free("127.0.0.1", port)


@pytest.mark.slow
def test_the_job_ends_with_2_and_one_line_where_the_port_is_taken(bundle_folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "jobs/serve.py", "--bundle", str(bundle_folder), "--port", str(port)]
        ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert ended.stderr.strip() == f"error: port {port} is in use: choose another with --port"
