"""Every adapter on every kind of layer through everything that PEFT does with a method."""

import peft
import pytest
import torch
from networks import KINDS, OURS, SIZES, adapted, block, configuration, inputs, shake, trained
from peft import PeftModel, get_peft_model_state_dict, inject_adapter_in_model, set_peft_model_state_dict

from molre.adapters import MolreConfig
from molre.errors import ConfigError

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.parametrize("form", SIZES)]
every = pytest.mark.parametrize("kind", KINDS)
ours = pytest.mark.parametrize("kind", OURS)


@every
def test_a_fresh_adapter_changes_no_bit(form, kind):
    assert torch.equal(adapted(kind, form, shaken=False)(inputs(form)), block(form)(inputs(form)))


@every
def test_only_the_adapter_is_trained_and_all_of_it(form, kind):
    model = adapted(kind, form)
    model(inputs(form)).square().sum().backward()
    assert trained(model)
    assert all(parameter.grad.abs().sum() > 0 for parameter in trained(model).values())
    assert all(parameter.grad is None for parameter in model.parameters() if not parameter.requires_grad)


@every
@pytest.mark.parametrize("low_cpu_mem_usage", [False, True])
def test_saved_and_loaded_it_is_the_same(form, kind, low_cpu_mem_usage, tmp_path):
    model = adapted(kind, form)
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(block(form), tmp_path, low_cpu_mem_usage=low_cpu_mem_usage)
    assert torch.equal(loaded(inputs(form)), model(inputs(form)))
    assert not trained(loaded)
    again = PeftModel.from_pretrained(block(form), tmp_path, is_trainable=True)
    assert trained(again).keys() == trained(model).keys()
    assert (
        again.peft_config["default"].to_dict().items() >= {"peft_type": model.peft_config["default"].peft_type}.items()
    )


@every
def test_its_state_goes_through_a_state_dict(form, kind):
    model, other = adapted(kind, form), adapted(kind, form, shaken=False)
    state = get_peft_model_state_dict(model)
    assert state.keys() == {name.replace(".default", "") for name in trained(model)}
    assert not set_peft_model_state_dict(other, state).unexpected_keys
    assert torch.equal(other(inputs(form)), model(inputs(form)))


@every
def test_a_whole_state_dict_goes_round(form, kind):
    model, other = adapted(kind, form), adapted(kind, form, shaken=False)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(inputs(form)), model(inputs(form)))


@every
def test_disabled_it_is_the_base_model(form, kind):
    model, x = adapted(kind, form), inputs(form)
    on = model(x)
    with model.disable_adapter():
        assert torch.equal(model(x), block(form)(x))
    assert torch.equal(model(x), on)
    assert not torch.equal(on, block(form)(x))
    assert trained(model)


@every
def test_named_adapters_are_added_chosen_and_deleted(form, kind, tmp_path):
    model, x = adapted(kind, form), inputs(form)
    first = model(x)
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(block(form), tmp_path, "kept")
    loaded.add_adapter("fresh", configuration(kind))
    assert torch.equal(loaded(x), first)
    loaded.set_adapter("fresh")
    assert torch.equal(loaded(x), block(form)(x))
    assert all("fresh" in name for name in trained(loaded))
    shake(loaded, seed=3)
    assert not torch.equal(loaded(x), first)
    loaded.set_adapter("kept")
    assert torch.equal(loaded(x), first)
    loaded.delete_adapter("fresh")
    assert not any("fresh" in name for name in loaded.state_dict())
    assert torch.equal(loaded(x), first)


@every
def test_active_adapters_add_up(form, kind):
    # On the one layer that is adapted, what two adapters add together is the sum of what each adds.
    model, x = adapted(kind, form, target_modules=["second"]), inputs(form)
    model.add_adapter("other", configuration(kind, target_modules=["second"]))
    model.set_adapter("other")
    shake(model, seed=5)
    alone = {}
    for names in (["default"], ["other"], ["default", "other"]):
        model.base_model.set_adapter(names)
        alone[tuple(names)] = model(x) - block(form)(x)
    torch.testing.assert_close(
        alone[("default", "other")], alone[("default",)] + alone[("other",)], atol=1e-5, rtol=1e-5
    )


@every
@pytest.mark.parametrize("targets", [["first", "second"], r"(first|second)", ["first"], r".*second"])
def test_targets_are_suffixes_or_an_expression(form, kind, targets):
    model = adapted(kind, form, target_modules=targets)
    wanted = {name for name in ("first", "second") if name in str(targets)}
    assert {name.split(".")[2] for name in trained(model)} == wanted


