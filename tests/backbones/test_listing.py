"""``python -m molre.backbones``: every backbone of whatever family, as text and as JSON."""

import json
import runpy
import sys
from dataclasses import replace

import pytest

from molre.backbones import BACKBONES, VolumeInput, register, spec_named


@pytest.fixture
def told(monkeypatch, capfd):
    """Runs the command in this process and returns exit status, stdout and stderr."""

    def ran(*words):
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["backbones", *words])
        with pytest.raises(SystemExit) as stop:
            runpy.run_module("molre.backbones", run_name="__main__", alter_sys=True)
        out = capfd.readouterr()
        return stop.value.code, out.out, out.err

    return ran


@pytest.fixture
def of_remote_code():
    """A 3D backbone whose network only its own code knows."""
    spec = replace(
        spec_named("dinov3-vitb16"),
        name="remote-3d",
        input=VolumeInput(shape=(8, 16, 16), spacing_mm=(4.0, 1.0, 1.0)),
        parameters=None,
        remote_code=True,
    )
    register(spec)
    yield spec
    del BACKBONES[spec.name]


def test_the_table_has_a_line_a_backbone_and_a_paragraph_of_what_it_takes(told):
    status, out, _ = told()
    lines = out.splitlines()
    assert status == 0
    assert lines[0].split() == [
        "name",
        "dims",
        "width",
        "published",
        "built",
        "difference",
        "tensors",
        "offline",
        "input",
    ]
    assert [line.split()[0] for line in lines[1 : 1 + len(BACKBONES)]] == list(BACKBONES)
    words = " ".join(out.split())
    for spec in BACKBONES.values():
        for fact in (spec.title, spec.licence, spec.access, spec.count_source, spec.input.wish):
            assert " ".join(fact.split()) in words
        if spec.hub_id:
            assert f"hub {spec.hub_id}@{spec.revision or '(none pinned)'}" in words


def test_the_counts_are_of_networks_and_not_of_entries(told):
    _, out, _ = told()
    line = next(line for line in out.splitlines() if line.startswith("medgemma-4b "))
    assert line.split()[1:7] == ["2D", "1,152", "417M", "416,866,032", "-0.0%", "437"]
    line = next(line for line in out.splitlines() if line.startswith("fm-hct "))
    assert line.split()[3:6] == ["89,404,416", "89,404,416", "none"]


def test_json_says_the_same(told):
    status, out, _ = told("--json")
    facts = {row["name"]: row for row in json.loads(out)}
    assert status == 0
    assert list(facts) == list(BACKBONES)
    for name, spec in BACKBONES.items():
        assert facts[name]["built"] == spec.parameters
        assert facts[name]["revision"] == spec.revision
        assert facts[name]["offline"] is not spec.remote_code
    assert facts["dinov3-tiny"]["packaged"] is True
    assert facts["medimageinsight"]["tensors"] == 402


def test_remote_code_has_no_count_and_cannot_be_built_without_its_weights(told, of_remote_code):
    _, out, _ = told()
    line = next(line for line in out.splitlines() if line.startswith("remote-3d "))
    assert "remote code  remote code  remote code  no       8 x 16 x 16 voxels of 4 x 1 x 1 mm" in line
    assert "offline  not without its weights" in out
    row = json.loads(told("--json")[1])[-1]
    assert (row["name"], row["dims"], row["built"], row["tensors"], row["offline"]) == (
        "remote-3d",
        3,
        None,
        None,
        False,
    )


def test_a_wrong_flag_is_one_line_and_status_2(told):
    status, out, err = told("--jsn")
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
