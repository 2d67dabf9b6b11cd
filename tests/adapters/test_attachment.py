"""Attaching: every kind at every site, what it opens, what it costs, and that PEFT saves and loads it exactly."""

from dataclasses import replace

import peft
import pytest
import torch
from safetensors.torch import load_file

from molre.adapters import AdapterConfig, attach, record_gates
from molre.adapters.attachment import gate_level
from molre.adapters.budget import plan
from molre.adapters.layer import Form
from molre.backbones import Backbone, VolumeInput, build, spec_named
from molre.classifier import Classifier
from molre.errors import ConfigError

PEFT_KINDS = ("lora", "mlp", "molre")
DEEP = r"backbone\..*layer\.[01]\.mlp\.down_proj"
SITES = ("feature", "last_block", "attention", DEEP)
HEAD = {"pooling.query", "head.weight", "head.bias"}


def small():
    return Classifier(build("dinov3-small"))


def volumes(b=2, d=3):
    return torch.randint(-1024, 200, (b, d, 32, 32), dtype=torch.int16, generator=torch.Generator().manual_seed(0))


def adapted_at(kind, site, **settings):
    return attach(small(), AdapterConfig(kind=kind, site=site, over_budget=True, **({"rank": 2} | settings)))


def shake(model, seed=0):
    """Give everything trained some other value, as training would."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)


def own_name(name):
    return name.removeprefix("base_model.model.")


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("kind", PEFT_KINDS)
def test_attaching_changes_no_bit_of_the_output(kind, site):
    hu, classifier = volumes(), small()
    before = classifier(hu)
    adapted = attach(classifier, AdapterConfig(kind=kind, site=site, rank=2, over_budget=True))
    assert torch.equal(adapted.model(hu), before)
    assert adapted.classifier is classifier


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("kind", PEFT_KINDS)
def test_exactly_the_adapter_pooling_and_head_are_trained(kind, site):
    adapted = adapted_at(kind, site)
    shake(adapted.model)
    before = {name: value.clone() for name, value in adapted.model.state_dict().items()}
    opened = {own_name(n): p for n, p in adapted.model.named_parameters() if p.requires_grad}
    prefix = {"lora": ".lora_", "mlp": ".bottleneck_", "molre": ".molre_"}[kind]
    assert {name for name in opened if prefix not in name} == HEAD
    assert sum(p.numel() for name, p in opened.items() if name not in HEAD) == adapted.added_parameters
    optimiser = torch.optim.SGD(opened.values(), lr=1.0)
    adapted.model(volumes()).square().sum().backward()
    assert {own_name(n) for n, p in adapted.model.named_parameters() if p.grad is not None} == set(opened)
    assert all(p.grad.abs().sum() > 0 for p in opened.values())
    optimiser.step()
    changed = {own_name(n) for n, value in adapted.model.state_dict().items() if not torch.equal(value, before[n])}
    assert changed == set(opened)


@pytest.mark.parametrize(("kind", "backbone_too"), [("none", False), ("full", True)])
def test_none_opens_the_head_and_full_the_backbone_too(kind, backbone_too):
    adapted = attach(small(), AdapterConfig(kind=kind))
    opened = {name for name, p in adapted.model.named_parameters() if p.requires_grad}
    backbone = {f"backbone.{name}" for name, _ in adapted.classifier.backbone.named_parameters()}
    idle = {"backbone.vit.embeddings.mask_token"}
    assert opened == HEAD | (backbone - idle if backbone_too else set())
    adapted.model(volumes()).sum().backward()
    assert {name for name, p in adapted.model.named_parameters() if p.grad is not None} == opened
    assert adapted.added_parameters == 0


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("kind", PEFT_KINDS)
def test_peft_saves_and_loads_it_exactly(kind, site, tmp_path):
    adapted, hu = adapted_at(kind, site), volumes()
    shake(adapted.model)
    adapted.model.save_pretrained(tmp_path)
    fresh = small()
    fresh.pooling.load_state_dict(adapted.classifier.pooling.state_dict())
    fresh.head.load_state_dict(adapted.classifier.head.state_dict())
    unadapted = fresh(hu)
    loaded = peft.PeftModel.from_pretrained(fresh, tmp_path)
    assert torch.equal(loaded(hu), adapted.model(hu))
    assert not torch.equal(loaded(hu), unadapted)
    saved = load_file(tmp_path / "adapter_model.safetensors")
    assert sum(value.numel() for value in saved.values()) == adapted.added_parameters


@pytest.mark.parametrize("kind", ["mlp", "molre"])
def test_the_adapter_can_be_switched_off_and_on(kind):
    adapted, hu, plain = adapted_at(kind, "last_block"), volumes(), small()
    before = adapted.model(hu)
    shake(adapted.model)
    plain.pooling.load_state_dict(adapted.classifier.pooling.state_dict())
    plain.head.load_state_dict(adapted.classifier.head.state_dict())
    on = adapted.model(hu)
    with adapted.model.disable_adapter():
        assert torch.equal(adapted.model(hu), plain(hu))
    assert torch.equal(adapted.model(hu), on)
    assert not torch.equal(on, before)


def test_two_adapters_live_side_by_side(tmp_path):
    adapted, hu = adapted_at("molre", "feature"), volumes()
    shake(adapted.model, seed=1)
    first = adapted.model(hu)
    adapted.model.save_pretrained(tmp_path)
    adapted.model.load_adapter(tmp_path, "second")
    adapted.model.add_adapter("third", adapted.model.peft_config["default"])
    adapted.model.set_adapter("second")
    assert torch.equal(adapted.model(hu), first)
    adapted.model.set_adapter("third")
    assert not torch.equal(adapted.model(hu), first)
    adapted.model.set_adapter("default")
    assert torch.equal(adapted.model(hu), first)
    adapted.model.delete_adapter("third")
    assert torch.equal(adapted.model(hu), first)


def test_merging_is_refused_with_the_reason():
    for kind in ("mlp", "molre"):
        adapted = adapted_at(kind, "feature")
        for merge in (adapted.model.merge_and_unload, adapted.model.merge_adapter):
            with pytest.raises(ConfigError, match="depends on the input"):
                merge()


def test_unloading_gives_the_plain_classifier_back():
    adapted, hu = adapted_at("molre", "last_block"), volumes()
    shake(adapted.model)
    with adapted.model.disable_adapter():
        off = adapted.model(hu)
    assert torch.equal(adapted.model.unload()(hu), off)


def test_the_tiny_backbone_gets_the_experts_that_fit():
    adapted = attach(outline("dinov3-tiny"), AdapterConfig())
    assert (adapted.config.experts, adapted.config.rank, adapted.config.router_width) == (6, 3, 24)
    assert adapted.added_parameters == 18 * (192 + 192) + 24 * 192 + 24 + 6 * 24 + 6
    assert adapted.added_fraction == adapted.added_parameters / 2_819_520 < 0.005


def outline(name):
    """A classifier with a backbone's facts and shapes but without its network, for counting at the feature site."""
    return Classifier(Backbone(spec_named(name)))