@every
def test_modules_to_save_are_trained_and_saved(form, kind, tmp_path):
    model, x = adapted(kind, form, modules_to_save=["head"]), inputs(form)
    assert any("head" in name for name in trained(model))
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(block(form), tmp_path)
    assert torch.equal(loaded(x), model(x))
    with loaded.disable_adapter():
        assert torch.equal(loaded(x), block(form)(x))


@every
@pytest.mark.parametrize("autocast_adapter_dtype", [True, False])
def test_on_a_bfloat16_base_it_is_float32_unless_told_otherwise(form, kind, autocast_adapter_dtype):
    model = peft.get_peft_model(
        block(form, torch.bfloat16), configuration(kind), autocast_adapter_dtype=autocast_adapter_dtype
    )
    wanted = torch.float32 if autocast_adapter_dtype else torch.bfloat16
    assert {parameter.dtype for parameter in trained(model).values()} == {wanted}
    exact = adapted(kind, form)
    set_peft_model_state_dict(model, get_peft_model_state_dict(exact))
    y = model(inputs(form, dtype=torch.bfloat16))
    assert y.dtype == torch.bfloat16
    y.float().square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in trained(model).values())
    torch.testing.assert_close(y.float(), exact(inputs(form)), atol=0.15, rtol=0.1)


@every
def test_under_autocast_it_is_near_the_exact_result(form, kind):
    model, x = adapted(kind, form), inputs(form)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = model(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), model(x), atol=0.15, rtol=0.1)


@pytest.mark.parametrize("kind", ["mlp", "molre", "molre-token"])
def test_merging_what_depends_on_the_input_is_refused(form, kind):
    model, x = adapted(kind, form), inputs(form)
    before = model(x)
    for merge in (model.merge_adapter, model.merge_and_unload):
        with pytest.raises(ConfigError, match="depends on the input"):
            merge()
    assert torch.equal(model(x), before)


@pytest.mark.parametrize("safe_merge", [False, True])
def test_one_expert_is_merged_and_unmerged_and_unloaded(form, safe_merge):
    model, x = adapted("molre-1", form), inputs(form)
    before = model(x)
    model.merge_adapter(safe_merge=safe_merge)
    torch.testing.assert_close(model(x), before, atol=1e-5, rtol=1e-5)
    assert not torch.equal(model.base_model.model.first.base_layer.weight, block(form).first.weight)
    with model.disable_adapter():
        torch.testing.assert_close(model(x), block(form)(x), atol=1e-5, rtol=1e-5)
    model.merge_adapter(safe_merge=safe_merge)
    model.unmerge_adapter()
    torch.testing.assert_close(model(x), before, atol=1e-5, rtol=1e-5)
    merged = model.merge_and_unload(safe_merge=safe_merge)
    torch.testing.assert_close(merged(x), before, atol=1e-5, rtol=1e-5)
    assert type(merged.first) is type(block(form).first)


def test_a_safe_merge_leaves_the_weights_alone_where_there_is_nan(form):
    model = adapted("molre-1", form)
    with torch.no_grad():
        model.base_model.model.first.molre_up["default"].fill_(torch.nan)
    with pytest.raises(ValueError, match="NaN"):
        model.merge_adapter(safe_merge=True)
    assert torch.equal(model.base_model.model.first.base_layer.weight, block(form).first.weight)


@ours
def test_unloading_gives_the_base_model_back(form, kind):
    unloaded = adapted(kind, form).unload()
    assert torch.equal(unloaded(inputs(form)), block(form)(inputs(form)))
    assert unloaded.state_dict().keys() == block(form).state_dict().keys()


@ours
def test_it_is_injected_without_a_wrapper(form, kind):
    model = inject_adapter_in_model(configuration(kind), block(form))
    assert torch.equal(model(inputs(form)), block(form)(inputs(form)))
    assert trained(model)


@ours
def test_one_example_without_a_batch_is_taken(form, kind):
    layer, x = adapted(kind, form).base_model.model.first, inputs(form)
    if form == "linear":
        x = x[:, 0]
    torch.testing.assert_close(layer(x[0]), layer(x)[0], atol=1e-5, rtol=1e-5)


def test_other_layers_are_refused(form):
    model = torch.nn.Sequential(torch.nn.Embedding(3, 4), block(form))
    with pytest.raises(ConfigError, match="neither linear nor"):
        peft.get_peft_model(model, MolreConfig(target_modules=["0"]))
