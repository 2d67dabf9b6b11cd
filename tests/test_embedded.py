"""The bundle of a job that is told nothing: made where there is none that this molre reads."""

import json

import pytest

from molre.bundle import SCHEMA, schema_of


def test_the_schema_is_read_from_the_manifest_alone(tmp_path):
    assert schema_of(tmp_path) is None
    for text, version in (('{"schema": 2}', 2), ("[]", None), ("{", None), ('{"schema": "3"}', None)):
        (tmp_path / "bundle.json").write_text(text)
        assert schema_of(tmp_path) == version


@pytest.mark.slow
def test_a_bundle_of_an_older_molre_is_made_anew_with_a_line(ray_cluster, small_store, tmp_path, monkeypatch, capfd):
    import shutil

    from molre.bundle import load_bundle
    from molre.embedded import default_bundle
    from molre.sources.ingest import IngestConfig
    from molre.training.config import TrainConfig

    monkeypatch.setenv("MOLRE_HOME", str(tmp_path))
    shutil.copytree(small_store, IngestConfig().store)
    folder = tmp_path / TrainConfig().out / "bundle"
    folder.mkdir(parents=True)
    (folder / "bundle.json").write_text(json.dumps({"schema": SCHEMA - 1}))
    place = default_bundle()
    told = capfd.readouterr().out
    assert told.count(f"has schema {SCHEMA - 1}, this molre reads {SCHEMA}: making it anew") == 1
    load_bundle(place)
    assert default_bundle() == place
    assert "anew" not in capfd.readouterr().out
