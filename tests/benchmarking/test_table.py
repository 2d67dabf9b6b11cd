"""The table of a benchmark from its cells' predictions."""

import io

import pandas as pd
import pytest
from PIL import Image
from test_gains import KNOWN, labels_of, scored

from molre.benchmarking.account import account
from molre.benchmarking.cell import Cell, Result, cells
from molre.benchmarking.config import BenchmarkConfig
from molre.benchmarking.figure import png
from molre.benchmarking.table import differences, frame, markdown, table
from molre.errors import ConfigError
from molre.evaluation.comparison import compare

SKILLS = {"none": 0.4, "lora": 0.8, "mlp": 0.8, "molre": 1.4}


@pytest.fixture(scope="module")
def results():
    labels = labels_of(200)
    made = []
    for cell in cells(BenchmarkConfig(store="/nowhere", out="/nowhere/out", seeds=3)):
        facts = {"added_parameters": 100, "added_fraction": 0.004, "train_s": 36.0, "evaluate_s": 5.0}
        seed = 10 * list(SKILLS).index(cell.adapter) + cell.seed
        gates = {
            "site": "feature",
            "experts": 6,
            "effective_experts": 4.0,
            "entropy": 0.7,
            "dominant_share": [1 / 6] * 6,
        }
        experts = [gates] if cell.adapter == "molre" else []
        scores = scored(labels, skill=SKILLS[cell.adapter], seed=seed)
        made.append(Result(cell=cell, facts=facts, scores=scores, experts=experts))
    return made


@pytest.fixture(scope="module")
def made(results):
    return table(results, resamples=300)


def test_a_row_a_pair_with_gains_over_what_stands_beside_it(made):
    assert [row.adapter for row in made.rows] == list(SKILLS)
    assert {row.adapter: set(row.gains) for row in made.rows} == {
        "none": set(), "lora": {"none", "mlp"}, "mlp": {"none", "lora"}, "molre": {"none", "lora", "mlp"},
    }  # fmt: skip
    molre = made.rows[-1]
    assert molre.gains["none"].macro.low > 0
    assert molre.gains["none"].macro.value == pytest.approx(molre.auc.value - made.rows[0].auc.value)
    assert made.rows[1].gains["mlp"].macro.value == pytest.approx(-made.rows[2].gains["lora"].macro.value)


def test_the_gain_is_the_mean_of_the_seeds_paired_comparisons(results, made):
    by_cell = {(each.cell.adapter, each.cell.seed): each.scores for each in results}
    paired = [compare(by_cell["molre", s], by_cell["lora", s], resamples=0).macro.value for s in range(3)]
    assert made.rows[-1].gains["lora"].macro.value == pytest.approx(sum(paired) / 3)


def test_columns_and_text_say_the_same(made):
    plain = frame(made, workers=2, price=None)
    assert list(plain["adapter"]) == list(SKILLS)
    assert plain["worker_hours"].tolist() == pytest.approx([2 * 36 / 3600] * 4)
    assert pd.isna(plain.loc[0, "gain_over_none"])
    assert plain.loc[3, "effective_experts"] == 4
    told = markdown(made, workers=2, price=None)
    assert f"{plain.loc[3, 'auc']:.3f} ({plain.loc[3, 'auc_low']:.3f} to" in told
    assert f"over the {KNOWN} of 75 findings" in told
    priced = frame(made, workers=2, price=3.0)
    assert priced["cost"].tolist() == pytest.approx([0.06] * 4)
    assert "cost" in markdown(made, workers=2, price=3.0)


def test_every_comparison_has_a_row_a_finding(made):
    rows = differences(made)
    assert len(rows) == KNOWN * sum(len(row.gains) for row in made.rows)
    one = rows[(rows.adapter == "molre") & (rows.reference == "none")]
    assert (one["auc"] - one["auc_reference"]).tolist() == pytest.approx(one["gain"].tolist())
    assert (one["p_holm"] >= one["p"]).all()


def test_the_account_says_what_was_gained_where_and_by_which_experts(results, made, small_store):
    told = account(BenchmarkConfig(store=small_store, seeds=3), made, results)
    gain = made.rows[-1].gains["none"].macro
    assert f"over none: {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})" in told
    assert "ahead with 3 of 3 seeds: **a gain**" in told
    assert "48 series of source test (30 train, 9 val, 9 test)" in told
    assert "In use are 4.00 experts on average" in told
    assert "| 2 | feature | 6 | 4.00 | 0.700 | 17%, 17%" in told
    assert "python jobs/benchmark.py --seeds 3" in told


def test_the_picture_is_one(made):
    picture = Image.open(io.BytesIO(png(made)))
    assert picture.width > 1000
    assert len(set(picture.convert("L").tobytes())) > 20


def test_lora_and_mlp_get_the_parameters_of_molre():
    from molre.adapters.attachment import planned_for
    from molre.backbones import outline

    config = BenchmarkConfig(store="/nowhere", out="/nowhere/out", seeds=1, backbones=("dinov3-tiny", "dinov3-vitb16"))
    added = {
        (cell.backbone, cell.adapter): planned_for(outline(cell.backbone), cell.training.adapter_config).added
        for cell in cells(config)
        if cell.adapter != "none"
    }
    for backbone in config.backbones:
        ours = added[backbone, "molre"]
        for adapter in ("lora", "mlp"):
            assert 0.95 * ours <= added[backbone, adapter] <= ours


def test_a_large_backbone_is_left_out_for_full(capsys):
    config = BenchmarkConfig(
        store="/nowhere", out="/nowhere/out", seeds=1, adapters=("none", "full"), backbones=("dinov3-vitb16",)
    )
    assert [cell.adapter for cell in cells(config)] == ["none"]
    assert "dinov3-vitb16 is left out for full" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("setting", "sentence"), [({"seeds": 0}, "seeds is 0"), ({"adapters": ("lora", "lora")}, "each once")]
)
def test_what_cannot_be_is_refused(setting, sentence):
    with pytest.raises(ConfigError, match=sentence):
        BenchmarkConfig(store="/nowhere", **setting)


def test_an_unknown_name_is_found_before_anything_is_trained():
    with pytest.raises(ConfigError, match="dinov9"):
        cells(BenchmarkConfig(store="/nowhere", backbones=("dinov9",)))


def test_a_cell_has_a_name():
    (cell,) = cells(BenchmarkConfig(store="/nowhere", seeds=1, adapters=("molre",)))
    assert isinstance(cell, Cell)
    assert cell.name == "dinov3-tiny, molre, seed 0"
