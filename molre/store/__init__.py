"""Volumes held as Arrow: schema, writing with a commit protocol, reading by memory map, splits, Ray Data source."""

from molre.store.manifest import MANIFEST, Manifest, Part
from molre.store.reader import Store
from molre.store.schema import ATTRIBUTES, SCHEMA_VERSION, SPLITS, Row
from molre.store.splits import SplitFractions

__all__ = ["ATTRIBUTES", "MANIFEST", "SCHEMA_VERSION", "SPLITS", "Manifest", "Part", "Row", "SplitFractions", "Store"]
