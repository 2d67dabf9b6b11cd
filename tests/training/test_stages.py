"""DeepSpeed's stages and numbers of workers against each other, on the same global batches: real processes, gloo."""

import numpy as np
import pytest
import torch
from two_processes import STEPS, spawn, train_cases

SITE = {"backbone": "dinov3-tiny", "weights": "random", "adapter": "molre", "site": "attention", "features": "live"}
CASE = {**SITE, "rank": 4, "over_budget": True, "batch_size": 4, "epochs": 1, "warmup": 0.0}


def cases(**more):
    """Settings by name, each with the rows of its batches: three rows do not divide by two workers."""
    return {
        f"stage{stage}{'' if rows == 4 else '-uneven'}": ({**CASE, "deepspeed": str(stage), **more}, rows)
        for stage in range(4)
        for rows in (4, 3)
    }


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What each case did, by number of workers."""
    folder = tmp_path_factory.mktemp("stages")
    found = {}
    for world in (1, 2):
        out = folder / str(world)
        out.mkdir()
        spawn(
            train_cases,
            cases() if world == 2 else {k: v for k, v in cases().items() if "stage0" in k},
            str(out),
            world=world,
        )
        found[world] = {file.stem: torch.load(file) for file in out.glob("*.pt")}
    return found


@pytest.mark.parametrize("name", list(cases()))
def test_stages_and_numbers_of_workers_agree(ran, name):
    alone, here = ran[1][name.replace(name[:6], "stage0")], ran[2][name]
    assert here["stage"] == int(name[5])
    assert len(here["losses"]) == STEPS
    np.testing.assert_allclose(here["losses"], alone["losses"], rtol=1e-5)
    for key, value in alone["end"].items():
        torch.testing.assert_close(here["end"][key], value, rtol=0, atol=2e-5)
    assert not all(here["before"][key].equal(value) for key, value in here["parameters"].items())


@pytest.mark.parametrize("name", list(cases()))
def test_a_state_taken_up_goes_on_as_if_nothing_had_been(ran, name):
    here = ran[2][name]
    for one, other in (("loaded", "parameters"), ("loaded_moments", "moments"), ("resumed", "end")):
        for key, value in here[other].items():
            assert here[one][key].equal(value), (one, key)
    assert here["repeated"] == here["losses"][-1:]
