"""The weights that come with molre are those that their card tells of."""

import hashlib

from safetensors.torch import load_file

from molre.backbones import build
from molre.backbones.registry import spec_named

FILE = spec_named("dinov3-tiny").packaged


def test_the_card_is_of_these_weights():
    card = FILE.with_suffix(".md").read_text(encoding="utf-8")
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() in card
    assert build("dinov3-tiny").provenance["fingerprint"] in card


def test_they_are_small_enough_to_be_shipped():
    assert FILE.stat().st_size <= 12 * 2**20


def test_they_learned_from_hidden_patches():
    """The mask token begins at zero and moves only where patches are hidden from the network."""
    assert load_file(FILE)["embeddings.mask_token"].abs().max() > 0.01
