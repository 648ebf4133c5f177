"""Stacking: adding datasets field by field, as the table of fields says.

`stack_in_place` adds one dataset to another, as ``dataset.stack(other)`` does; `stack_datasets` makes a new dataset of any number, as
``Datasets.stack_reduce()`` does, and is the fast way for many. Only what is added is masked, by its mask_safe; `MapDataset.to_masked` masks
the first. Counts and background are weighted bin by bin, the exposure by pixels with any safe energy, responses by exposure and mask.
Background models are baked into the stacked background. Nothing of the size of a cube is allocated beside the result.

The rules are gammapy's (its MapDataset.stack and MapDatasetOnOff.stack), with these differences: GTIs without intervals are legal; a
background model that was baked in is taken off the dataset (it would act twice); what cannot be stacked is refused before anything is
changed; without any off counts at all the mean ratio of ON to OFF comes from the acceptances.
"""

import warnings

import numpy as np

from gpudl4.core.backend import array_namespace
from gpudl4.core.errors import BackendError, DatasetError
from gpudl4.irf.stacking import ResponseSum, overlap
from gpudl4.maps.accumulate import add_into, blocks

from .fields import field_table

__all__ = ["Stacking", "hstack_columns", "stack_datasets", "stack_in_place"]


def stack_in_place(dataset, other, nan_to_num=True):
    """Add `other` to `dataset` in place; see `Stacking.add`."""
    stacking = Stacking(dataset, once=True)
    stacking.add(other, nan_to_num)
    stacking.close()


def stack_datasets(datasets, name=None, nan_to_num=True, edisp_kernels=False):
    """New dataset with the sum of others, each masked by its mask_safe. The others are not changed.

    Parameters
    ----------
    datasets : iterable of datasets of one kind
        The first gives the geometry; the others have the same, or are cutouts of it. A generator is taken one at a time.
    name : str, optional
        A random one if None.
    nan_to_num : bool
        Take values that are not finite as zero.
    edisp_kernels : bool
        Turn energy dispersions over migra into kernels before they are stacked. Only kernels keep the energy thresholds of each dataset, so
        that predicted counts are conserved.

    Returns
    -------
    dataset : dataset of the same kind
        Where the first lives.

    Raises
    ------
    DatasetError
        If there is none, they are of different kinds, or of a kind that cannot be stacked (flux points).
    """
    stacking = None
    for dataset in datasets:
        if edisp_kernels:
            dataset = dataset.to_edisp_kernels(name=dataset.name, models=dataset.models)
        if stacking is None:
            if not hasattr(dataset, "from_geoms"):
                raise DatasetError(f"datasets of type {type(dataset).__name__} cannot be stacked: fit them together")
            stacking = Stacking(
                type(dataset).from_geoms(**dataset.geoms, name=name, stat_type=dataset.stat_type).to_device(dataset.backend)
            )
        stacking.add(dataset, nan_to_num)
    if stacking is None:
        raise DatasetError("at least one dataset is needed for stacking")
    return stacking.close()


