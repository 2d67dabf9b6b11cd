"""DeepSpeed's configuration: ours, or a user's own with what it leaves out filled in."""

from __future__ import annotations

import json
from typing import Any

from molre.errors import ConfigError
from molre.location import Location
from molre.training.config import STAGES, TrainConfig
from molre.training.zero import Load, Plan

QUIET = 2**31
"""Steps between two lines of DeepSpeed's own; ours tell the same."""

NOT_HONOURED = {
    "optimizer": "molre steps AdamW itself: use --learning-rate and --weight-decay",
    "scheduler": "molre sets the learning rate of every step: use --learning-rate and --warmup",
    "fp16": "molre trains in bf16 or 32-bit floats: use --precision",
    "amp": "molre trains in bf16 or 32-bit floats: use --precision",
    "torch_autocast": "molre trains in bf16 or 32-bit floats: use --precision",
    "elasticity": "the batch is shared out over the workers there are: use --workers",
    "pipeline": "molre trains data-parallel: use zero_optimization",
    "tensor_parallel": "molre trains data-parallel: use zero_optimization",
    "data_efficiency": "molre orders studies itself",
    "curriculum_learning": "molre orders studies itself",
    "compression_training": "a bundle holds the weights as they are trained",
    "progressive_layer_drop": "features must not depend on the mode",
}
"""Sections of DeepSpeed's that would do what molre does, each with what to do instead."""


def resolved(config: TrainConfig) -> str:
    """``config.deepspeed`` with a user's own file read, so that workers on other nodes need not find it.

    Raises:
        ConfigError: the file is not there, no JSON, or contradicts the other settings.
    """
    if config.deepspeed in ("auto", *STAGES):
        return config.deepspeed
    if not config.deepspeed.startswith("{"):
        try:
            text = Location.of(config.deepspeed).read_bytes().decode()
        except (OSError, UnicodeDecodeError) as fault:
            raise ConfigError(f"cannot read --deepspeed {config.deepspeed}: {type(fault).__name__}") from fault
    else:
        text = config.deepspeed
    return json.dumps(_checked(_parsed(text, config.deepspeed), config))


def own(config: TrainConfig) -> dict[str, Any] | None:
    """The user's settings of a resolved configuration; None where there are none."""
    return json.loads(config.deepspeed) if config.deepspeed.startswith("{") else None


def stage_of(config: TrainConfig) -> int | None:
    """The stage that the user chose, by word or by file; None where molre is to choose."""
    if config.deepspeed in STAGES:
        return int(config.deepspeed)
    stage = (own(config) or {}).get("zero_optimization", {}).get("stage", "auto")
    return None if stage == "auto" else int(stage)


def bf16(config: TrainConfig, gpu: bool) -> bool:
    """Whether forward and backward run in bf16."""
    if config.precision != "auto":
        return config.precision == "bf16"
    enabled = (own(config) or {}).get("bf16", {}).get("enabled")
    return gpu if enabled is None else bool(enabled)


def settings(config: TrainConfig, plan: Plan, load: Load, world: int) -> dict[str, Any]:
    """What DeepSpeed is told.

    The optimiser is torch's own AdamW: DeepSpeed's CPU Adam needs a compiled kernel, hence the two switches that let
    ZeRO take another (stack notes of DeepSpeed 0.19: ``zero_allow_untested_optimizer``).
    """
    ours: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": _micro(config, world),
        "gradient_accumulation_steps": config.accumulation,
        "gradient_clipping": config.clip_norm,
        "zero_optimization": _zero(config, plan, load),
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "bf16": {"enabled": load.element == 2},
        "steps_per_print": QUIET,
    }
    if load.element == 2 and load.accumulated and plan.stage > 0:
        ours["data_types"] = {"grad_accum_dtype": "fp32"}  # a sum of many parts loses bits in bf16
    mine = own(config)
    if mine is None:
        return ours
    # Agreed with already; DeepSpeed asks for a product of whole numbers, which a batch over three workers may not be.
    mine = {key: value for key, value in mine.items() if key not in ("train_batch_size", *_SIZES)}
    return _filled(mine, ours)


_SIZES = ("train_micro_batch_size_per_gpu", "gradient_accumulation_steps")


def _micro(config: TrainConfig, world: int) -> int:
    return max(1, config.batch_size // (world * config.accumulation))


def _zero(config: TrainConfig, plan: Plan, load: Load) -> dict[str, Any]:
    found: dict[str, Any] = {"stage": plan.stage}
    if plan.stage > 0:
        found |= {"reduce_bucket_size": load.bucket, "allgather_bucket_size": load.bucket}
    if plan.stage == 3:
        found |= {
            "stage3_max_live_parameters": load.live,
            "stage3_max_reuse_distance": load.live,
            "stage3_prefetch_bucket_size": load.bucket // 4,
            "sub_group_size": 2 * load.bucket,
        }
    if plan.offload != "none":
        place = {"device": plan.offload} | ({"nvme_path": config.nvme} if plan.offload == "nvme" else {})
        found["offload_optimizer"] = {**place, "pin_memory": True}
        if plan.stage == 3:
            found["offload_param"] = {**place, "pin_memory": True}
    return found


def _filled(mine: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """The user's settings, and ours where the user has none or says ``auto``."""
    found = dict(mine)
    for key, value in ours.items():
        if isinstance(found.get(key), dict) and isinstance(value, dict):
            found[key] = _filled(found[key], value)
        elif found.get(key, "auto") == "auto":
            found[key] = value
    return found


def _parsed(text: str, place: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as fault:
        raise ConfigError(f"--deepspeed {place} is no JSON: {fault}") from fault
    if not isinstance(found, dict):
        raise ConfigError(f"--deepspeed {place} is no JSON object, but a {type(found).__name__}")
    return found


def _checked(mine: dict[str, Any], config: TrainConfig) -> dict[str, Any]:
    for key, instead in NOT_HONOURED.items():
        section = mine.get(key)
        if section and not (isinstance(section, dict) and section.get("enabled") in (False, "auto")):
            raise ConfigError(f"the DeepSpeed file has a section {key}, which cannot be honoured: {instead}")
    stage = _section(mine, "zero_optimization").get("stage", "auto")
    if stage not in ("auto", 0, 1, 2, 3):
        raise ConfigError(f"the DeepSpeed file has zero_optimization.stage {stage!r}: choose 0 to 3")
    bf16_wanted = _section(mine, "bf16").get("enabled")
    if bf16_wanted not in (None, "auto") and config.precision not in ("auto", "bf16" if bf16_wanted else "fp32"):
        raise ConfigError(
            f"the DeepSpeed file has bf16.enabled {bf16_wanted!r}, and --precision is {config.precision}: "
            "make them agree"
        )
    told = {
        "train_batch_size": ("--batch-size", config.batch_size),
        "train_micro_batch_size_per_gpu": (
            "--batch-size / (--workers x --accumulation)",
            _micro(config, config.span[1]),
        ),
        "gradient_accumulation_steps": ("--accumulation", config.accumulation),
    }
    for key, (flag, value) in told.items():
        if mine.get(key, "auto") not in ("auto", value):
            raise ConfigError(f"the DeepSpeed file has {key} {mine[key]!r}, and {flag} is {value}: make them agree")
    return mine


def _section(mine: dict[str, Any], key: str) -> dict[str, Any]:
    section = mine.get(key, {})
    if not isinstance(section, dict):
        raise ConfigError(f"the DeepSpeed file has {key} {section!r}: it must be an object")
    return section
