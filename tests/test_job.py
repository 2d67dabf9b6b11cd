"""Configuration from flags and YAML, and how a job ends."""

import dataclasses
import json
import sys
from typing import Literal

import pytest
import yaml

from molre.errors import ConfigError, StoreError
from molre.job import parse, run


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """A job."""

    out: str = "/nowhere"
    """Where."""
    rate: float = 1.0
    """How fast."""
    count: int | None = None
    """How many."""
    kind: Literal["a", "b"] = "a"
    """Which."""
    sizes: tuple[int, ...] = (1, 2)
    """How large."""


def saved(tmp_path, **values):
    file = tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump(values))
    return str(file)


def test_flags_win_over_yaml_and_yaml_over_defaults(tmp_path):
    config = parse(Config, ["--config", saved(tmp_path, rate=2, count=3, sizes=[4]), "--count", "5"])
    assert config == Config(rate=2.0, count=5, sizes=(4,))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"speed": 1}, "unknown key 'speed'"),
        ({"rate": "fast"}, "rate is 'fast'"),
        ({"kind": "c"}, "choose from a, b"),
        ({"count": True}, "count is True"),
    ],
)
def test_wrong_yaml_is_named(tmp_path, values, said):
    with pytest.raises(ConfigError, match=said):
        parse(Config, ["--config", saved(tmp_path, **values)])


@pytest.mark.parametrize("flags", [["--rate", "fast"], ["--speed", "1"], ["--kind", "c"], ["--config"]])
def test_wrong_flags_are_one_line(flags):
    with pytest.raises(ConfigError) as error:
        parse(Config, flags)
    assert "\n" not in str(error.value)
    assert flags[0] in str(error.value)


def test_the_saved_configuration_starts_the_same_job(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["job", "--out", str(tmp_path), "--sizes", "3", "4"])
    with pytest.raises(SystemExit) as stop:
        run(lambda config: {"made": 7}, Config)
    assert stop.value.code == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["made"] == 7
    assert summary["config"]["sizes"] == [3, 4]
    assert summary["seconds"] >= 0
    assert parse(Config, ["--config", str(tmp_path / "config.yaml")]) == Config(out=str(tmp_path), sizes=(3, 4))


def test_an_error_is_one_line_and_status_two(tmp_path, monkeypatch, capsys):
    def fails(config):
        raise StoreError("two\nlines")

    monkeypatch.setattr(sys, "argv", ["job", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        run(fails, Config)
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: two lines\n"
    assert not (tmp_path / "summary.json").exists()