class Stacking:
    """A dataset that others are being added to; it must not be used before `close`.

    Parameters
    ----------
    dataset : MapDataset, MapDatasetOnOff, SpectrumDataset or SpectrumDatasetOnOff
        Changed in place.
    once : bool
        Whether a single dataset will be added, so that responses need not be kept as sums in between.
    """

    def __init__(self, dataset, once=False):
        self.dataset, self._once = dataset, once
        self._responses = {}
        self._gtis, self._tables = [], []
        self._ratio = None

    def add(self, other, nan_to_num=True):
        """Add a dataset.

        Parameters
        ----------
        other : dataset of the same kind
            With the same geometry, or a cutout of it.
        nan_to_num : bool
            Take values that are not finite as zero.

        Raises
        ------
        GeometryError
            If the geometries do not fit.
        DatasetError
            If the datasets are of different kinds, or an ON-OFF dataset lacks off counts or acceptances.
        BackendError
            If they live on different devices.

        Warns
        -----
        UserWarning
            If their metadata name different telescopes or instruments, or a response would count nothing.
        """
        dataset = self.dataset
        _check(dataset, other)
        self._warn_of_instruments(other)
        _warn_of_weightless(other)
        self._prepare(other)
        for field in field_table(dataset.tag):
            theirs = _value(other, field)
            if theirs is None:
                continue
            mine = dataset._values[field.name]
            if mine is None:
                if field.name == "mask_fit":
                    mine = dataset.mask_fit = _empty(dataset, bool)  # of the whole geometry: the other may be a cutout
                elif field.stack != "columns":
                    continue
            getattr(self, _ADDERS[field.stack])(field, mine, theirs, other, nan_to_num)

    def _prepare(self, other):
        """What must happen before the fields are looped over."""
        dataset = self.dataset
        model = dataset.background_model
        if model is not None and dataset.background is not None and other.background is not None:
            dataset.background = dataset.npred_background()
            dataset.models = [m for m in dataset.models if m is not model]
        if "acceptance_off" in dataset._fields:
            for name in ("counts_off", "acceptance", "acceptance_off"):
                if dataset._values[name] is None:
                    setattr(dataset, name, _empty(dataset, np.float32))
            if self._ratio is None:
                self._ratio = Ratio(dataset)

    def _add_sum(self, field, mine, theirs, other, nan_to_num):
        weights = getattr(other, field.weights)
        here, there = overlap(mine, theirs.geom)
        factor = theirs._factor_to(mine.unit, "map to stack")
        mask = None if weights is None else weights.data[there]
        mine._make_room(theirs.data.dtype if factor == 1.0 else np.float64)
        add_into(mine.data[here], theirs.data[there], mask, factor, nan_to_num)
        if field.name == "exposure":
            _add_livetime(mine, theirs, weights)

    def _add_mask(self, field, mine, theirs, other, nan_to_num):
        here, there = overlap(mine, theirs.geom)
        mine.data[here] |= theirs.data[there]

    def _add_response(self, field, mine, theirs, other, nan_to_num):
        if self._once:
            mine.stack(theirs, getattr(other, field.weights), nan_to_num)
            return
        if field.name not in self._responses:
            self._responses[field.name] = ResponseSum(mine)
        self._responses[field.name].add(theirs, getattr(other, field.weights), nan_to_num)

    def _add_ratio(self, field, mine, theirs, other, nan_to_num):
        self._ratio.add(other, nan_to_num)

    def _add_gti(self, field, mine, theirs, other, nan_to_num):
        self._gtis.append(theirs)

    def _add_table(self, field, mine, theirs, other, nan_to_num):
        self._tables.append(theirs)

    def _warn_of_instruments(self, other):
        for key in ("TELESCOP", "INSTRUME"):
            here = set().union(*(_labels(table, key) for table in (self.dataset.meta_table, *self._tables)))
            there = _labels(other.meta_table, key)
            if here and there - here:
                warnings.warn(
                    f"dataset '{other.name}' is of another instrument ({key} {', '.join(sorted(there))}) than what it is stacked on "
                    f"({', '.join(sorted(here))}): their responses will be averaged; a joint fit of both keeps them apart",
                    stacklevel=4,
                )

    def close(self):
        """Finish and return the dataset."""
        dataset = self.dataset
        for response in self._responses.values():
            response.close()
        if self._ratio is not None:
            self._ratio.close()
        if self._gtis:
            dataset.gti = type(dataset.gti).from_stack([dataset.gti, *self._gtis]).union()
        if self._tables:
            tables = self._tables if dataset.meta_table is None else [dataset.meta_table, *self._tables]
            dataset.meta_table = tables[0].copy() if len(tables) == 1 else hstack_columns(*tables)
        self.__init__(dataset, self._once)
        return dataset


_ADDERS = {
    "sum": "_add_sum",
    "or": "_add_mask",
    "exposure-weighted": "_add_response",
    "ratio": "_add_ratio",
    "union": "_add_gti",
    "columns": "_add_table",
}


class Ratio:
    """The off acceptance of a stack: ``acceptance x off / sum(alpha off)``, so that the background, alpha times off, is the sum of all.

    Where there is no off count, the ratio of acceptances is that of all bins together, weighted by their off counts. (Source: gammapy 2.1,
    MapDatasetOnOff.stack.) Without off counts in any bin, it is the ratio of the summed acceptances.
    """

    def __init__(self, dataset):
        self.dataset = dataset
        off = dataset.counts_off
        self.background = dataset.background
        if self.background.data.dtype != np.float32 or off.data.dtype != np.float32:
            self.background = self.background.copy(dtype=float)
        xp = array_namespace(off.data)
        self.background.data = xp.where(xp.isfinite(self.background.data), self.background.data, 0).astype(self.background.data.dtype)
        self.sums = self._acceptances(dataset, None)

    def _acceptances(self, dataset, mask):
        """Sums of both acceptances, two floats in an array."""
        xp = array_namespace(dataset.acceptance.data)
        both = []
        for values in (dataset.acceptance.data, dataset.acceptance_off.data):
            keep = xp.isfinite(values)
            both.append(xp.where(keep if mask is None else keep & mask, values, 0).sum(dtype=float))
        return np.array([float(value) for value in both])

    def add(self, other, nan_to_num):
        """Add the background, alpha times off, of a dataset."""
        mask = other.mask_safe
        background = other.background
        here, there = overlap(self.background, background.geom)
        add_into(self.background.data[here], background.data[there], None if mask is None else mask.data[there], 1.0, nan_to_num)
        self.sums += self._acceptances(other, None if mask is None else mask.data)

    def close(self):
        """Set the off acceptance of the dataset."""
        dataset = self.dataset
        off, acceptance, background = dataset.counts_off.data, dataset.acceptance.data, self.background.data
        xp = array_namespace(off)
        total = float(off.sum(dtype=float))
        mean = float(background.sum(dtype=float)) / total if total else 0.0
        if not mean:
            mean = self.sums[0] / self.sums[1] if self.sums[1] else 0.0
        result = dataset.acceptance_off.copy(data=xp.zeros_like(background))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for part in blocks(off):
                empty = acceptance[part] / mean if mean else xp.zeros_like(acceptance[part])
                result.data[part] = xp.where(off[part] == 0, empty, acceptance[part] * off[part] / background[part])
        dataset.acceptance_off = result


