"""Pillar0-HeadCT (Agrawal et al., arXiv 2511.17803), whose architecture is published only as code beside its weights.

How it is fed was read in github.com/YalaLab/rate-evals, its authors' evaluation, and not in its code.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel

from molre.backbones.backbone import Backbone, BackboneSpec
from molre.backbones.inputs import VolumeInput
from molre.errors import WeightsError
from molre.windows import Windows

MODALITY = "brain_ct"
"""What the network is told that it sees: the modality of rate-evals' configs/dataset/rve_brain_ct.yaml."""

METHOD = "extract_vision_feats"


class Pillar(Backbone):
    """A network of remote code that gives one L2-normalised vector a volume.

    Attributes:
        remote: the network; only its published method is called.
    """

    def __init__(self, spec: BackboneSpec, remote: nn.Module) -> None:
        super().__init__(spec)
        if not callable(getattr(remote, METHOD, None)):
            raise WeightsError(f"{type(remote).__name__} has no {METHOD}: give the repository of {spec.hub_id}")
        self.remote = remote.requires_grad_(False)
        names = {name for name, _ in self.named_parameters()}
        seeing = {name for name in names if ".visual." in name}  # where the published weights have the image encoder
        self.idle = frozenset(names - seeing) if seeing else frozenset()

    def forward(self, images: Float[Tensor, "n c d h w"]) -> Float[Tensor, "n width"]:
        """One feature vector a volume.

        Raises:
            WeightsError: the network gives something else.
        """
        features = getattr(self.remote, METHOD)({MODALITY: images})
        wanted = (len(images), self.spec.width)
        if not isinstance(features, Tensor) or tuple(features.shape) != wanted:
            told = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
            raise WeightsError(
                f"{METHOD} of {type(self.remote).__name__} gives {told} and not a tensor of {wanted}: "
                f"give the repository of {self.spec.hub_id} at a commit whose code does"
            )
        return features.to(images.dtype)

    @classmethod
    def from_remote_code(cls, spec: BackboneSpec, source: str, revision: str | None) -> Backbone:
        """The network that a folder's or a repository's code and weights make.

        Raises:
            WeightsError: there is no such code, or it does not build the network from these weights.
        """
        _check_code(spec, source, revision)
        try:
            with _older_code():
                remote, loading = AutoModel.from_pretrained(
                    source, revision=revision, trust_remote_code=True, dtype=torch.float32, output_loading_info=True
                )
        except Exception as fault:  # the boundary: code of others raises whatever it likes
            raise _unloadable(
                spec, source, f"{type(fault).__name__}: {(str(fault).splitlines() or [''])[0]}"
            ) from fault
        absent = sorted(map(str, loading["missing_keys"]))
        if absent:  # transformers would go on with random values
            raise _unloadable(spec, source, f"its weights lack {len(absent)} tensors, {absent[0]} the first")
        return cls(spec, remote)


def _unloadable(spec: BackboneSpec, source: str, reason: str) -> WeightsError:
    return WeightsError(
        f"cannot load {spec.name} from {source} ({reason[:200]}): check the files, your access ({spec.access}) and the "
        "packages that their code imports"
    )


def _check_code(spec: BackboneSpec, source: str, revision: str | None) -> None:
    """Look at what is to be run before it is; reads config.json only.

    Raises:
        WeightsError: there is no code, or it lies elsewhere, where the revision does not pin it.
    """
    if revision is None and not Path(source).is_dir():
        raise WeightsError(f"{source} is no folder: {spec.name} needs the whole folder of {spec.hub_id}, with its code")
    try:
        config, _ = PreTrainedConfig.get_config_dict(source, revision=revision)
    except (OSError, ValueError) as fault:
        raise _unloadable(spec, source, f"no config.json: {type(fault).__name__}") from fault
    code = config.get("auto_map", {})
    if "AutoModel" not in code:
        raise WeightsError(f"config.json of {source} names no code for AutoModel: give the folder of {spec.hub_id}")
    if any("--" in str(place) for place in code.values()):
        raise WeightsError(
            f"config.json of {source} takes its code from another repository, where nothing pins it: "
            "put the code beside the weights"
        )


@contextmanager
def _older_code() -> Iterator[None]:
    """Let code from before transformers 5 load, which does not register that it ties no weights.

    Pillar's is such code; https://github.com/huggingface/transformers has the attribute set by ``post_init()``.
    """
    known = hasattr(PreTrainedModel, "all_tied_weights_keys")
    if not known:
        PreTrainedModel.all_tied_weights_keys = {}
    try:
        yield
    finally:
        if not known:
            del PreTrainedModel.all_tied_weights_keys


PILLAR = Windows(
    name="pillar0",
    # The eleven channels of RAVE, its authors' preprocessing: ten windows, and the volume from lowest to highest.
    centre_width=(
        (-600.0, 1500.0),
        (50.0, 400.0),
        (40.0, 400.0),
        (80.0, 150.0),
        (400.0, 1800.0),
        (40.0, 80.0),
        (75.0, 215.0),
        (40.0, 40.0),
        (600.0, 2800.0),
        (50.0, 350.0),
    ),
    whole_range=True,
    mean=(0.0,) * 11,
    std=(1.0,) * 11,
)

# Published are 256 x 256 px of slices at 1.25 mm, read from head to feet, and two accounts of what a pixel is. This
# one has the field of the published crop of 512 px at 0.5 mm, which holds a head.
WHOLE_HEAD = VolumeInput(
    shape=(128, 256, 256),
    spacing_mm=(1.25, 1.0, 1.0),
    # rate-evals adds slices of -1 HU above and below, before the windows; beside them RAVE leaves air.
    padding=-1.0,
    head_first=True,
)

HEADCT = BackboneSpec(
    name="pillar0-headct",
    title="Pillar0-HeadCT, by its remote code; 1 mm in plane, a whole head",
    family=Pillar,
    width=1152,
    input=WHOLE_HEAD,
    windows=PILLAR,
    parameters=None,
    published="43M to 79M",
    count_source="a digest of the MoLRE paper (arXiv 2603.00675); counted when it is loaded",
    forward_mib=2048.0,  # not measured, since there is nothing here to run: at least the input's 352 MiB; one at a time
    licence="ECL-2.0",
    access=(
        "gated on the Hugging Face hub: accept its terms there, then log in with a token; no revision could be pinned "
        "here, so read the code at a commit and give YalaLab/Pillar0-HeadCT@COMMIT"
    ),
    hub_id="YalaLab/Pillar0-HeadCT",
    remote_code=True,
)

HEADCT_HALF_MM = replace(
    HEADCT,
    name="pillar0-headct-half-mm",
    title="Pillar0-HeadCT, by its remote code; 0.5 mm in plane, the middle of a head",
    # The other account: 256 px cut out of RAVE's 512 px at 0.5 mm, as rate-evals does.
    input=replace(WHOLE_HEAD, spacing_mm=(1.25, 0.5, 0.5)),
)

SPECS = (HEADCT, HEADCT_HALF_MM)