@pytest.mark.parametrize(("name", "added"), [("dinov3-vitb16", 123_334), ("dinov3-vitl16", 164_294)])
def test_the_published_backbones_get_the_paper_s_six_experts_of_rank_eight(name, added):
    adapted = attach(outline(name), AdapterConfig())
    assert (adapted.config.experts, adapted.config.rank, adapted.config.router_width) == (6, 8, 64)
    assert adapted.added_parameters == added
    assert adapted.added_fraction < 0.005


def test_the_controls_match_molre():
    molre, lora, mlp = (attach(outline("dinov3-vitb16"), AdapterConfig(kind=kind)) for kind in ("molre", "lora", "mlp"))
    assert lora.config.rank == 6 * 8
    assert 0 <= molre.added_parameters - mlp.added_parameters < 2 * 768


def test_more_sites_get_a_lower_rank():
    forms = {f"{at}": Form(inputs=768, outputs=768) for at in range(24)}
    planned = plan(AdapterConfig(site="attention"), forms, 85_660_416)
    assert (planned.config.rank, planned.config.router_width) == (1, 8)
    assert planned.fraction <= 0.005


def test_an_adapter_over_the_budget_is_refused_with_the_figures():
    with pytest.raises(ConfigError, match=r"adds 26,398 parameters \(0\.94% of the backbone\).*14,097 \(0\.50%\)"):
        attach(outline("dinov3-tiny"), AdapterConfig(rank=8, router_width=40))
    with pytest.raises(ConfigError, match="over the budget"):
        attach(small(), AdapterConfig(site="attention"))
    for allowed in ({"over_budget": True}, {"budget": 0.02}):
        assert attach(outline("dinov3-tiny"), AdapterConfig(rank=8, **allowed)).added_fraction > 0.005