def _value(dataset, field):
    if field.name == "background" and dataset.background_model is not None:
        return dataset.npred_background()
    return dataset._values[field.name]


def _empty(dataset, dtype):
    from gpudl4.maps import Map

    return Map.from_geom(dataset._geom, dtype=dtype).to_device(dataset.backend)


def _labels(table, key):
    if table is None or key not in table.colnames:
        return set()
    return {str(value).strip() for value in np.ravel(np.asarray(table[key]))} - {""}


def _check(dataset, other):
    """Refuse what does not stack, before the first field is touched."""
    if type(dataset) is not type(other):
        name, kind, wanted = getattr(other, "name", "the argument"), type(other).__name__, type(dataset).__name__
        verb = {"MapDataset": "to_map_dataset", "SpectrumDataset": "to_spectrum_dataset"}.get(wanted)
        hint = f": stack its {verb}(), which takes alpha times the off counts as background" if kind == f"{wanted}OnOff" else ""
        raise DatasetError(f"'{name}' is a {kind} and cannot be stacked on '{dataset.name}', a {wanted}{hint}")
    if dataset.backend != other.backend:
        raise BackendError(
            f"dataset '{other.name}' on {other.backend.device} cannot be stacked on '{dataset.name}' on {dataset.backend.device}: "
            "use to_device() or to_host() on one of them"
        )
    for one in (dataset, other):
        missing = [name for name in ("counts_off", "acceptance", "acceptance_off") if name in one._fields and one._values[name] is None]
        if missing and (one.mask_safe is None or bool(one.mask_safe.data.any())):
            raise DatasetError(f"dataset '{one.name}' cannot be stacked: it has no {' and no '.join(missing)}; set what is missing first")
    for field in field_table(dataset.tag):
        mine, theirs = dataset._values[field.name], other._values[field.name]
        if mine is None or theirs is None or field.kind in ("gti", "table"):
            continue
        if field.stack == "exposure-weighted":
            _check_response(field, mine, theirs, f"datasets '{dataset.name}' and '{other.name}' cannot be stacked: {field.name}")
            mine, theirs = mine._irf_map, theirs._irf_map
        overlap(mine, theirs.geom)


def _check_response(field, mine, theirs, where):
    if type(mine) is not type(theirs):
        raise DatasetError(f"{where} is a {type(mine).__name__} in one and a {type(theirs).__name__} in the other")
    if getattr(mine, "energy_name", "energy_true") == "energy":
        raise DatasetError(f"{where} is in reconstructed energy, where the exposure that would weight it is not known; set it to None")
    if mine.exposure_map is None or theirs.exposure_map is None:
        raise DatasetError(f"{where} has no exposure map, which would weight it; set it to None")


def _warn_of_weightless(other):
    """Warn of responses whose exposure map is zero although the dataset has exposure: they count nothing in a stack."""
    for field in field_table(other.tag):
        response = other._values[field.name] if field.stack == "exposure-weighted" else None
        if response is None or response.exposure_map is None or bool((response.exposure_map.data > 0).any()):
            continue  # nearly always, and small: cubes are not looked at
        safe = other.mask_safe is None or bool(other.mask_safe.data.any())
        if safe and other.exposure is not None and bool((other.exposure.data > 0).any()) and bool((response._irf_map.data > 0).any()):
            warnings.warn(
                f"dataset '{other.name}': the exposure map of its {field.name} is zero, so that its {field.name} counts nothing in the "
                f"stack; fill dataset.{field.name}.exposure_map",
                UserWarning,
                stacklevel=4,
            )


def _add_livetime(mine, theirs, mask):
    """Sum the livetimes in the exposures' metadata, if any pixel of the other counts."""
    import astropy.units as u

    livetime = (theirs.meta or {}).get("livetime")
    if livetime is None or (mask is not None and not bool(mask.data.any())):
        return
    livetime = u.Quantity(livetime)
    mine.meta["livetime"] = u.Quantity((mine.meta or {}).get("livetime", 0 * livetime.unit)) + livetime


def hstack_columns(*tables):
    """One row with the values of the tables' first rows side by side in each column; columns that are not in all are left out.

    Parameters
    ----------
    *tables : astropy.table.Table
    """
    from astropy.table import Table

    stacked = Table()
    for column in tables[0].colnames:
        if all(column in table.colnames for table in tables):
            stacked[column] = np.hstack([table[column].data[0] for table in tables])[np.newaxis, :]
    return stacked
