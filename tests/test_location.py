"""Locations on local and remote file systems."""

import pytest

from molre.errors import ConfigError
from molre.location import Location, home, place


def test_a_file_uri_is_the_path(tmp_path):
    assert Location.of(f"file://{tmp_path}/a") == Location.of(tmp_path / "a")
    assert Location.of(tmp_path).local == tmp_path


def test_writing_replaces_whole_files_and_leaves_nothing_beside(tmp_path):
    where = Location.of(tmp_path) / "deep" / "file"
    where.write_bytes(b"one")
    where.write_bytes(b"two")
    assert where.read_bytes() == b"two"
    assert (Location.of(tmp_path) / "deep").names() == ["file"]


def test_an_upload_replaces_a_folder(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    target = Location.of(tmp_path / "target")
    target.upload(tmp_path / "a")
    target.upload(tmp_path / "b")
    assert target.names() == ["b"]
    assert Location.of(tmp_path).names() == ["a", "b", "target"]


def test_an_unknown_scheme_is_named():
    with pytest.raises(ConfigError, match="cannot open the location 'nowhere://x'"):
        Location.of("nowhere://x")


def test_a_relative_path_is_refused_where_a_submitted_job_runs(tmp_path, monkeypatch):
    folder = tmp_path / "working_dir_files" / "_ray_pkg_1"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigError, match="relative"):
        place("runs/x")
    assert place("/runs/x") == "/runs/x"


def test_home_is_a_setting(monkeypatch, tmp_path):
    monkeypatch.setenv("MOLRE_HOME", str(tmp_path))
    assert home() == tmp_path
