"""One expert is LoRA: the same parameters, outputs and gradients as PEFT's."""

import peft
import pytest
import torch
from networks import SIZES, block, inputs, trained
from peft import LoraConfig
from peft.tuners.lora import Conv2d

from molre.adapters import MolreConfig, MolreConv2d, MolreLinear

NAMES = {"molre_down.default": "lora_A.default.weight", "molre_up.default": "lora_B.default.weight"}


def theirs(name):
    for ours, lora in NAMES.items():
        name = name.replace(ours, lora)
    return name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("form", SIZES)
def test_one_expert_equals_peft_s_lora(form, dtype):
    targets = ["first", "second"]
    lora = peft.get_peft_model(block(form, dtype), LoraConfig(r=4, lora_alpha=8, target_modules=targets))
    ours = peft.get_peft_model(block(form, dtype), MolreConfig(experts=1, rank=4, alpha=8.0, target_modules=targets))
    assert sum(p.numel() for p in trained(ours).values()) == sum(p.numel() for p in trained(lora).values())
    state = {theirs(name): parameter for name, parameter in trained(ours).items()}
    assert state.keys() == trained(lora).keys()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in trained(lora).items():
            value = torch.randn(parameter.shape, generator=generator) * 0.3
            parameter.copy_(value)
            state[name].copy_(value)
    x = inputs(form, dtype=dtype).requires_grad_()
    outputs = [model(x) for model in (ours, lora)]
    near = {"atol": 2e-2, "rtol": 2e-2} if dtype == torch.bfloat16 else {"atol": 1e-5, "rtol": 1e-5}
    torch.testing.assert_close(*outputs, **near)
    mine = torch.autograd.grad(outputs[0].float().square().sum(), [x, *state.values()])
    other = torch.autograd.grad(outputs[1].float().square().sum(), [x, *(trained(lora)[name] for name in state)])
    for one, two in zip(mine, other, strict=True):
        torch.testing.assert_close(one, two, atol=20 * near["atol"], rtol=20 * near["rtol"])


@pytest.mark.filterwarnings("ignore:LoRA adapter added to ConvNd layer with groups")
def test_groups_are_those_of_peft_s_lora():
    torch.manual_seed(0)
    base = torch.nn.Conv2d(4, 6, 3, padding=1, groups=2)
    ours = MolreConv2d(base)
    ours.add("default", MolreConfig(experts=1, rank=4, alpha=8.0))
    lora = Conv2d(base, "default", LoraConfig(r=4, lora_alpha=8), r=4, lora_alpha=8)
    torch.nn.init.normal_(ours.molre_up["default"])
    lora.lora_A["default"].weight = ours.molre_down["default"]
    lora.lora_B["default"].weight = ours.molre_up["default"]
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(ours(x), lora(x), atol=1e-5, rtol=1e-5)


def test_a_single_expert_has_no_router():
    layer = MolreLinear(torch.nn.Linear(5, 4))
    layer.add("default", MolreConfig(experts=1, rank=3))
    own = {name: tuple(p.shape) for name, p in layer.named_parameters() if not name.startswith("base_layer")}
    assert own == {"molre_down.default": (3, 5), "molre_up.default": (4, 3)}
    assert layer.supports_lora_conversion()
    torch.testing.assert_close(layer.get_delta_weight("default"), torch.zeros(4, 5))
