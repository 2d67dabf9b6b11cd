"""The part of a classifier that DeepSpeed holds, with stable names for what is trained."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from molre.adapters import Adapted, attach
from molre.backbones import Backbone, build, spec_named
from molre.classifier import Classifier
from molre.errors import WeightsError
from molre.training.config import TrainConfig
from molre.training.examples import Batch
from molre.volume import Grid


class Trainee(nn.Module):
    """A classifier in training.

    With cached features the backbone is no part of the module: it takes no memory and DeepSpeed does not see it.

    Args:
        adapted: the classifier with its adapter.
        cached: whether batches hold features.

    Attributes:
        trained: what training changes, by its names in the classifier.
        shapes: of what is trained; in ZeRO's third stage a parameter itself has none of its own.
    """

    def __init__(self, adapted: Adapted, cached: bool) -> None:
        super().__init__()
        classifier = adapted.classifier
        self.parts = nn.ModuleDict(
            {"site": classifier.site, "pooling": classifier.pooling, "head": classifier.head}
            if cached
            else {"classifier": classifier}
        )
        self._classify = classifier.classify
        self.trained = trained_parameters(adapted)
        self.shapes = {parameter: parameter.shape for parameter in self.trained.values()}

    def forward(self, batch: Batch) -> Float[Tensor, "batch findings"]:
        """Logits."""
        if batch.features is not None:
            return self._classify(batch.features, batch.mask)
        return self.parts["classifier"](hu=batch.hu, mask=batch.mask)


def make(config: TrainConfig, grid: Grid, *, cached: bool) -> Adapted:
    """The classifier with its adapter at step 0, the same on every worker.

    Args:
        config: names backbone, weights, adapter and seed.
        grid: of the store.
        cached: with the backbone's facts and without its network, for use with cached features.

    Raises:
        ConfigError: the backbone does not fit the grid, or the adapter its budget.
    """
    spec = spec_named(config.backbone)
    if cached and spec.parameters is not None:
        backbone = Backbone(spec)
    else:
        backbone = build(config.backbone, weights=config.weights, remote_code=config.remote_code)
    classifier = Classifier(
        backbone,
        grid=grid,
        query_per_finding=config.query_per_finding,
        memory_mib=config.memory_mib,
        seed=config.seed,
    )
    classifier.recompute = config.recompute
    return attach(classifier, config.adapter_config, seed=config.seed)


def trained_parameters(adapted: Adapted) -> dict[str, nn.Parameter]:
    """The parameters that training changes, by their names in the classifier."""
    return {name: p for name, p in adapted.classifier.named_parameters() if p.requires_grad}


def load_trained(adapted: Adapted, tensors: dict[str, Tensor]) -> None:
    """Put trained values into a classifier of the same configuration.

    Raises:
        WeightsError: the names differ.
    """
    parameters = trained_parameters(adapted)
    if set(parameters) != set(tensors):
        odd = sorted(set(parameters) ^ set(tensors))
        raise WeightsError(f"the checkpoint is of another configuration: {len(odd)} tensors differ, such as {odd[0]}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[name])
