"""DeepSpeed around a trainee: set-up, one step, and its state in full."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import deepspeed
import torch
from deepspeed.utils import (
    safe_get_full_fp32_param,
    safe_get_full_optimizer_state,
    safe_set_full_fp32_param,
    safe_set_full_optimizer_state,
)
from jaxtyping import Float
from torch import Tensor

from molre.training.checkpoint import MOMENTS
from molre.training.config import TrainConfig
from molre.training.examples import Batch
from molre.training.loss import focal_sum
from molre.training.trainee import Trainee


def settings(config: TrainConfig, world: int, bf16: bool) -> dict[str, Any]:
    """DeepSpeed's configuration.

    The optimiser is torch's own AdamW: DeepSpeed's CPU Adam needs a compiled kernel, hence the two switches that let
    ZeRO take another (stack notes of DeepSpeed 0.19: ``zero_allow_untested_optimizer``).
    """
    return {
        "train_micro_batch_size_per_gpu": max(1, config.batch_size // (world * config.accumulation)),
        "gradient_accumulation_steps": config.accumulation,
        "gradient_clipping": config.clip_norm,
        "zero_optimization": {"stage": config.zero},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "bf16": {"enabled": bf16},
        "steps_per_print": 2**31,
    }


class Engine:
    """One worker's share of a DeepSpeed run.

    Args:
        trainee: what is trained.
        config: of the run.
        world: number of workers.
        device: of this worker.
    """

    def __init__(self, trainee: Trainee, config: TrainConfig, world: int, device: torch.device) -> None:
        bf16 = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
        self.trainee, self.config, self.world, self.device = trainee, config, world, device
        self.dtype = torch.bfloat16 if bf16 else torch.float32
        parameters = list(trainee.trained.values())
        optimizer = torch.optim.AdamW(parameters, lr=config.peak_rate, weight_decay=config.weight_decay)
        _compile_nothing()
        self.engine, self.optimizer, _, _ = deepspeed.initialize(
            model=trainee,
            optimizer=optimizer,
            model_parameters=parameters,
            config=settings(config, world, bf16),
            dist_init_required=False,
        )
        self._sharded = bf16 or config.zero > 0

    def logits(self, batch: Batch) -> Float[Tensor, "batch findings"]:
        """Logits in float32, through DeepSpeed's hooks."""
        if batch.features is not None:
            batch = Batch(labels=batch.labels, features=batch.features.to(self.dtype), mask=batch.mask)
        return self.engine(batch).float()

    def step(
        self, parts: Iterable[Batch], known: int, rate: float, weights: Float[Tensor, "2 findings"]
    ) -> Float[Tensor, ""]:
        """One optimiser step.

        Args:
            parts: this worker's share of the batch, one entry for each accumulation step; one is needed at a time.
            known: known labels of the whole batch, over all workers.
            rate: learning rate.
            weights: of the classes.

        Returns:
            This worker's part of the batch's mean loss, on the device: reading it would wait for the step.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        total = torch.zeros((), device=self.device)
        # DeepSpeed averages gradients over workers and parts, while the loss is a mean over the batch's known labels.
        scale = self.world * self.config.accumulation / max(1, known)
        for part in parts:
            loss = focal_sum(self.logits(part), part.labels, weights, self.config.gamma)
            self.engine.backward(loss * scale)
            self.engine.step()
            total += loss.detach() / max(1, known)
        return total

    def state(self) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
        """Trained values and the optimiser's moments, gathered; every worker calls it and gets it."""
        parameters, moments = {}, {}
        for name, parameter in self.trainee.trained.items():
            parameters[name] = self._value(parameter)
            moments[name] = {key: self._moment(parameter, key) for key in MOMENTS}
        return parameters, moments

    def load(self, parameters: dict[str, Tensor], moments: dict[str, dict[str, Tensor]], taken: int) -> None:
        """Take up a state after ``taken`` steps, on every worker."""
        for name, parameter in self.trainee.trained.items():
            self._set(parameter, parameters[name], moments[name], taken)

    def _value(self, parameter: torch.nn.Parameter) -> Tensor:
        value = safe_get_full_fp32_param(parameter) if self._sharded else parameter
        return value.detach().float().cpu().clone()

    def _moment(self, parameter: torch.nn.Parameter, key: str) -> Tensor:
        if self._sharded:
            value = safe_get_full_optimizer_state(parameter, key)
        else:
            value = self.optimizer.state[parameter].get(key)
        return torch.zeros(parameter.shape) if value is None else value.detach().float().cpu().clone()

    def _set(self, parameter: torch.nn.Parameter, value: Tensor, moments: dict[str, Tensor], taken: int) -> None:
        if self._sharded:
            safe_set_full_fp32_param(parameter, value.to(self.device))
            for key in MOMENTS:
                safe_set_full_optimizer_state(parameter, moments[key].to(self.device), key)
            for state in self._inner().state.values():
                if "step" in state:
                    state["step"] = torch.tensor(float(taken))
            return
        with torch.no_grad():
            parameter.copy_(value)
        self.optimizer.state[parameter] = {
            "step": torch.tensor(float(taken)),
            **{key: moments[key].to(parameter.device) for key in MOMENTS},
        }

    def _inner(self) -> torch.optim.Optimizer:
        """The torch optimiser inside ZeRO's."""
        return getattr(self.optimizer, "optimizer", self.optimizer)


def _compile_nothing() -> None:
    """Keep DeepSpeed from compiling shared-memory kernels for inference, which training does not use.

    It does so on CPUs, behind a lock that a killed worker leaves behind for every later run to wait for
    (``deepspeed.comm.torch.build_shm_op`` of DeepSpeed 0.19).
    """
    vars(deepspeed.ops).setdefault("__compatible_ops__", {})
