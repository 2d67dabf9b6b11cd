"""From slices to logits: pooling, masks, and what carries gradients."""

import math

import pytest
import torch
from measured_memory import peak_mib

from molre.backbones import Backbone, BackboneSpec, SliceInput, build
from molre.classifier import Classifier, Pooling, slice_mask
from molre.errors import ConfigError
from molre.volume import Grid
from molre.windows import CT_RGB


class Grey(Backbone):
    """Four features from the mean colour, by a fixed projection."""

    def __init__(self, spec=None):
        super().__init__(spec or GREY)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.project = torch.nn.Linear(3, 4)
        self.calls = []

    def forward(self, images):
        self.calls.append(len(images))
        return self.project(images.mean((2, 3)))


GREY = BackboneSpec(
    name="grey",
    title="the mean colour",
    family=Grey,
    width=4,
    input=SliceInput(image_px=8, patch_px=8, most_slices=9),
    windows=CT_RGB,
    parameters=16,
    published="16",
    count_source="these tests",
    forward_mib=0.5,
    licence="none",
    access="none",
)


def volumes(b=2, d=5):
    return torch.randint(-200, 200, (b, d, 8, 8), dtype=torch.int16, generator=torch.Generator().manual_seed(1))


def test_pooling_is_softmax_of_scaled_scores_over_the_slices():
    pooling = Pooling(4, 1)
    features = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    torch.nn.init.normal_(pooling.query)
    query = pooling.query.detach()[0]
    for row, volume in zip(pooling(features), features, strict=True):
        scores = [float(slice_ @ query) / math.sqrt(4) for slice_ in volume]
        weights = [math.exp(score) / sum(map(math.exp, scores)) for score in scores]
        wanted = sum(weight * slice_ for weight, slice_ in zip(weights, volume, strict=True))
        torch.testing.assert_close(row[0], wanted)


def test_pooling_starts_as_the_mean():
    features = torch.randn(2, 5, 4)
    torch.testing.assert_close(Pooling(4, 1)(features)[:, 0], features.mean(1))


def test_a_masked_slice_counts_for_nothing():
    classifier, features = Classifier(Grey()), torch.randn(1, 5, 4)
    mask = torch.tensor([[True, True, False, True, False]])
    kept = classifier.classify(features[:, mask[0]])
    spoiled = features.clone()
    spoiled[:, ~mask[0]] = 1e6
    torch.testing.assert_close(classifier.classify(spoiled, mask), kept)


def test_a_volume_of_air_alone_gives_figures_and_spoils_no_other():
    classifier, hu = Classifier(Grey()), volumes()
    alone = classifier(hu[1:])
    hu[0] = -1024
    logits = classifier(hu)
    assert logits.isfinite().all()
    torch.testing.assert_close(logits[1:], alone)


def test_the_mask_drops_slices_that_are_entirely_air():
    hu = torch.full((1, 4, 8, 8), -1024, dtype=torch.int16)
    hu[0, 1, 3, 3] = -999
    hu[0, 2, 3, 3] = -1000
    hu[0, 3] = 40
    assert slice_mask(hu).tolist() == [[False, True, False, True]]


def test_from_hu_the_mask_is_made_unless_given():
    classifier, hu = Classifier(Grey()), volumes()
    hu[:, 0] = -1024
    torch.testing.assert_close(classifier(hu), classifier(hu, mask=slice_mask(hu)))
    everything = torch.ones(2, 5, dtype=torch.bool)
    assert not torch.allclose(classifier(hu), classifier(hu, mask=everything))


def test_cached_features_give_the_same_logits_as_hu():
    classifier, hu = Classifier(Grey()), volumes()
    assert torch.equal(classifier(features=classifier.embed(hu), mask=slice_mask(hu)), classifier(hu))


def test_half_precision_features_are_taken():
    classifier, hu = Classifier(Grey()), volumes()
    logits = classifier(features=classifier.embed(hu).half())
    assert logits.dtype == torch.float32


