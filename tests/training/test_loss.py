import numpy as np
import pytest
import torch

from molre.training.loss import WEIGHT_CAP, class_weights, focal_sum


def test_unknown_labels_have_no_value_and_no_gradient():
    logits = torch.randn(4, 75, requires_grad=True)
    labels = torch.randint(0, 2, (4, 75), dtype=torch.int8)
    labels[:, 10:] = -1
    focal_sum(logits, labels, torch.ones(2, 75)).backward()
    assert logits.grad[:, :10].abs().min() > 0
    assert torch.equal(logits.grad[:, 10:], torch.zeros(4, 65))
    alone = focal_sum(logits[:, :10], labels[:, :10], torch.ones(2, 10))
    assert torch.allclose(focal_sum(logits, labels, torch.ones(2, 75)), alone)


def test_value_by_hand():
    # p = sigmoid(0) = 1/2: (1/2)^2 * ln 2 for each class, weighted
    labels, weights = torch.tensor([[1, 0]], dtype=torch.int8), torch.tensor([[3.0, 3.0], [5.0, 5.0]])
    value = focal_sum(torch.zeros(1, 2), labels, weights)
    assert value.item() == pytest.approx((5 + 3) * 0.25 * np.log(2), rel=1e-6)


def test_gamma_zero_is_cross_entropy():
    logits, labels = torch.randn(8, 3), torch.randint(0, 2, (8, 3), dtype=torch.int8)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels.float(), reduction="sum")
    assert torch.allclose(focal_sum(logits, labels, torch.ones(2, 3), gamma=0.0), expected, rtol=1e-5)


def test_gradient_is_finite_where_the_model_is_certain():
    logits = torch.tensor([[60.0, -60.0, 60.0]], requires_grad=True)
    focal_sum(logits, torch.tensor([[1, 0, 0]], dtype=torch.int8), torch.ones(2, 3), gamma=0.5).backward()
    assert torch.isfinite(logits.grad).all()


def test_class_weights_balance_known_labels_and_ignore_unknown_ones():
    labels = np.full((100, 3), -1, np.int8)
    labels[:50, 0], labels[:25, 0] = 0, 1
    labels[:, 1], labels[:1, 1] = 0, 1
    weights = class_weights(labels)
    assert torch.allclose(weights[:, 0], torch.ones(2), atol=0.05)
    assert weights[1, 1] == WEIGHT_CAP
    assert weights[0, 1] == pytest.approx(0.5 / (1 - 2 / 102), rel=1e-5)
    assert torch.isfinite(weights).all()


def test_class_weights_follow_what_is_drawn():
    labels = np.zeros((100, 1), np.int8)
    labels[:10] = 1
    draws = np.where(labels[:, 0] == 1, 9.0, 1.0)
    assert torch.allclose(class_weights(labels, draws), torch.ones(2, 1), atol=0.01)
    assert torch.equal(class_weights(labels, np.full(100, 0.5)), class_weights(labels))
