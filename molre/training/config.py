"""Everything a training run can be told."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Literal

from molre.adapters import AdapterConfig, Gate
from molre.classifier import MEMORY_MIB
from molre.errors import ConfigError
from molre.location import Location, home, place

STAGES = ("0", "1", "2", "3")
"""ZeRO's stages, which share out nothing, optimiser state, gradients and parameters, each with all before it."""

POSITIVE = ("check_every_s", "resize_every_s", "start_timeout_s")
"""Spans of time that must not be nothing."""

FEATURES = ("auto", "cached", "live")
"""Words that ``features`` may be instead of a place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Fine-tune a backbone on a store by an adapter, with Ray Train and DeepSpeed."""

    store: str | None = None
    """Store made by jobs/ingest.py, a path or URI; without it, the embedded phantom cohort."""
    features: str = "auto"
    """cached: train on frozen features computed once; live: run the backbone in every step; auto: cached where the
    site allows it and nothing is augmented. Features lie in MOLRE_HOME/features where OUT is in MOLRE_HOME, else in
    OUT/features, and are made where they are missing; a folder or URI, such as --out of jobs/embed.py, means cached,
    and there."""
    out: str = field(default_factory=lambda: str(home() / "train"))
    """Folder or URI of the result; the same folder goes on with a run that was stopped."""
    backbone: str = "dinov3-tiny"
    """Name in the registry of backbones; the default is the smallest and comes with weights."""
    weights: str | None = None
    """Checkpoint file or folder, or a hub id; 'random'; without it the packaged weights, else random ones."""
    adapter: Literal["none", "lora", "mlp", "molre", "full"] = "molre"
    """Kind of adapter; none trains pooling and head only, full trains everything."""
    memory_mib: float = MEMORY_MIB
    """What a frozen forward pass may take beyond the weights, MiB; bounds the slices that pass at once."""
    remote_code: bool = False
    """Run code that comes with the weights, for the backbones that need it."""
    site: str = "feature"
    """Where the adapter sits: feature, last_block, attention, or a regular expression over module names."""
    experts: int = 6
    """Number of experts K (paper: 6)."""
    rank: int | None = None
    """Rank r of each expert (paper: 8); without it the largest within the budget, and at most 8 without a budget."""
    alpha: float = 16.0
    """Scale of the update is alpha / rank."""
    temperature: float = 1.0
    """Temperature of the gate's softmax."""
    dropout: float = 0.0
    """Dropout before the experts."""
    router_width: int | None = None
    """Hidden units of MoLRE's router; without it 8 a rank up to 64, and fewer where nothing else fits the budget."""
    gate: Gate = "auto"
    """What MoLRE's router decides on: slice, volume, token, or auto: a slice in 2D, a volume in 3D (the paper's)."""
    budget: float | None = None
    """Largest added fraction of the backbone's parameters; without it the paper's 0.5 % and at most its rank."""
    over_budget: bool = False
    """Allow an adapter above the budget."""
    query_per_finding: bool = False
    """Give each finding its own pooling query instead of one for all."""
    epochs: int = 40
    """Passes over the training split; features are small, so forty take seconds on the demo's."""
    batch_size: int = 32
    """Studies an optimiser step, over all workers together."""
    accumulation: int = 1
    """Parts into which each worker's share of a batch is cut to fit in memory."""
    learning_rate: float | None = None
    """Peak learning rate of AdamW, before a cosine to zero; without it 5e-3 for what stands on frozen features,
    5e-4 for adapters within the backbone, 5e-5 for full fine-tuning."""
    weight_decay: float = 0.01
    """Decoupled weight decay."""
    warmup: float = 0.1
    """Fraction of all steps over which the learning rate rises."""
    clip_norm: float = 1.0
    """Largest norm of the gradient."""
    gamma: float = 2.0
    """Exponent of the focal loss (paper: 2.0)."""
    workers: int | str = 2
    """Ray Train workers; each takes one GPU where the cluster has them, else one CPU. LEAST-MOST, such as 1-4, is
    elastic: as many as there is room for, looked after every --resize-every-s seconds."""
    resize_every_s: float = 60.0
    """Seconds between two looks of an elastic run for more room; taking it up costs the steps since the last
    checkpoint."""
    deepspeed: str = "auto"
    """DeepSpeed: auto for the lowest ZeRO stage that fits in memory; 0 to 3 for that stage; or the path or URI of a
    DeepSpeed JSON file of your own, whose settings win over all that molre would choose."""
    nvme: str | None = None
    """Folder on a fast disk of every node, to which parameters and optimiser state of a GPU may be moved out."""
    recompute: bool = False
    """Compute the activations of an opened backbone anew in the backward pass and keep none: less memory, more time."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Number format of forward and backward; auto is bf16 on GPUs and fp32 on CPUs."""
    checkpoint_every_steps: int = 0
    """Checkpoint within an epoch every so many steps; 0 for the end of each epoch only."""
    checkpoint_every_epochs: int = 5
    """Validate and checkpoint every so many epochs, and after the last."""
    check_every_s: float = 5.0
    """Gather losses, look for a loss that is no number and for a node about to be taken away every so many seconds."""
    tell_every_s: float = 10.0
    """Seconds between two lines of progress."""
    augment: bool = False
    """Flip, turn, scale and shift the volumes of each step a little, and change their HU and noise; it needs live
    features. Validation and test see volumes as they are."""
    balanced: bool = False
    """Draw studies with rare findings more often, with replacement, instead of each once an epoch."""
    min_positives: int = 5
    """Positives and negatives that a finding needs in the validation split to count in its mean AUC."""
    patience: int = 0
    """Stop after so many validations without a better mean AUC; 0 for never."""
    max_failures: int = 2
    """How often a run is taken up again from its last checkpoint after a worker died; -1 for without end."""
    max_preemptions: int = -1
    """How often after a node was taken away by notice, which is not the run's fault; -1 for without end."""
    start_timeout_s: float = 300.0
    """How long workers may take to start, three times over: a cluster that grows needs minutes for a node.
    RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S wins over it."""
    storage_patience_s: float = 600.0
    """How long storage may refuse a checkpoint before the run ends; outages of minutes are common, longer ones not."""
    seed: int = 0
    """Seed of initialisation, of the order of studies and of augmentation."""
    run_name: str | None = None
    """What metrics and MLflow call the run; without it eight digits of a hash of OUT. Name no patient."""
    mlflow: str | None = None
    """Tracking server to log to, such as http://host:5000; needs pip install 'molre[mlflow]'. It is told the
    configuration as it is, paths included."""
    experiment: str = "molre"
    """MLflow experiment of the run; made where it is missing."""
    evaluate: bool = True
    """Evaluate the bundle on the test split in the end."""
    bootstrap: int = 1000
    """Bootstrap resamples of the evaluation's intervals."""

    def __post_init__(self) -> None:
        for name in ("store", "features", "out", "deepspeed"):
            if self._names_a_place(name):
                object.__setattr__(self, name, place(getattr(self, name)))
        self._check_features()
        self._check_numbers()
        if self.mlflow is not None and "@" in self.mlflow:
            raise ConfigError(
                "the MLflow address holds a user or password, which config.yaml and the server would show: "
                "put them in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            )

    def _names_a_place(self, name: str) -> bool:
        value = getattr(self, name)
        words = {"features": FEATURES, "deepspeed": ("auto", *STAGES)}.get(name, ())
        return value is not None and value not in words and not value.startswith("{")

    def _check_numbers(self) -> None:
        for name in ("epochs", "batch_size", "accumulation", "checkpoint_every_epochs"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be at least 1")
        most = self.span[1]
        for name in (*POSITIVE, "learning_rate", "clip_norm", "temperature", "memory_mib"):
            if getattr(self, name) is not None and getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be above 0")
        if self.batch_size < most * self.accumulation:
            raise ConfigError(
                f"batch_size is {self.batch_size}: each of {most} workers x {self.accumulation} parts needs a study"
            )

    def _check_features(self) -> None:
        if self.features in ("auto", "live"):
            return
        if not self.cacheable:
            raise ConfigError(
                f"adapter {self.adapter} at site {self.site} trains within the backbone, so that features cannot be "
                "computed once: use --features live"
            )
        if self.augment:
            raise ConfigError(
                "augmented volumes differ in every step, so that features cannot be computed once: "
                "use --features live, or leave out --augment"
            )

    @property
    def span(self) -> tuple[int, int]:
        """The least and the most workers; equal where the run is not elastic.

        Raises:
            ConfigError: ``workers`` is neither a number nor two of them.
        """
        ends = re.fullmatch(r"(\d+)(?:-(\d+))?", str(self.workers))
        if not ends or not 1 <= int(ends[1]) <= int(ends[2] or ends[1]):
            raise ConfigError(f"workers is {self.workers}: give a number of at least 1, or two such as 1-4")
        return int(ends[1]), int(ends[2] or ends[1])

    @property
    def cached(self) -> bool:
        """Whether training reads frozen features instead of voxels."""
        return self.cacheable and self.features != "live" and not self.augment

    @property
    def name(self) -> str:
        """What metrics and MLflow call the run: the path of OUT, which may name a patient, stays here."""
        return self.run_name or hashlib.sha256(Location.of(self.out).uri.encode()).hexdigest()[:8]

    @property
    def features_root(self) -> str:
        """Folder or URI below which the run's features lie."""
        if self.features not in FEATURES:
            return self.features
        # OUT is where every node of a cluster writes; of MOLRE_HOME that is known only where OUT is in it.
        within = Location.of(self.out).uri.startswith(Location.of(home()).uri + "/")
        return (Location.of(home() if within else self.out) / "features").uri

    @property
    def cacheable(self) -> bool:
        """Whether frozen features can stand for the backbone: nothing before the feature site is trained."""
        return self.adapter == "none" or (self.site == "feature" and self.adapter != "full")

    @property
    def peak_rate(self) -> float:
        """Peak learning rate; the defaults were chosen on phantoms of another seed than the embedded cohort's."""
        if self.learning_rate is not None:
            return self.learning_rate
        return 5e-3 if self.cacheable else 5e-5 if self.adapter == "full" else 5e-4

    @property
    def adapter_config(self) -> AdapterConfig:
        """The adapter's own configuration."""
        return AdapterConfig(
            kind=self.adapter,
            site=self.site,
            experts=self.experts,
            rank=self.rank,
            alpha=self.alpha,
            temperature=self.temperature,
            dropout=self.dropout,
            router_width=self.router_width,
            gate=self.gate,
            budget=self.budget,
            over_budget=self.over_budget,
        )
