"""The network from slices to findings: backbone, adapter site, pooling over slices, head."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Num
from torch import Tensor, nn

from molre.backbones import Backbone
from molre.errors import ConfigError
from molre.findings import KEYS
from molre.windows import to_images

EMPTY_HU = -1000
"""A slice with no voxel above this, the HU of air, shows nothing: padding of the grid, or air beyond the head."""


def slice_mask(hu: Num[Tensor, "b d h w"]) -> Bool[Tensor, "b d"]:
    """True for the slices that pooling may look at, False for those that are entirely air."""
    return hu.flatten(2).amax(2) > EMPTY_HU


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


class Classifier(nn.Module):
    """Volumes to one logit a finding.

    Attributes:
        backbone: frozen, unless an adapter or full fine-tuning opens it.
        site: a frozen identity on the slice features, which an adapter wraps: the ``feature`` site.
        pooling: over slices; always trained.
        head: one logit a finding; always trained.
    """

    def __init__(
        self,
        backbone: Backbone,
        findings: int = len(KEYS),
        *,
        query_per_finding: bool = False,
        chunk_slices: int = 64,
        seed: int = 0,
    ) -> None:
        """Wire the parts up.

        Args:
            backbone: as ``molre.backbones.build`` returns it.
            findings: number of logits.
            query_per_finding: give each finding its own pooling query.
            chunk_slices: slices that go through the backbone at once; bounds memory.
            seed: of the head's initial weights. The global generator is left as it was.
        """
        super().__init__()
        if findings < 1 or chunk_slices < 1:
            raise ConfigError(f"findings={findings} and chunk_slices={chunk_slices} must be at least 1")
        self.chunk_slices = chunk_slices
        width = backbone.spec.width
        self.backbone = backbone
        self.pooling = Pooling(width, findings if query_per_finding else 1)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.head = nn.Linear(width, findings)
            self.site = nn.Linear(width, width, bias=False)
        nn.init.eye_(self.site.weight)
        self.backbone.requires_grad_(False)
        self.site.requires_grad_(False)

    @property
    def query_per_finding(self) -> bool:
        """Whether each finding has its own pooling query."""
        return self.pooling.query.shape[0] > 1

    def embed(self, hu: Num[Tensor, "b d h w"]) -> Float[Tensor, "b d width"]:
        """Slice features before the site; gradients flow only where something in the backbone is trained."""
        volumes, slices = hu.shape[:2]
        opened = any(parameter.requires_grad for parameter in self.backbone.parameters())
        with torch.set_grad_enabled(opened and torch.is_grad_enabled()):
            chunks = [self._features(chunk) for chunk in hu.flatten(0, 1).split(self.chunk_slices)]
        return torch.cat(chunks).unflatten(0, (volumes, slices))

    def _features(self, hu: Num[Tensor, "n h w"]) -> Float[Tensor, "n width"]:
        spec = self.backbone.spec
        images = to_images(hu[None], spec.windows, spec.image_px)[0]
        return self.backbone(images.to(next(self.backbone.parameters()).dtype))

    def classify(
        self, features: Float[Tensor, "b d width"], mask: Bool[Tensor, "b d"] | None = None
    ) -> Float[Tensor, "b findings"]:
        """Slice features to logits: site, pooling, head.

        Args:
            features: as ``embed`` gives them; cast to the head's type.
            mask: True for slices that count; None counts all.
        """
        # The site sees one row a slice, and that is what an adapter's router decides on.
        adapted = self.site(features.to(self.head.weight.dtype).flatten(0, 1)).unflatten(0, features.shape[:2])
        pooled = self.pooling(adapted, mask)
        if self.query_per_finding:
            return (pooled * self.head.weight).sum(-1) + self.head.bias
        return self.head(pooled[:, 0])

    def forward(
        self,
        hu: Num[Tensor, "b d h w"] | None = None,
        features: Float[Tensor, "b d width"] | None = None,
        mask: Bool[Tensor, "b d"] | None = None,
    ) -> Float[Tensor, "b findings"]:
        """Logits from HU, or from features that ``embed`` gave earlier.

        Args:
            hu: (volumes, slices, rows, columns), slices from feet to head.
            features: instead of ``hu``.
            mask: True for slices that count; from HU it is ``slice_mask(hu)`` unless given.

        Raises:
            ConfigError: neither or both of ``hu`` and ``features`` are given.
        """
        if (hu is None) == (features is None):
            raise ConfigError("give the classifier either hu or features")
        if hu is not None:
            features, mask = self.embed(hu), slice_mask(hu) if mask is None else mask
        assert features is not None
        return self.classify(features, mask)
