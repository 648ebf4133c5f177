"""`SpectrumDataset` and `SpectrumDatasetOnOff`: counts of one region as a function of energy. Use them for spectral (1D) analysis.

They are the datasets of the sky on a `gpudl4.maps.RegionGeom`, and do all that those do, apart from what needs pixels.
"""

from gpudl4.core.errors import DatasetError, GeometryError
from gpudl4.core.reading import reading

from .map import MapDataset
from .onoff import MapDatasetOnOff
from .verbs import SpectrumPlotVerbs

__all__ = ["SPECTRUM_KINDS", "SpectrumDataset", "SpectrumDatasetOnOff"]


class Spectrum(SpectrumPlotVerbs):
    """What datasets of one region do differently from those with pixels."""

    def _check(self, values):
        super()._check(values)
        for field in self._fields.values():
            value = values.get(field.name)
            if value is not None and field.on_counts_geometry and not value.geom.is_region:
                raise GeometryError(
                    f"dataset '{self.name}': a {self.tag} is on a RegionGeom, but {field.name} is on pixels: use "
                    f"{self.tag.replace('Spectrum', 'Map')}, or to_spectrum_dataset(region) of one"
                )

    @classmethod
    def create(cls, geom, energy_axis_true=None, migra_axis=None, reference_time="2000-01-01", name=None, meta_table=None, **kwargs):
        """Empty dataset for a region; see `MapDataset.create`. It has no PSF.

        Parameters
        ----------
        geom : RegionGeom
            Region, with an axis ``energy``.
        energy_axis_true, migra_axis : MapAxis, optional
            Axes ``energy_true`` (a copy of the reconstructed axis if None) and ``migra`` (kernels if None).
        reference_time : str or `astropy.time.Time`
            Reference of the time intervals.
        name : str, optional
            A random one if None.
        meta_table : astropy.table.Table, optional
            One row about each observation.
        **kwargs
            Further arguments of the class.
        """
        if not geom.is_region:
            raise GeometryError(f"a {cls.tag} needs a RegionGeom, got a {type(geom).__name__}")
        dataset = super().create(
            geom, energy_axis_true, migra_axis, reference_time=reference_time, name=name, meta_table=meta_table, **kwargs
        )
        dataset.psf = None
        return dataset

    def downsample(self, factor, axis_name="energy", name=None):
        """Dataset with merged bins of an axis; see `MapDataset.downsample`. A bin of a mask is True where all parts are, as in gammapy."""
        return super().downsample(factor, axis_name="energy" if axis_name is None else axis_name, name=name)

    def _no_pixels(self, *args, **kwargs):
        """Not possible: a spectrum has no pixels."""
        raise NotImplementedError(f"dataset '{self.name}' is a {self.tag}, which has no pixels")

    cutout = pad = _no_pixels


class SpectrumDataset(Spectrum, MapDataset):
    """Binned counts of one region with everything that is needed to predict them; fitted with the Cash statistic.

    Parameters as for `MapDataset`, whose geometries are `gpudl4.maps.RegionGeom` here.
    """

    tag = "SpectrumDataset"

    def to_spectrum_dataset(self, *args, **kwargs):
        """Not possible: it is one already."""
        raise NotImplementedError(f"dataset '{self.name}' is a spectrum already; a copy is made by dataset.copy(name)")


class SpectrumDatasetOnOff(Spectrum, MapDatasetOnOff):
    """ON and OFF counts of one region with everything that is needed to predict the signal; fitted with the statistic wstat.

    Parameters as for `MapDatasetOnOff`, whose geometries are `gpudl4.maps.RegionGeom` here.
    """

    tag = "SpectrumDatasetOnOff"

    @classmethod
    def from_spectrum_dataset(cls, dataset, acceptance, acceptance_off, counts_off=None, name=None):
        """Dataset with off counts from a `SpectrumDataset`; see `MapDatasetOnOff.from_map_dataset`."""
        return cls.from_map_dataset(dataset, acceptance, acceptance_off, counts_off=counts_off, name=name)

    def to_spectrum_dataset(self, name=None):
        """`SpectrumDataset` with a background, alpha times the off counts; without models and PSF, see `MapDatasetOnOff.to_map_dataset`."""
        return self._with_background(SpectrumDataset, name, without=("psf",))

    def to_dict(self):
        """Entry of a ``*_datasets.yaml`` file: name, type, filename."""
        return {"name": self.name, "type": self.tag, "filename": f"pha_obs{self.name.replace(' ', '_')}.fits"}

    @classmethod
    def read(cls, filename, format=None, checksum=False, name=None, lazy=False, cache=True, backend="numpy"):
        """Read a spectrum from an OGIP file (PHA, with the files that it names) or a file in the GADF format.

        Parameters
        ----------
        filename : str or pathlib.Path
            Path; environment variables are expanded.
        format : {"ogip", "gadf"}, optional
            Format; by default it is found out.
        checksum : bool
            Verify the checksums in the file, with a warning for each that does not match.
        name : str, optional
            Name; the one in the file if None.
        lazy, cache : bool
            Accepted so that scripts for gammapy run; data are always read at once.
        backend : {"numpy", "cupy", "auto"} or Backend
            Where the arrays shall live.

        Raises
        ------
        DataFileError, GeometryError, UnitMismatchError
            If the file is missing, damaged, or no spectrum, or its parts do not fit together.
        """
        from gpudl4.core.backend import get_backend
        from gpudl4.io.files import expand_path

        if format is None:
            from gpudl4.io.ogip import guess_format

            format = guess_format(filename)
        if format == "gadf":
            return super().read(filename, name=name, checksum=checksum, backend=backend)
        if format not in ("ogip", "ogip-sherpa"):
            raise DatasetError(f"unknown format {format!r}; a {cls.tag} is read in the formats 'ogip' and 'gadf'")
        from gpudl4.io.ogip import read_ogip

        with reading(f"'{expand_path(filename)}'"):
            dataset = cls(**read_ogip(filename, name=name, checksum=checksum))
        return dataset.to_device(get_backend(backend))

    def write(self, filename, overwrite=False, format="gadf", checksum=False):
        """Write a file that gammapy can read.

        Parameters
        ----------
        filename : str or pathlib.Path
            Path; the other files of an OGIP spectrum are written beside it.
        overwrite : bool
            Replace files that exist.
        format : {"gadf", "ogip", "ogip-sherpa"}
            Format. OGIP files cannot hold `mask_fit`, `meta_table` and a PSF.
        checksum : bool
            Write checksums into the headers.

        Raises
        ------
        OutputError
            If a file exists and `overwrite` is False, or the place is not writable.
        """
        if format == "gadf":
            return super().write(filename, overwrite=overwrite, checksum=checksum)
        if format not in ("ogip", "ogip-sherpa"):
            raise DatasetError(f"unknown format {format!r}; a {self.tag} is written in the formats 'gadf', 'ogip' and 'ogip-sherpa'")
        from gpudl4.io.ogip import write_ogip

        return write_ogip({**self._values, "name": self.name}, filename, format=format, overwrite=overwrite, checksum=checksum)


SPECTRUM_KINDS = {
    "MapDataset": SpectrumDataset,
    "MapDatasetOnOff": SpectrumDatasetOnOff,
    "SpectrumDataset": SpectrumDataset,
    "SpectrumDatasetOnOff": SpectrumDatasetOnOff,
}
