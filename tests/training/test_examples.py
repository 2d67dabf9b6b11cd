"""What a training step reads."""

import shutil

import numpy as np
import pytest
import torch

from molre.errors import StoreError
from molre.store import Store
from molre.training.examples import Examples, Part

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(small_store):
    return Store.open(small_store)


def parts_of(steps, counts=99):
    return [Part(rows=rows, counts=counts) for rows in steps]


def test_a_part_that_stands_in_for_nothing_has_only_unknown_labels(store):
    (batch,) = Examples(store, None, CPU).batches(parts_of([np.array([3])], counts=0))
    assert (batch.labels == -1).all()
    assert torch.equal(batch.hu, torch.from_numpy(store.volumes(np.array([3]))))


def test_batches_hold_the_studies_asked_for_in_order(store):
    steps = np.random.default_rng(0).permutation(store.rows).reshape(-1, 6)
    labels = store.labels()
    for rows, batch in zip(steps, Examples(store, None, CPU).batches(parts_of(steps)), strict=True):
        hu = torch.from_numpy(store.volumes(rows))
        assert torch.equal(batch.hu, hu)
        assert batch.mask is None
        assert torch.equal(batch.labels, torch.from_numpy(labels[rows]))
        assert batch.features is None


def test_a_batch_is_overwritten_once_the_next_but_two_are_read(store):
    """The contract that keeps memory bounded: whoever keeps voxels has to copy them."""
    steps = np.arange(store.rows).reshape(-1, 6)
    kept = [batch.hu for batch in Examples(store, None, CPU).batches(parts_of(steps))]
    assert len({hu.data_ptr() for hu in kept}) == 3


def test_a_part_that_vanishes_is_one_clear_error(small_store, tmp_path):
    copy = shutil.copytree(small_store, tmp_path / "store")
    examples = Examples(Store.open(copy), None, CPU)
    (copy / "part-00001.arrow").unlink()
    with pytest.raises(StoreError, match="part-00001"):
        list(examples.batches(parts_of(np.arange(48).reshape(-1, 6))))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_batches_on_a_gpu_outlast_the_buffers_they_came_through(store):
    steps = np.arange(store.rows).reshape(-1, 6)
    kept = list(Examples(store, None, torch.device("cuda")).batches(parts_of(steps)))
    for rows, batch in zip(steps, kept, strict=True):
        assert torch.equal(batch.hu.cpu(), torch.from_numpy(store.volumes(rows)))
        assert batch.hu.device.type == "cuda"
