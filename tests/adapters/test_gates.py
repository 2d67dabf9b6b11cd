"""Gates as they are told: recorded one by one, and summed up by a meter."""

import math

import pytest
import torch
from networks import adapted, configuration, inputs, shake

from molre.adapters import GateMeter, MolreConfig, gates, record_gates

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize("kind", ["molre", "molre-token"])
@pytest.mark.parametrize("form", ["linear", "conv2d", "conv3d"])
def test_a_meter_s_figures_are_those_of_the_recorded_gates(kind, form, monkeypatch):
    monkeypatch.setattr(gates, "PENDING", 40)  # so that it adds up between passes too
    model = adapted(kind, form)
    with record_gates(model) as recorded, GateMeter(model) as meter:
        for n in (3, 1, 4):
            model(inputs(form, n))
        with torch.no_grad():
            model(inputs(form, 2))
    for site, figures in meter.read().items():
        rows = torch.cat([passed.flatten(0, -2) for passed in recorded[site]]).double()
        assert figures.rows == len(rows)
        assert figures.mean == pytest.approx(rows.mean(0).tolist())
        assert figures.entropy == pytest.approx(float(-(rows * rows.log()).sum(1).mean() / math.log(3)))
        mean = rows.mean(0)
        assert figures.effective == pytest.approx(float((-(mean * mean.log()).sum()).exp()))
    assert meter.read().keys() == recorded.keys() == {"first", "second"}


def test_even_gates_use_all_experts_and_one_hot_gates_one():
    even = adapted("molre", "linear", shaken=False)
    with GateMeter(even) as meter:
        even(inputs("linear"))
    figures = meter.read()["first"]
    assert (figures.entropy, figures.effective) == (pytest.approx(1.0), pytest.approx(3.0))
    with torch.no_grad():
        even.base_model.model.first.molre_gate_bias["default"][1] = 200.0
    meter.reset()
    with meter:
        even(inputs("linear"))
    figures = meter.read()["first"]
    assert (figures.entropy, figures.effective) == (pytest.approx(0.0), pytest.approx(1.0))
    assert figures.mean == pytest.approx((0.0, 1.0, 0.0))


def test_outside_the_block_nothing_is_told_and_nothing_is_left_behind():
    model = adapted("molre", "linear")
    with GateMeter(model) as meter, record_gates(model):
        pass
    model(inputs("linear"))
    assert meter.read() == {}
    assert model.base_model.model.first.observers == ()


def test_observing_changes_neither_output_nor_gradient():
    model, x = adapted("molre", "linear"), inputs("linear")
    before = model(x)
    with GateMeter(model), record_gates(model) as recorded:
        assert torch.equal(model(x), before)
    assert not recorded["first"][0].requires_grad


def test_adapters_of_a_layer_are_told_apart():
    model = adapted("molre", "linear")
    model.add_adapter("other", configuration("molre"))
    model.base_model.set_adapter(["default", "other"])
    shake(model)
    with record_gates(model) as recorded:
        model(inputs("linear"))
    assert set(recorded) == {"first:default", "first:other", "second:default", "second:other"}
    assert all(len(passes) == 1 for passes in recorded.values())


def test_a_model_without_routers_has_no_gates():
    for kind in ("lora", "mlp", "molre-1"):
        model = adapted(kind, "linear")
        with record_gates(model) as recorded, GateMeter(model) as meter:
            model(inputs("linear"))
        assert recorded == {}
        assert meter.read() == {}


def test_the_gate_s_level_decides_the_rows():
    assert MolreConfig().gate == "row"
    for kind, shape in (("molre", (4, 3)), ("molre-token", (4, 5, 3))):
        model = adapted(kind, "linear")
        with record_gates(model) as recorded:
            model(inputs("linear"))
        assert tuple(recorded["first"][0].shape) == shape
