"""DeepSpeed around a trainee: set-up, one step, and its state in full."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable

import deepspeed
import torch
from deepspeed.utils import (
    logger,
    safe_get_full_fp32_param,
    safe_get_full_optimizer_state,
    safe_set_full_fp32_param,
    safe_set_full_optimizer_state,
    safe_set_local_fp32_param,
    safe_set_local_optimizer_state,
)
from jaxtyping import Float
from torch import Tensor

from molre.training.checkpoint import MOMENTS
from molre.training.config import TrainConfig
from molre.training.deepspeed_settings import settings
from molre.training.examples import Batch
from molre.training.loss import focal_sum
from molre.training.trainee import Trainee
from molre.training.zero import Load, Plan


class Engine:
    """One worker's share of a DeepSpeed run.

    Args:
        trainee: what is trained.
        config: of the run.
        world: number of workers.
        device: of this worker.
        plan: the stage of ZeRO and what goes with it.
        load: what the plan was made for.
    """

    def __init__(
        self, trainee: Trainee, config: TrainConfig, world: int, device: torch.device, plan: Plan, load: Load
    ) -> None:
        self.trainee, self.config, self.world, self.device, self.plan = trainee, config, world, device, plan
        self.dtype = torch.bfloat16 if load.element == 2 else torch.float32
        self.settings = settings(config, plan, load, world)
        parameters = list(trainee.trained.values())
        # Stage 0 in bf16 takes a step of its own while it is made: at rate 0 it changes nothing, and is forgotten.
        optimizer = torch.optim.AdamW(parameters, lr=0.0, weight_decay=config.weight_decay)
        _keep_quiet()
        self.engine, self.optimizer, _, _ = deepspeed.initialize(
            model=trainee,
            optimizer=optimizer,
            model_parameters=parameters,
            config=self.settings,
            dist_init_required=False,
        )
        self._inner.state.clear()
        # One worker has nobody to average with; where DeepSpeed holds the gradients itself, it has to hear of them.
        if world == 1 and plan.stage == 0 and self.dtype == torch.float32:
            self.engine.enable_backward_allreduce = False

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

    def state(self, *, keep: bool = True) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
        """Trained values and the optimiser's moments, gathered one after another; every worker calls it.

        Args:
            keep: whether this worker gets them; one that does not needs no memory for them.

        Raises:
            FloatingPointError: a trained value is not finite; on every worker alike.
        """
        parameters, moments = dict[str, Tensor](), dict[str, dict[str, Tensor]]()
        for name, parameter in self.trainee.trained.items():
            value = self._value(parameter)
            if not value.isfinite().all():
                raise FloatingPointError(name)
            state = {key: self._moment(parameter, key) for key in MOMENTS}
            if keep:
                parameters[name], moments[name] = value, state
        return parameters, moments

    def load(self, parameters: dict[str, Tensor], moments: dict[str, dict[str, Tensor]], taken: int) -> None:
        """Take up a state after ``taken`` steps, on every worker."""
        self._begin(taken)
        for name, parameter in self.trainee.trained.items():
            self._set(parameter, parameters[name], moments[name])

    @property
    def _inner(self) -> torch.optim.Optimizer:
        """The torch optimiser inside ZeRO's."""
        return getattr(self.optimizer, "optimizer", self.optimizer)

    def _stepped(self) -> dict[torch.nn.Parameter, torch.nn.Parameter]:
        """In stage 0, what the optimiser steps of each parameter: itself, or its copy in 32-bit floats."""
        groups = zip(
            getattr(self.optimizer, "fp16_groups", [list(self.trainee.trained.values())]),
            [group["params"] for group in self._inner.param_groups],
            strict=True,
        )
        return {own: stepped for owns, all_stepped in groups for own, stepped in zip(owns, all_stepped, strict=True)}

    def _value(self, parameter: torch.nn.Parameter) -> Tensor:
        value = safe_get_full_fp32_param(parameter) if self.plan.stage else self._stepped()[parameter]
        return value.detach().float().cpu().clone()

    def _moment(self, parameter: torch.nn.Parameter, key: str) -> Tensor:
        if not self._inner.state:  # no step was taken yet
            return torch.zeros(self.trainee.shapes[parameter])
        if self.plan.stage:
            value = safe_get_full_optimizer_state(parameter, key)
        else:
            value = self._inner.state[self._stepped()[parameter]][key]
        return value.detach().float().cpu().clone()

    def _begin(self, taken: int) -> None:
        """Make the state that the first step would have made, for it to be filled."""
        groups = [stepped for group in self._inner.param_groups for stepped in group["params"]]
        # Stage 3 steps one part after another, and between steps the optimiser's own groups are empty.
        for stepped in getattr(self.optimizer, "fp32_partitioned_groups_flat", groups):
            self._inner.state[stepped] = {
                "step": torch.tensor(float(taken)),
                **{key: torch.zeros_like(stepped, requires_grad=False) for key in MOMENTS},
            }
        link = getattr(self.optimizer, "_lazy_init_hp_params_optimizer_state", None)  # of stages 1 and 2
        if link is not None:
            link()

    @torch.no_grad()
    def _set(self, parameter: torch.nn.Parameter, value: Tensor, moments: dict[str, Tensor]) -> None:
        if not self.plan.stage:
            stepped = self._stepped()[parameter]
            stepped.copy_(value)
            for key in MOMENTS:
                self._inner.state[stepped][key].copy_(moments[key])
        elif self.plan.stage == 3:
            safe_set_local_fp32_param(parameter, self._share(parameter, value))
            for key in MOMENTS:
                safe_set_local_optimizer_state(parameter, self._share(parameter, moments[key]), key)
        else:
            safe_set_full_fp32_param(parameter, value.to(self.device))
            for key in MOMENTS:
                safe_set_full_optimizer_state(parameter, moments[key].to(self.device), key)
        # Setting what is stepped leaves what is computed with as it was.
        with deepspeed.zero.GatheredParameters([parameter], modifier_rank=0, enabled=self.plan.stage == 3):
            parameter.copy_(value)

    def _share(self, parameter: torch.nn.Parameter, value: Tensor) -> Tensor:
        """What this worker holds of a value in stage 3, zeros at its end where it does not divide.

        DeepSpeed's own ``safe_set_full_fp32_param`` fails where it does not (0.19).
        """
        size = parameter.ds_tensor.numel()  # type: ignore[attr-defined]  # DeepSpeed's
        filled = torch.nn.functional.pad(value.flatten(), (0, size * self.world - value.numel()))
        return filled[torch.distributed.get_rank() * size :][:size].to(self.device)


def _keep_quiet() -> None:
    """Let DeepSpeed tell errors only, and compile nothing.

    On CPUs it would compile shared-memory kernels for inference, behind a lock that a killed worker leaves behind for
    every later run to wait for (``deepspeed.comm.torch.build_shm_op``); looking for kernels alone starts compilers.
    """
    logger.setLevel(logging.ERROR)
    vars(deepspeed.ops).setdefault("__compatible_ops__", {})
    # torch renamed what DeepSpeed calls.
    warnings.filterwarnings("ignore", message=".*torch.distributed.(all_gather_into|reduce_scatter)_tensor.*deprecated")
