"""From the tissue of fine slices to the images that a scanner reconstructs."""

from molre.phantom.scanner.acquisition import Scan, acquire
from molre.phantom.scanner.voxels import acquired_mask, acquired_tissue

__all__ = ["Scan", "acquire", "acquired_mask", "acquired_tissue"]