def test_a_finding_s_own_query_looks_at_its_own_slices():
    classifier, features = Classifier(Grey(), findings=3, query_per_finding=True), torch.randn(2, 5, 4)
    before = classifier.classify(features)
    with torch.no_grad():
        classifier.pooling.query[1] += 5
    after = classifier.classify(features)
    assert torch.equal(after[:, [0, 2]], before[:, [0, 2]])
    assert not torch.allclose(after[:, 1], before[:, 1])
    pooled = classifier.pooling(features)[:, 1]
    torch.testing.assert_close(after[:, 1], pooled @ classifier.head.weight[1] + classifier.head.bias[1])


def test_one_finding_of_its_own_query_is_a_vector_too():
    assert Classifier(Grey(), findings=1, query_per_finding=True)(volumes()).shape == (2, 1)


def test_slices_go_through_the_backbone_in_chunks_with_the_same_result():
    chunked, whole = Classifier(Grey(), memory_mib=2.4), Classifier(Grey())
    hu = volumes()
    torch.testing.assert_close(chunked(hu), whole(hu))
    assert chunked.backbone.calls == [4, 4, 2]
    assert whole.backbone.calls == [10]


def test_a_backbone_that_needs_more_than_the_setting_takes_slices_one_by_one():
    classifier = Classifier(Grey(), memory_mib=0.1)
    classifier(volumes())
    assert classifier.backbone.calls == [1] * 10


@pytest.fixture
def one_thread():
    """A small network loses more to handing work between threads than it gains."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("memory_mib", [20.0, 40.0])
@pytest.mark.parametrize("side", [256, 512])
def test_the_memory_setting_bounds_what_embedding_takes(memory_mib, side):
    classifier = Classifier(build("dinov3-tiny", weights="random"), memory_mib=memory_mib)
    hu = torch.randint(-200, 200, (1, 14, side, side), dtype=torch.int16)
    classifier.embed(hu)  # the first pass also takes what later ones share
    peak = peak_mib(lambda: classifier.embed(hu))
    assert peak <= memory_mib
    if side == 512:  # the size that the registry's figure is of: not much less either
        assert peak > 0.6 * memory_mib


def test_a_grid_that_a_backbone_cannot_read_is_refused_and_a_coarse_one_is_told():
    def grid(slices, side):
        return Grid(name="g", shape=(slices, side, side), spacing_mm=(5.0, 2.0, 2.0))

    assert Classifier(Grey(), grid=grid(9, 8)).shortcomings == []
    assert "enlarged to 8 px" in Classifier(Grey(), grid=grid(9, 4)).shortcomings[0]
    for wrong, told in (((10, 8), "at most 9 slices"), ((9, 1), "1 x 1"), ((9, 64), "64 x 64")):
        with pytest.raises(ConfigError, match=f"grey does not fit the store: .*{told}"):
            Classifier(Grey(), grid=grid(*wrong))


def test_a_frozen_backbone_keeps_no_graph_and_an_open_one_does():
    classifier = Classifier(Grey())
    assert not classifier.embed(volumes()).requires_grad
    classifier.backbone.requires_grad_(True)
    classifier(volumes()).sum().backward()
    assert classifier.backbone.project.weight.grad.abs().sum() > 0
    with torch.no_grad():
        assert not classifier.embed(volumes()).requires_grad


def test_only_pooling_and_head_start_open_and_the_site_is_the_identity():
    classifier = Classifier(Grey())
    opened = {name for name, parameter in classifier.named_parameters() if parameter.requires_grad}
    assert opened == {"pooling.query", "head.weight", "head.bias"}
    features = torch.randn(7, 4)
    assert torch.equal(classifier.site(features), features)


def test_the_head_follows_the_seed_and_leaves_the_global_generator_alone():
    backbone, state = Grey(), torch.get_rng_state()
    first, again, other = (Classifier(backbone, seed=seed).head.weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_hu_or_features_not_both_nor_neither():
    classifier, hu = Classifier(Grey()), volumes()
    for given in ({}, {"hu": hu, "features": classifier.embed(hu)}):
        with pytest.raises(ConfigError, match="either hu or features"):
            classifier(**given)


@pytest.mark.parametrize("wrong", [{"findings": 0}, {"memory_mib": 0.0}, {"memory_mib": -1.0}])
def test_sizes_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError):
        Classifier(Grey(), **wrong)
