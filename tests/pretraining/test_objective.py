import pytest
import torch

from molre.pretraining.bands import BANDS, shares
from molre.pretraining.objective import CELL_PX, Losses, masks, resized


def patch(number: int) -> tuple[slice, slice]:
    row, column = divmod(number, 7)
    return slice(16 * row, 16 * row + 16), slice(16 * column, 16 * column + 16)


@torch.no_grad()
def test_no_token_depends_on_what_a_hidden_patch_holds(objective, slices):
    hidden = torch.zeros(3, 49, dtype=torch.bool)
    hidden[:, [17, 24, 31]] = True
    changed = slices.clone()
    for number in (17, 24, 31):
        changed[(slice(None), *patch(number))] = 70.0
    assert not torch.equal(changed, slices)
    assert torch.equal(objective.tokens(slices, hidden), objective.tokens(changed, hidden))
    seen = ~hidden & False
    assert not torch.equal(objective.tokens(slices, seen), objective.tokens(changed, seen))


@torch.no_grad()
def test_what_a_hidden_patch_holds_changes_its_own_loss_only(objective, slices):
    hidden = torch.zeros(3, 49, dtype=torch.bool)
    hidden[:, 24] = True
    changed = slices.clone()
    changed[(slice(None), *patch(24))] = 70.0
    one, other = objective(slices, hidden), objective(changed, hidden)
    assert one.hidden != other.hidden
    assert torch.equal(one.seen, other.seen)


@torch.no_grad()
def test_cells_are_compared_with_their_own_place(objective, slices):
    """The loss of a patch is least for logits that are the shares of its cells, and rises where two are swapped."""
    cells = torch.nn.functional.avg_pool2d(shares(slices), CELL_PX)
    truth = torch.empty(3, 49, 16, len(BANDS))
    for number in range(49):
        row, column = divmod(number, 7)
        square = cells[:, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        truth[:, number] = square.flatten(2).transpose(1, 2)
    logits = (truth + 1e-6).log().flatten(2)
    kept, objective.of_patch = objective.of_patch, torch.nn.Identity()
    try:
        entropy = -(truth * (truth + 1e-6).log()).sum(-1).mean(-1)
        torch.testing.assert_close(objective._dense(logits, cells), entropy, atol=1e-3, rtol=0)
        assert objective._dense(logits.roll(1, dims=1), cells).mean() > entropy.mean() + 0.1
    finally:
        objective.of_patch = kept


@torch.no_grad()
def test_zones_lie_where_they_are_told(objective, slices):
    cells = torch.nn.functional.avg_pool2d(shares(slices), CELL_PX)
    volumes = shares(slices).unflatten(3, (4, 28)).unflatten(2, (4, 28)).sum((3, 5))
    told = torch.log1p(volumes).flatten(1)
    kept, objective.of_mean = objective.of_mean, torch.nn.Identity()
    try:
        assert objective._zones(told, cells) < 1e-6
        assert objective._zones(told.roll(1, dims=1), cells) > 0.01
    finally:
        objective.of_mean = kept


def test_a_hidden_patch_weighs_more_than_a_seen_one():
    losses = Losses(hidden=torch.tensor(2.0), seen=torch.tensor(1.0), zones=torch.tensor(0.25))
    assert losses.total == 3.5


def test_masks_hide_what_they_are_asked_to():
    hidden = masks(4000, 49, 0.6, torch.Generator().manual_seed(0))
    held = hidden.float().mean(1)
    assert held.max() == pytest.approx(0.6, abs=0.02)
    assert (held == 0).float().mean() == pytest.approx(0.25, abs=0.03)
    assert hidden.float().mean(0).std() < 0.02  # no place is preferred
    assert torch.equal(hidden, masks(4000, 49, 0.6, torch.Generator().manual_seed(0)))
    assert not torch.equal(hidden, masks(4000, 49, 0.6, torch.Generator().manual_seed(1)))


def test_slices_of_another_size_are_brought_to_the_networks(objective, slices):
    large = torch.nn.functional.interpolate(slices[:, None], scale_factor=2)[:, 0]
    assert resized(large, 112).shape == slices.shape
    assert torch.isfinite(objective(large, torch.zeros(3, 49, dtype=torch.bool)).total)