def test_a_refused_adapter_leaves_the_classifier_as_it_was():
    classifier = small()
    names = [name for name, _ in classifier.named_modules()]
    with pytest.raises(ConfigError):
        attach(classifier, AdapterConfig(rank=64))
    assert [name for name, _ in classifier.named_modules()] == names


def test_a_site_that_matches_nothing_names_near_ones():
    with pytest.raises(
        ConfigError, match=r"matches no linear or convolutional layer; near are .*backbone\.vit\..*\.N\..*proj"
    ):
        attach(small(), AdapterConfig(site=r"backbone.vit.layer.0.attention.query_proj"))
    with pytest.raises(ConfigError, match="no regular expression"):
        attach(small(), AdapterConfig(site="(("))
    with pytest.raises(ConfigError, match="has no site 'last_block'"):
        attach(outline("dinov3-vitb16"), AdapterConfig(site="last_block"))


def test_a_wide_regex_spares_the_head():
    adapted = attach(small(), AdapterConfig(site=".*", rank=1, router_width=1, over_budget=True))
    assert isinstance(adapted.classifier.head, torch.nn.Linear)
    assert adapted.added_parameters > 1000


def test_a_second_attachment_is_refused():
    adapted = adapted_at("molre", "feature")
    with pytest.raises(ConfigError, match="already"):
        attach(adapted.classifier, AdapterConfig())


def test_the_seed_decides_the_initial_weights_and_the_global_generator_is_left_alone():
    state = torch.get_rng_state()
    made = [attach(outline("dinov3-vitb16"), AdapterConfig(), seed=seed).classifier for seed in (0, 0, 1)]
    first, again, other = (classifier.site.molre_down["default"] for classifier in made)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_gates_are_recorded_by_site_one_row_a_slice():
    adapted = adapted_at("molre", "feature")
    shake(adapted.model)
    with record_gates(adapted.model) as gates:
        adapted.model(volumes(2, 3))
        adapted.model(volumes(1, 3))
    assert list(gates) == ["site"]
    assert [tuple(part.shape) for part in gates["site"]] == [(6, 6), (3, 6)]
    assert torch.allclose(gates["site"][0].sum(1), torch.ones(6))
    adapted.model(volumes())
    assert len(gates["site"]) == 2
    assert not gates["site"][0].requires_grad


def test_a_gate_a_token_is_one_a_position():
    adapted = adapted_at("molre", "last_block", gate="token")
    with record_gates(adapted.model) as gates:
        adapted.model(volumes(2, 3))
    assert {passes[0].shape for passes in gates.values()} == {(6, 1 + 4 + 4, 6)}


