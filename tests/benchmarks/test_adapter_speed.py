"""MoLRE's layer against PEFT's LoRA of the same total rank and against a loop over experts; and what watching it costs.

Everything runs in rounds in turn on the same machine, one thread on a CPU, a GPU where there is one. Times are medians,
and what counts is the ratio of each round's two times.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import peft
import pytest
import torch
from peft import LoraConfig
from torch import nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from molre.adapters import AdapterConfig, GateMeter, MolreConfig, MolreLinear, attach
from molre.adapters.mixture import _tell
from molre.backbones import build
from molre.classifier import Classifier

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BLOCKS = {"ViT-B": (768, 12, 197, 8), "So400m": (1152, 16, 1024, 2)}
"""Width, heads, tokens, and slices in a pass."""
NAMES = ("q", "k", "v", "o")
SIZES = ((4, 8), (6, 8))
ROUNDS = 15
MOST_OF_LORA, LEAST_OF_LOOP = 1.05, 1.5
MOST_FEATURE, MOST_METER = 0.01, 0.01

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Attention(nn.Module):
    """The attention of a transformer's block: q, k, v, o."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in NAMES)

    def forward(self, x):
        q, k, v = (layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        return self.o(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Projections(Attention):
    """The four projections alone, so that what they cost is not hidden by the attention between them."""

    def forward(self, x):
        return self.o(self.q(x) + self.k(x) + self.v(x))


class LoopLinear(nn.Module):
    """MoLRE as the formula is written: one expert after the other, and the router beside them."""

    def __init__(self, base: nn.Linear, experts: int, rank: int, width: int = 64) -> None:
        super().__init__()
        self.base, self.scale = base.requires_grad_(False), 16.0 / rank
        d_in, d_out = base.in_features, base.out_features
        self.down = nn.ModuleList(nn.Linear(d_in, rank, bias=False) for _ in range(experts))
        self.up = nn.ModuleList(nn.Linear(rank, d_out, bias=False) for _ in range(experts))
        self.router = nn.Sequential(nn.Linear(d_in, width), nn.GELU(), nn.Linear(width, experts))

    def forward(self, x):
        y, gates = self.base(x), self.router(x.mean(1)).softmax(-1)
        for i, (down, up) in enumerate(zip(self.down, self.up, strict=True)):
            y = y + gates[:, i, None, None] * self.scale * up(down(x))
        return y


def variants(make: Callable[[], nn.Module], experts: int, rank: int) -> dict[str, nn.Module]:
    molre = MolreConfig(experts=experts, rank=rank, target_modules=list(NAMES))
    lora = LoraConfig(r=experts * rank, lora_alpha=2 * experts * rank, target_modules=list(NAMES))
    loop = make()
    for name in NAMES:
        setattr(loop, name, LoopLinear(getattr(loop, name), experts, rank))
    made = {"molre": peft.get_peft_model(make(), molre), "lora": peft.get_peft_model(make(), lora), "loop": loop}
    return {name: model.to(DEVICE).train() for name, model in made.items()}


def clock() -> float:
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def step(model: nn.Module, x: torch.Tensor) -> tuple[float, float]:
    """Seconds of forward and of backward."""
    model.zero_grad(set_to_none=True)
    start = clock()
    y = model(x)
    middle = clock()
    y.backward(torch.ones_like(y))
    return middle - start, clock() - middle


def peak_mb(model: nn.Module, x: torch.Tensor) -> float:
    """Most memory that a step holds beyond what was there before it, exactly: by every allocation."""
    model.zero_grad(set_to_none=True)
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(model, x)
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as told:
        step(model, x)
    changes = [(e.start_ns(), e.nbytes()) for e in told.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = most = 0
    for _, change in sorted(changes, key=lambda one: one[0]):
        held += change
        most = max(most, held)
    return most / 1e6


def in_turn(models: dict[str, nn.Module], x: torch.Tensor, rounds: int) -> dict[str, list[tuple[float, float]]]:
    for model in models.values():
        step(model, x)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    for at in range(rounds):
        names = list(models)
        for name in names[at % len(names) :] + names[: at % len(names)]:
            times[name].append(step(models[name], x))
    return times


def ratio(times: dict[str, list[tuple[float, float]]], one: str, other: str) -> float:
    pairs = zip(times[one], times[other], strict=True)
    return statistics.median(sum(mine) / sum(theirs) for mine, theirs in pairs)


@pytest.mark.parametrize("kind", [Attention, Projections])
def test_molre_against_lora_and_a_loop(kind, table):
    rows, ratios = [], {}
    for block, (width, heads, tokens, slices) in BLOCKS.items():
        x = torch.randn(slices, tokens, width, device=DEVICE, requires_grad=True)
        for experts, rank in SIZES:
            models = variants(lambda w=width, h=heads: kind(w, h), experts, rank)
            times = in_turn(models, x, ROUNDS)
            peaks = {name: peak_mb(model, x) for name, model in models.items()}
            ratios[block, experts] = ratio(times, "molre", "lora"), ratio(times, "loop", "molre")
            for name in models:
                forward, backward = (1e3 * statistics.median(one[at] for one in times[name]) for at in (0, 1))
                rows.append([
                    f"{block}, {experts}x{rank}, {name}", f"{forward:.1f}", f"{backward:.1f}", f"{peaks[name]:.1f}",
                    f"{ratio(times, name, 'lora'):.2f}", f"{peaks[name] / peaks['lora']:.2f}",
                    f"{ratio(times, 'loop', name):.2f}",
                ])  # fmt: skip
    header = [
        "q, k, v, o",
        "forward, ms",
        "backward, ms",
        "peak, MB",
        "time / lora",
        "peak / lora",
        "loop's time / its",
    ]
    table(f"{kind.__name__} with adapters on q, k, v, o, {DEVICE}, one thread, {ROUNDS} rounds in turn", header, rows)
    for (_, experts), (of_lora, of_loop) in ratios.items():
        assert of_lora <= MOST_OF_LORA
        assert kind is Attention or experts < 6 or of_loop >= LEAST_OF_LOOP


def test_what_remains(table):
    """The operators of a MoLRE layer by their own time, forward and backward."""
    width, _, tokens, slices = BLOCKS["ViT-B"]
    model = peft.get_peft_model(nn.Sequential(nn.Linear(width, width)), MolreConfig(target_modules=["0"])).to(DEVICE)
    x = torch.randn(slices, tokens, width, device=DEVICE, requires_grad=True)
    for _ in range(3):
        step(model, x)
    with profile(activities=[ProfilerActivity.CPU]) as told:
        for _ in range(10):
            step(model, x)
    averages = sorted(told.key_averages(), key=lambda one: -one.self_cpu_time_total)
    total = sum(one.self_cpu_time_total for one in averages)
    rows = [
        [
            one.key,
            f"{one.self_cpu_time_total / 1e4:.2f}",
            f"{one.self_cpu_time_total / total:.1%}",
            f"{one.count / 10:.0f}",
        ]
        for one in averages[:10]
    ]
    table("Operators of one MoLRE layer (ViT-B, 6x8), forward and backward", ["operator", "ms", "share", "calls"], rows)


def test_the_feature_site_against_the_frozen_backbone(table):
    adapted = attach(Classifier(build("dinov3-vitb16", weights="random")), AdapterConfig())
    classifier = adapted.classifier.to(DEVICE)
    site, plain = classifier.site, classifier.site.base_layer
    features = torch.randn(24, 768, device=DEVICE)
    images = torch.randn(8, 3, 224, 224, device=DEVICE)
    whole, with_adapter, without = [], [], []
    with torch.no_grad():
        for _ in range(5):
            start = clock()
            for _ in range(3):  # 24 slices
                classifier.backbone(images)
            whole.append(clock() - start)
            for layer, times in ((site, with_adapter), (plain, without)):
                layer(features)
                start = clock()
                for _ in range(20):
                    layer(features)
                times.append((clock() - start) / 20)
    cost = statistics.median(one - other for one, other in zip(with_adapter, without, strict=True))
    backbone = statistics.median(whole)
    table(
        f"Adapter at the feature site, a volume of 24 slices, {DEVICE}",
        ["part", "ms", "of the backbone"],
        [
            ["ViT-B, frozen", f"{1e3 * backbone:.1f}", "100 %"],
            ["MoLRE 6x8 at feature", f"{1e3 * cost:.3f}", f"{cost / backbone:.4%}"],
        ],
    )
    assert cost < MOST_FEATURE * backbone


def test_what_a_meter_costs(table):
    """A training step with and without the meter, and the meter's own work timed apart, since it is below the noise."""
    site = r"backbone\..*attention\.[qkvo]_proj"
    adapted = attach(Classifier(build("dinov3-vitb16", weights="random")), AdapterConfig(site=site, over_budget=True))
    model = adapted.model.to(DEVICE).train()
    hu = torch.randint(-1000, 200, (1, 4, 224, 224), dtype=torch.int16, device=DEVICE)

    def training_step() -> float:
        start = clock()
        model(hu=hu).sum().backward()
        return clock() - start

    training_step()
    plain, metered = [], []
    meter = GateMeter(model)
    for _ in range(5):
        plain.append(training_step())
        with meter:
            metered.append(training_step())
    layers = [layer for layer in model.modules() if isinstance(layer, MolreLinear)]
    gates, passes = torch.full((4, 6), 1 / 6, device=DEVICE), 200
    with meter:
        start = clock()
        for _ in range(passes):
            for layer in layers:
                _tell(layer.observers, "default", gates)
        meter.read()
        own = (clock() - start) / passes
    base = statistics.median(plain)
    table(
        f"A meter on ViT-B q, k, v, o ({len(layers)} sites), a step of 4 slices, {DEVICE}",
        ["", "ms", "of the step"],
        [
            ["step without", f"{1e3 * base:.1f}", "100 %"],
            ["step with", f"{1e3 * statistics.median(metered):.1f}", f"{statistics.median(metered) / base:.2%}"],
            ["the meter's own work", f"{1e3 * own:.3f}", f"{own / base:.3%}"],
        ],
    )
    assert own < MOST_METER * base
