"""Sizes and budgets: the largest rank that fits, matched controls, and the command that prints them."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from molre.adapters import AdapterConfig, attach, planned_for
from molre.adapters.__main__ import BudgetConfig, listing, main
from molre.adapters.budget import molre_size, plan
from molre.adapters.layer import Form
from molre.backbones import build, outline
from molre.classifier import Classifier
from molre.errors import ConfigError

sizes = st.integers(1, 300)
kernels = st.sampled_from([(), (1, 1), (3, 3), (1, 3, 3)])
drawn = st.lists(st.tuples(sizes, sizes, kernels), min_size=1, max_size=4)


def network_of(layers):
    return {
        f"layer.{at}": Form(inputs=inputs, outputs=outputs, kernel=kernel)
        for at, (inputs, outputs, kernel) in enumerate(layers)
    }


def added(config, network, parameters):
    return plan(config, network, parameters).added


@settings(deadline=None)
@given(layers=drawn, experts=st.integers(1, 6), budget=st.floats(1e-4, 0.3), parameters=st.integers(10**4, 10**7))
def test_a_given_budget_gets_the_largest_rank_that_fits_it(layers, experts, budget, parameters):
    network = network_of(layers)
    config, limit = AdapterConfig(experts=experts, budget=budget), int(budget * parameters)
    least = sum(molre_size(form, experts, 1, 1) for form in network.values())
    if least > limit:
        with pytest.raises(ConfigError, match="over the budget"):
            plan(config, network, parameters)
        return
    planned = plan(config, network, parameters)
    rank, width = planned.config.rank, planned.config.router_width
    assert planned.added == sum(molre_size(form, experts, rank, width) for form in network.values()) <= limit
    following = AdapterConfig(experts=experts, rank=rank + 1, over_budget=True)
    assert added(following, network, parameters) > limit
    if width != min(64, 8 * rank):
        assert rank == 1
        assert (
            added(AdapterConfig(experts=experts, rank=1, router_width=width + 1, over_budget=True), network, parameters)
            > limit
        )


@settings(deadline=None)
@given(layers=drawn, experts=st.integers(1, 6), parameters=st.integers(10**4, 10**8))
def test_without_a_budget_the_paper_s_limit_and_rank_hold(layers, experts, parameters):
    network = network_of(layers)
    limit = int(0.005 * parameters)
    try:
        planned = plan(AdapterConfig(experts=experts), network, parameters)
    except ConfigError:
        assert sum(molre_size(form, experts, 1, 1) for form in network.values()) > limit
        return
    assert planned.added <= limit
    assert planned.config.rank <= 8
    if planned.config.rank < 8:
        assert (
            added(AdapterConfig(experts=experts, rank=planned.config.rank + 1, over_budget=True), network, parameters)
            > limit
        )


@settings(deadline=None)
@given(layers=drawn, experts=st.integers(1, 6), parameters=st.integers(10**5, 10**8))
def test_controls_are_matched_and_within_the_limit(layers, experts, parameters):
    network = network_of(layers)
    try:
        molre = plan(AdapterConfig(experts=experts), network, parameters)
    except ConfigError:
        return
    lora, mlp = (plan(AdapterConfig(kind=kind, experts=experts), network, parameters) for kind in ("lora", "mlp"))
    assert lora.config.rank == experts * molre.config.rank
    assert lora.added <= molre.added
    assert 0 <= molre.added - mlp.added < sum(form.each for form in network.values())


def test_a_given_rank_is_refused_above_the_limit_with_the_figures():
    network = {"site": Form(inputs=768, outputs=768)}
    with pytest.raises(
        ConfigError, match=r"rank 50 .* adds 510,\d{3} parameters .* over the budget of 428,302 \(0\.50%\)"
    ):
        plan(AdapterConfig(rank=50), network, 85_660_416)
    assert plan(AdapterConfig(rank=50, over_budget=True), network, 85_660_416).fraction > 0.005
    assert plan(AdapterConfig(rank=50, budget=0.01), network, 85_660_416).fraction > 0.005


def test_over_the_budget_an_unset_rank_is_the_paper_s_or_the_largest_that_fits():
    network = {"site": Form(inputs=192, outputs=192)}
    assert plan(AdapterConfig(over_budget=True), network, 2_819_520).config.rank == 8
    assert plan(AdapterConfig(over_budget=True, budget=0.02), network, 2_819_520).config.rank > 8
    assert plan(AdapterConfig(over_budget=True, budget=1e-5), network, 2_819_520).config.rank == 1


def test_a_given_router_width_is_kept():
    network = {"site": Form(inputs=768, outputs=768)}
    planned = plan(AdapterConfig(budget=0.005, router_width=16), network, 85_660_416)
    assert planned.config.router_width == 16
    assert (
        added(AdapterConfig(rank=planned.config.rank + 1, router_width=16, over_budget=True), network, 85_660_416)
        > 428_302
    )


@pytest.mark.parametrize("kind", ["lora", "mlp", "molre"])
def test_ranks_on_grouped_convolutions_are_multiples_of_the_groups(kind):
    network = {"a": Form(inputs=12, outputs=24, kernel=(3, 3), groups=4), "b": Form(inputs=12, outputs=6, groups=6)}
    assert plan(AdapterConfig(kind=kind, budget=0.5), network, 10**6).config.rank % 12 == 0
    with pytest.raises(ConfigError, match="choose a multiple of 12"):
        plan(AdapterConfig(kind=kind, rank=8, budget=0.5), network, 10**6)


@pytest.mark.parametrize("kind", ["lora", "mlp", "molre"])
@pytest.mark.parametrize("site", ["feature", "last_block", r"backbone\..*patch_embeddings", r".*"])
def test_the_plan_of_an_outline_is_what_attaching_makes(small_backbone, kind, site):
    config = AdapterConfig(kind=kind, site=site, rank=3, over_budget=True)
    planned = planned_for(outline(small_backbone), config)
    made = attach(Classifier(build(small_backbone)), config)
    assert planned.added == made.added_parameters
    by_layer = dict.fromkeys(planned.parameters, 0)
    for name, parameter in made.model.named_parameters():
        layer = name.removeprefix("base_model.model.").rsplit(
            "." + {"lora": "lora_", "mlp": "bottleneck_"}.get(kind, "molre_")
        )[0]
        if parameter.requires_grad and layer in by_layer:
            by_layer[layer] += parameter.numel()
    assert by_layer == planned.parameters


def test_the_listing_has_a_row_a_layer_group(small_backbone):
    config = BudgetConfig(backbone=small_backbone, site="attention", rank=1, over_budget=True)
    planned = planned_for(outline(small_backbone), config.adapter_config)
    lines = listing(planned, small_backbone).splitlines()
    assert "6 experts of rank 1, router width 8" in lines[0]
    assert [line.split()[0] for line in lines[2:-1]] == ["2", "2"]
    assert all(".N.attention." in line and "48 -> 48" in line for line in lines[2:-1])
    assert sum(int(line.split()[5].replace(",", "")) for line in lines[2:-1]) == planned.added
    assert f"{planned.added:,} of 75,312" in lines[-1]


def test_the_command_counts_without_weights(capsys):
    main(BudgetConfig(backbone="dinov3-vitb16"))
    assert "123,334 of 85,660,416" in capsys.readouterr().out


def test_the_command_refuses_in_one_line():
    command = [sys.executable, "-m", "molre.adapters", "--backbone", "dinov3-vitb16", "--rank", "50"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: molre of rank 50")
    assert done.stderr.count("\n") == 1
