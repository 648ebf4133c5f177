"""Datasets: what was counted, and everything that is needed to predict it.

`MapDataset` is a counts cube with exposure, background, responses and masks, `SpectrumDataset` the same for one region; `MapDatasetOnOff`
and `SpectrumDatasetOnOff` have off counts instead of a background; `FluxPointsDataset` holds fluxes that were estimated before.
`Datasets` holds several of them, to be read, fitted or stacked together.
"""

from gpudl4.core.registry import Registry

from .base import Dataset
from .collection import Datasets
from .flux_points import FluxPointsDataset
from .geoms import create_map_dataset_geoms
from .map import MapDataset
from .metadata import CreatorMetaData, MapDatasetMetaData
from .onoff import MapDatasetOnOff
from .spectrum import SpectrumDataset, SpectrumDatasetOnOff
from .split import split_dataset
from .stack import stack_datasets
from .utils import apply_edisp, set_and_restore_mask_fit

DATASET_REGISTRY = Registry([MapDataset, MapDatasetOnOff, SpectrumDataset, SpectrumDatasetOnOff, FluxPointsDataset], kind="dataset type")
"""Kinds of datasets that files can name."""

__all__ = [
    "DATASET_REGISTRY",
    "CreatorMetaData",
    "Dataset",
    "Datasets",
    "FluxPointsDataset",
    "MapDataset",
    "MapDatasetMetaData",
    "MapDatasetOnOff",
    "SpectrumDataset",
    "SpectrumDatasetOnOff",
    "apply_edisp",
    "create_map_dataset_geoms",
    "set_and_restore_mask_fit",
    "split_dataset",
    "stack_datasets",
]
