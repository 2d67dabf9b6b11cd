"""The store as a Ray Data dataset."""

import numpy as np
import pytest

from molre.errors import ConfigError


@pytest.fixture
def store(filled, invented):
    return filled(invented.Invented(40))


@pytest.mark.ray
def test_row_numbers_travel_and_the_consumer_reads(ray_cluster, store, invented):
    from molre.store.dataset import dataset

    seen = []
    for batch in dataset(store, "train", ["study"], rows_per_block=8).random_shuffle(seed=0).iter_batches(batch_size=7):
        assert set(batch) == {"row", "study"}
        for row, study, hu in zip(batch["row"], batch["study"], store.volumes(batch["row"]), strict=True):
            assert np.array_equal(hu, invented.voxels(int(study[1:])))
            seen.append(int(row))
    assert sorted(seen) == store.indices("train").tolist()
    assert seen != sorted(seen)


@pytest.mark.ray
def test_volumes_stream_through_ray_when_asked_for(ray_cluster, store, invented):
    from molre.store.dataset import dataset

    seen = {}
    for batch in dataset(store, columns=["hu", "labels"], rows_per_block=16).iter_batches(batch_size=16):
        seen |= {
            int(row): (hu, labels) for row, hu, labels in zip(*(batch[k] for k in ("row", "hu", "labels")), strict=True)
        }
    assert sorted(seen) == list(range(40))
    assert all(np.array_equal(hu, invented.voxels(row)) and labels[0] == row % 2 for row, (hu, labels) in seen.items())


@pytest.mark.ray
def test_an_empty_split_is_an_empty_dataset(ray_cluster, filled, invented):
    from molre.store.dataset import dataset

    assert dataset(filled(invented.Invented(2, splits={0: "train"})), "val").count() == 0


def test_an_unknown_split_or_column_is_refused(store):
    from molre.store.dataset import dataset

    with pytest.raises(ConfigError, match="unknown split 'dev'"):
        dataset(store, "dev")
    with pytest.raises(ConfigError, match="no light column 'age'"):
        dataset(store, columns=["age"])
