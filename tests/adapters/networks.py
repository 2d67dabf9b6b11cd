"""Small networks of each kind of layer, and their adapters by PEFT, for the tests of this folder."""

import peft
import torch
from peft import LoraConfig

from molre.adapters import BottleneckConfig, MolreConfig

SIZES = {"linear": (5, 16), "conv2d": (3, 9, 8), "conv3d": (3, 7, 6, 5)}
"""An input's shape without the batch."""

KINDS = ("lora", "mlp", "molre", "molre-token", "molre-1")
"""Every adapter: the controls, MoLRE with a gate a row and a token, and MoLRE with one expert."""

OURS = KINDS[1:]


class Block(torch.nn.Module):
    """Two layers of one kind and a head, with a non-linearity between."""

    def __init__(self, form):
        super().__init__()
        make = {"linear": linear, "conv2d": torch.nn.Conv2d, "conv3d": torch.nn.Conv3d}[form]
        channels, other = (16, 12) if form == "linear" else (3, 8)
        self.first = make(
            channels, other, **({} if form == "linear" else {"kernel_size": 3, "stride": 2, "padding": 1})
        )
        self.second = make(other, 6, **({} if form == "linear" else {"kernel_size": 1}))
        self.head = torch.nn.Linear(6, 4)
        self.channels_last = form == "linear"

    def forward(self, x):
        features = self.second(torch.nn.functional.gelu(self.first(x)))
        return self.head(features.mean(1) if self.channels_last else features.flatten(2).mean(2))


def linear(inputs, outputs):
    return torch.nn.Linear(inputs, outputs)


def block(form, dtype=torch.float32):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Block(form).to(dtype).eval()


def inputs(form, n=4, dtype=torch.float32):
    return torch.randn(n, *SIZES[form], generator=torch.Generator().manual_seed(1)).to(dtype)


def configuration(kind, **settings):
    settings = {"target_modules": ["first", "second"]} | settings
    if kind == "lora":
        return LoraConfig(r=4, lora_alpha=8, **settings)
    if kind == "mlp":
        return BottleneckConfig(width=4, **settings)
    kind, _, variant = kind.partition("-")
    ours = {"experts": 1 if variant == "1" else 3, "rank": 2, "alpha": 8.0, "router_width": 5}
    return MolreConfig(**ours, gate="token" if variant == "token" else "row", **settings)


def adapted(kind, form, *, dtype=torch.float32, shaken=True, **settings):
    """A block with an adapter, whose weights are random instead of zero if it is shaken."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = peft.get_peft_model(block(form, dtype), configuration(kind, **settings))
    return shake(model) if shaken else model


def shake(model, seed=0):
    """Give everything trained some other value, as training would."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model


def trained(model):
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def gradients(model, x):
    """The output, and the gradients of all that is trained."""
    model.zero_grad()
    y = model(x)
    y.square().sum().backward()
    return y, {name: parameter.grad.clone() for name, parameter in trained(model).items()}