def test_a_gate_a_volume_reads_the_slices_that_count():
    adapted = adapted_at("molre", "feature", gate="volume")
    assert adapted.classifier.routes_volumes
    shake(adapted.model)
    features, mask = torch.randn(2, 3, 48), torch.tensor([[True, True, False], [True, True, True]])
    changed = features.clone()
    changed[0, 2] += 5
    with record_gates(adapted.model) as gates:
        before = adapted.model(features=features, mask=mask)
        assert torch.equal(adapted.model(features=changed, mask=mask), before)
        adapted.model(features=changed)
        adapted.model(features=features[:1, :2])
    all_rows, same, moved, alone = gates["site"]
    assert all_rows.shape == (2, 6)
    assert torch.equal(all_rows, same)
    assert not torch.allclose(moved[0], all_rows[0])
    torch.testing.assert_close(alone[0], all_rows[0])


@pytest.mark.parametrize(
    ("dims", "gate", "site", "wanted"),
    [
        (2, "auto", "attention", "row"), (2, "slice", "feature", "row"), (2, "volume", "feature", "row"),
        (2, "token", "attention", "token"), (3, "auto", "attention", "row"), (3, "volume", "attention", "row"),
        (3, "token", "feature", "token"), (2, "volume", "attention", "slices one by one"),
        (3, "slice", "feature", "no slices"),
    ],
)  # fmt: skip
def test_gate_levels_by_backbone_and_site(dims, gate, site, wanted):
    spec = spec_named("dinov3-small")
    if dims == 3:
        spec = replace(spec, input=VolumeInput(shape=(8, 32, 32), spacing_mm=(5.0, 4.0, 4.0)))
    config = AdapterConfig(gate=gate, site=site)
    if wanted in ("row", "token"):
        assert gate_level(spec, config) == wanted
    else:
        with pytest.raises(ConfigError, match=wanted):
            gate_level(spec, config)
    assert gate_level(spec, AdapterConfig(kind="lora", gate=gate, site=site)) == "row"


@pytest.mark.parametrize("kind", ["lora", "mlp", "molre"])
def test_convolutions_are_sites_and_counted_exactly(kind, tmp_path):
    adapted, hu = adapted_at(kind, r"backbone\..*patch_embeddings"), volumes()
    shake(adapted.model)
    adapted.model(hu).sum().backward()
    adapted.model.save_pretrained(tmp_path)
    fresh = small()
    fresh.pooling.load_state_dict(adapted.classifier.pooling.state_dict())
    fresh.head.load_state_dict(adapted.classifier.head.state_dict())
    assert torch.equal(peft.PeftModel.from_pretrained(fresh, tmp_path)(hu), adapted.model(hu))
    assert adapted.added_parameters == sum(
        value.numel() for value in load_file(tmp_path / "adapter_model.safetensors").values()
    )


def test_deep_gates_are_one_row_a_slice_too():
    adapted = adapted_at("molre", "last_block")
    with record_gates(adapted.model) as gates:
        adapted.model(volumes(2, 3))
    assert len(gates) == 4
    assert all(part[0].shape == (6, 6) for part in gates.values())


@pytest.mark.parametrize("wrong", [{"site": ""}, {"budget": 0.0}, {"experts": 0}, {"rank": 0}, {"dropout": 1.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError):
        AdapterConfig(**wrong)


@pytest.mark.parametrize("kind", ["none", "lora", "mlp", "molre"])
@pytest.mark.parametrize(("name", "px"), [("dinov3-tiny", 112), ("dinov3-vitb16", 224)])
def test_every_backbone_takes_every_adapter(vit_b16, name, px, kind):
    classifier = Classifier(vit_b16 if name == "dinov3-vitb16" else build(name, weights="random"))
    adapted = attach(classifier, AdapterConfig(kind=kind))
    adapted.model(torch.zeros(1, 1, px, px, dtype=torch.int16)).sum().backward()
    assert adapted.classifier.head.weight.grad is not None
    assert adapted.added_fraction < 0.005


@pytest.fixture(scope="module")
def vit_b16():
    return build("dinov3-vitb16", weights="random")
