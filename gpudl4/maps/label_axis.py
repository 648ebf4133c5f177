"""`LabelMapAxis`: bins that have names instead of coordinates, such as the models of a predicted-counts map or the datasets of a fit."""

import numpy as np
from astropy import units as u

from ..core.errors import DataFileError, GeometryError
from .axis_verbs import AxisPlotVerbs

__all__ = ["LabelMapAxis"]


class LabelMapAxis(AxisPlotVerbs):
    """Axis of labels.

    Parameters
    ----------
    labels : list of str
        One label per bin; different ones.
    name : str
        Name.

    Raises
    ------
    GeometryError
        If there is no label, or one occurs twice.
    """

    node_type = "label"
    interp = "lin"
    is_energy_axis = False

    def __init__(self, labels, name=""):
        labels = np.atleast_1d(np.array(labels))
        if labels.ndim != 1 or labels.size == 0:
            raise GeometryError(f"axis '{name}': a list of at least one label is needed, got the shape {labels.shape}")
        if len(np.unique(labels)) != len(labels):
            raise GeometryError(f"axis '{name}': Node labels must be unique, got: {', '.join(map(str, labels))}")
        labels.flags.writeable = False
        self._labels, self._name = labels, name

    @property
    def name(self):
        """Name."""
        return self._name

    @property
    def unit(self):
        """No unit."""
        return u.dimensionless_unscaled

    @property
    def nbin(self):
        """Number of bins."""
        return len(self._labels)

    @property
    def center(self):
        """Labels, a `~numpy.ndarray` of str."""
        return self._labels

    edges_min = edges_max = center

    @property
    def edges(self):
        """Refused: labels have no edges."""
        raise GeometryError(f"a LabelMapAxis does not define edges (axis '{self.name}'); its labels are in .center")

    @property
    def bounds(self):
        """First and last label."""
        return self._labels[0], self._labels[-1]

    @property
    def bin_width(self):
        """Ones."""
        return np.ones(self.nbin)

    @property
    def as_plot_labels(self):
        """One text per bin."""
        return self._labels.tolist()

    @property
    def as_plot_center(self):
        """Numbers of the bins."""
        return np.arange(self.nbin)

    @property
    def as_plot_edges(self):
        """Half a bin around the numbers of the bins."""
        return np.arange(self.nbin + 1) - 0.5

    @property
    def as_plot_xerr(self):
        """Half a bin."""
        return 0.5 * np.ones(self.nbin)

    def coord_to_idx(self, coord, clip=False):
        """Bin number of each label, an array of the shape of `coord`; `clip` has no effect.

        Raises
        ------
        GeometryError
            If a label is unknown.
        """
        coord = np.asarray(coord)
        order = np.argsort(self._labels)
        place = np.clip(np.searchsorted(self._labels[order], coord), 0, self.nbin - 1)
        idx = order[place]
        unknown = np.unique(coord[self._labels[idx] != coord]) if coord.ndim else coord[self._labels[idx] != coord]
        if unknown.size:
            raise GeometryError(
                f"Not a valid label of axis '{self.name}': {', '.join(map(str, unknown))}; it has: {', '.join(map(str, self._labels))}"
            )
        return np.asarray(idx)

    def coord_to_pix(self, coord):
        """Bin number of each label, as float."""
        return self.coord_to_idx(coord).astype(float)

    def pix_to_coord(self, pix):
        """Labels of pixel coordinates, rounded."""
        return self._labels[np.round(pix).astype(int)]

    def pix_to_idx(self, pix, clip=False):
        """Bin number of integer pixel coordinates; -1 outside, or the nearest bin if `clip`."""
        pix = np.asarray(pix)
        return np.clip(pix, 0, self.nbin - 1) if clip else np.where((pix < 0) | (pix >= self.nbin), -1, pix)

    def copy(self, labels=None, name=None):
        """Copy with labels or name replaced."""
        return LabelMapAxis(self._labels if labels is None else labels, self._name if name is None else name)

    def rename(self, new_name):
        """Axis with another name."""
        return self.copy(name=new_name)

    def slice(self, idx):
        """Some bins of the axis, by a slice or a number."""
        labels = self._labels[idx if isinstance(idx, slice) else slice(idx, idx + 1)]
        if len(labels) == 0:
            raise GeometryError(f"slice {idx} selects none of the {self.nbin} bins of axis '{self.name}'")
        return self.copy(labels)

    def squash(self):
        """Axis with the one label "first...last"."""
        return self.copy([f"{self._labels[0]}...{self._labels[-1]}"])

    @classmethod
    def from_stack(cls, axes):
        """One axis from several of one name, see `concatenate`."""
        out = axes[0]
        for axis in axes[1:]:
            out = out.concatenate(axis)
        return out

    def concatenate(self, axis):
        """Axis followed by another one of the same name and with other labels.

        Raises
        ------
        TypeError
            If the other axis is of another kind.
        GeometryError
            If the names differ, or a label occurs in both.
        """
        if not isinstance(axis, LabelMapAxis):
            raise TypeError(f"a LabelMapAxis is needed, got {type(axis).__name__}")
        if self.name != axis.name:
            raise GeometryError(f"Names must agree, got '{self.name}' and '{axis.name}'")
        return self.copy(np.append(self._labels, axis._labels))

    def _refuse(self, what):
        raise GeometryError(f"{what} a LabelMapAxis is not supported (axis '{self.name}')")

    def upsample(self, factor=None):
        """Refused: labels are not split."""
        self._refuse("Upsampling")

    def downsample(self, factor=None):
        """Refused: labels are not merged."""
        self._refuse("Downsampling")

    def resample(self, axis=None):
        """Refused: labels are not grouped."""
        self._refuse("Resampling")

    def pad(self, pad_width=None):
        """Refused: there is no label to add."""
        self._refuse("Padding")

    def assert_name(self, required_name):
        """Raise GeometryError unless the axis has the given name."""
        if self._name != required_name:
            raise GeometryError(f"an axis named '{required_name}' is needed, got: '{self._name}'")

    def is_allclose(self, other, rtol=None, atol=None):
        """Whether name and labels are the same; tolerances are for the signature of `MapAxis.is_allclose`."""
        if not isinstance(other, LabelMapAxis):
            raise TypeError(f"cannot compare a LabelMapAxis with {type(other).__name__}")
        return self.name.upper() == other.name.upper() and np.array_equal(self._labels, other._labels)

    def is_aligned(self, other, atol=None):
        """Whether name and labels are the same."""
        return self.is_allclose(other)

    def __eq__(self, other):
        return self.is_allclose(other) if isinstance(other, LabelMapAxis) else NotImplemented

    def __hash__(self):
        return hash((self._name.upper(), tuple(self._labels.tolist())))

    def __repr__(self):
        return (
            f"LabelMapAxis\n------------\n\n  name       : {self.name}\n  nbins      : {self.nbin}\n  node type  : label\n"
            f"  labels     : {self._labels.tolist()}\n"
        )

    def to_header(self, format="gadf", idx=0):
        """FITS cards of the axis as number `idx` of a bands table."""
        from astropy.io import fits

        if format != "gadf":
            raise GeometryError(f"unknown format {format!r} for a label axis: choose 'gadf'")
        return fits.Header({f"AXCOLS{idx}": self.name.upper()})

    @classmethod
    def from_table(cls, table, format="gadf", idx=0):
        """Axis from a bands table; labels come in the order in which they first appear.

        Parameters
        ----------
        table : `~astropy.table.Table`
            Bands table.
        format : {"gadf"}
            Format.
        idx : int
            Number of the axis, from 0.

        Raises
        ------
        DataFileError
            If the column is missing.
        TypeError
            If it does not hold texts.
        """
        if format != "gadf":
            raise GeometryError(f"unknown table format {format!r} for a label axis: choose 'gadf'")
        name = table.meta.get(f"AXCOLS{idx + 1}")
        if name not in table.colnames:
            raise DataFileError(f"a label axis needs the column '{name}'; the table has: {', '.join(table.colnames)}")
        values = np.asarray(table[name])
        if values.dtype.kind == "S":
            values = np.char.decode(values, "utf-8")
        if values.dtype.kind != "U":
            raise TypeError(f"Not a valid dtype for label axis: '{values.dtype}'")
        return cls(in_order(values), name=name.lower())


def in_order(values):
    """Different values in the order of their first appearance."""
    _, first = np.unique(values, return_index=True)
    return values[np.sort(first)]
