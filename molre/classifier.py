"""The network from slices to findings: backbone, adapter site, pooling over slices, head."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Num
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from molre.backbones import Backbone, BackboneSpec, SliceInput
from molre.errors import ConfigError
from molre.findings import KEYS
from molre.volume import Grid

MEMORY_MIB = 1024.0
"""Default bound on the memory of a frozen forward pass; some sixty slices of a ViT-B at 224 px."""

EMPTY_HU = -1000
"""A slice with no voxel above this, the HU of air, shows nothing: padding of the grid, or air beyond the head."""


def slice_mask(hu: Num[Tensor, "b d h w"]) -> Bool[Tensor, "b d"]:
    """True for the slices that pooling may look at, False for those that are entirely air."""
    return hu.flatten(2).amax(2) > EMPTY_HU


def shortcomings(spec: BackboneSpec, grid: Grid) -> list[str]:
    """What a store's grid lacks of what a backbone was made for, a sentence each.

    Raises:
        ConfigError: the backbone cannot be used on this grid.
    """
    try:
        return [f"{spec.name}: {told}" for told in spec.input.check(grid)]
    except ConfigError as fault:
        raise ConfigError(f"{spec.name} does not fit the store: {fault}") from fault


def _evened(features: Float[Tensor, "b rows width"], mask: Bool[Tensor, "b rows"]) -> Float[Tensor, "b rows width"]:
    """Rows that do not count, as the mean of those that do."""
    shown = mask[..., None].to(features.dtype)
    mean = (features * shown).sum(1, keepdim=True) / shown.sum(1, keepdim=True).clamp_min(1)
    return torch.where(mask[..., None], features, mean)


class Pooling(nn.Module):
    """Attention over slices with learnable queries: weights softmax(H q / √d), which is the paper's form.

    The queries start at zero, so that the first step pools evenly (chosen).

    Attributes:
        query: (queries, width); one query, or one a finding.
    """

    def __init__(self, width: int, queries: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(queries, width))

    def weights(
        self, features: Float[Tensor, "b d width"], mask: Bool[Tensor, "b d"] | None = None
    ) -> Float[Tensor, "b d queries"]:
        """How much each slice counts; sums to 1 over slices, and is 0 where the mask is False."""
        scores = features @ self.query.T / math.sqrt(features.shape[-1])
        if mask is not None:
            # A volume without any slice left is pooled over all of them: NaN would spoil the whole batch.
            usable = mask | ~mask.any(1, keepdim=True)
            scores = scores.masked_fill(~usable[..., None], -torch.inf)
        return scores.softmax(1)

    def forward(
        self, features: Float[Tensor, "b d width"], mask: Bool[Tensor, "b d"] | None = None
    ) -> Float[Tensor, "b queries width"]:
        """One vector a volume and query."""
        return torch.einsum("bdq,bdw->bqw", self.weights(features, mask), features)


class Head(nn.Linear):
    """One logit a finding, from one vector for all findings or from one vector each."""

    def forward(self, pooled: Float[Tensor, "b queries width"]) -> Float[Tensor, "b findings"]:
        """Logits."""
        if pooled.shape[1] > 1:
            return (pooled * self.weight).sum(-1) + self.bias
        return super().forward(pooled[:, 0])


class Classifier(nn.Module):
    """Volumes to one logit a finding.

    A 2D backbone gives a row of features a slice, and pooling weighs the rows; a 3D backbone gives one row a volume.

    Every parameter is read in the forward pass of the module that owns it, and no shape of one is relied on, since
    ZeRO's third stage holds a parameter in full only there.

    Attributes:
        backbone: frozen, unless an adapter or full fine-tuning opens it.
        site: a frozen identity on the features, which an adapter wraps: the ``feature`` site.
        pooling: over rows; always trained.
        head: one logit a finding; always trained.
        chunk: slices or volumes that go through the backbone at once.
        routes_volumes: whether the site sees a volume's rows together, so that a router decides once a volume.
        query_per_finding: whether each finding has its own pooling query.
        recompute: keep no activations of an opened backbone, and compute them again, chunk by chunk, in the backward
            pass; memory then is that of one chunk, and time a forward pass more.
    """

    def __init__(
        self,
        backbone: Backbone,
        findings: int = len(KEYS),
        *,
        grid: Grid | None = None,
        query_per_finding: bool = False,
        memory_mib: float = MEMORY_MIB,
        seed: int = 0,
    ) -> None:
        """Wire the parts up.

        Args:
            backbone: as ``molre.backbones.build`` returns it.
            findings: number of logits.
            grid: of the volumes; a 3D backbone needs it, a 2D one takes any.
            query_per_finding: give each finding its own pooling query.
            memory_mib: what a frozen forward pass of the backbone may take beyond its weights.
            seed: of the head's initial weights. The global generator is left as it was.

        Raises:
            ConfigError: a size is out of range, or the backbone cannot be used on the grid.
        """
        super().__init__()
        spec = backbone.spec
        if findings < 1 or memory_mib <= 0:
            raise ConfigError(f"findings={findings} must be at least 1, memory_mib={memory_mib} above 0")
        if spec.dims == 3 and grid is None:
            raise ConfigError(f"{spec.name} reads volumes: tell the classifier their grid")
        self.shortcomings = shortcomings(spec, grid) if grid else []
        self.chunk = max(1, int(memory_mib // spec.forward_mib))
        self.routes_volumes = False
        self.recompute = False
        self.query_per_finding = query_per_finding and findings > 1
        self.grid = grid
        self.backbone = backbone
        self.pooling = Pooling(spec.width, findings if query_per_finding else 1)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.head = Head(spec.width, findings)
            self.site = nn.Linear(spec.width, spec.width, bias=False)
        nn.init.eye_(self.site.weight)
        self.backbone.requires_grad_(False)
        self.site.requires_grad_(False)

    def shown(self, hu: Num[Tensor, "b d h w"]) -> Bool[Tensor, "b rows"]:
        """True for the rows of ``embed`` that pooling may look at: slices with something in them, or the volume."""
        if self.backbone.spec.dims == 3:
            return torch.ones(len(hu), 1, dtype=torch.bool, device=hu.device)
        return slice_mask(hu)

    def embed(self, hu: Num[Tensor, "b d h w"]) -> Float[Tensor, "b rows width"]:
        """Features before the site, a row a slice in 2D and a row a volume in 3D.

        They pass through the backbone in chunks that keep to the memory setting. Gradients flow only where something
        in the backbone is trained.
        """
        opened = any(parameter.requires_grad for parameter in self.backbone.parameters())
        images = hu.flatten(0, 1) if self.backbone.spec.dims == 2 else hu
        with torch.set_grad_enabled(opened and torch.is_grad_enabled()):
            features = torch.cat([self._chunk(chunk) for chunk in images.split(self.chunk)])
        return features.unflatten(0, (len(hu), -1))

    def _chunk(self, hu: Num[Tensor, "n *d h w"]) -> Float[Tensor, "n width"]:
        if not (self.recompute and torch.is_grad_enabled()):
            return self._features(hu)
        # To the end: ZeRO's third stage lets go of a layer's parameters only when the layer is through.
        return checkpoint(self._features, hu, use_reentrant=False, early_stop=False)

    def _features(self, hu: Num[Tensor, "n *d h w"]) -> Float[Tensor, "n width"]:
        spec = self.backbone.spec
        if isinstance(spec.input, SliceInput):
            images = spec.input.of(hu, spec.windows)
        else:
            assert self.grid is not None
            images = spec.input.of(hu, spec.windows, self.grid.spacing_mm)
        return self.backbone(images.to(next(self.backbone.parameters()).dtype))

    def classify(
        self, features: Float[Tensor, "b rows width"], mask: Bool[Tensor, "b rows"] | None = None
    ) -> Float[Tensor, "b findings"]:
        """Features to logits: site, pooling, head.

        Args:
            features: as ``embed`` gives them; cast to the head's type.
            mask: True for rows that count; None counts all.
        """
        features = features.to(next(self.head.parameters()).dtype)
        if self.routes_volumes:
            # The router reads the mean over a volume's rows; rows that do not count must not move it.
            adapted = self.site(features if mask is None else _evened(features, mask))
        else:
            adapted = self.site(features.flatten(0, 1)).unflatten(0, features.shape[:2])
        return self.head(self.pooling(adapted, mask))

    def forward(
        self,
        hu: Num[Tensor, "b d h w"] | None = None,
        features: Float[Tensor, "b rows width"] | None = None,
        mask: Bool[Tensor, "b rows"] | None = None,
    ) -> Float[Tensor, "b findings"]:
        """Logits from HU, or from features that ``embed`` gave earlier.

        Args:
            hu: (volumes, slices, rows, columns), slices from feet to head.
            features: instead of ``hu``.
            mask: True for rows that count; from HU it is ``shown(hu)`` unless given.

        Raises:
            ConfigError: neither or both of ``hu`` and ``features`` are given.
        """
        if (hu is None) == (features is None):
            raise ConfigError("give the classifier either hu or features")
        if hu is not None:
            features, mask = self.embed(hu), self.shown(hu) if mask is None else mask
        assert features is not None
        return self.classify(features, mask)
