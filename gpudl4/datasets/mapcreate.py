"""Empty map datasets from geometries, as stacking and simulations start from; mixed into `MapDataset`."""

from .fields import field_table
from .geoms import BINSZ_IRF_DEFAULT, create_map_dataset_geoms

__all__ = ["MapCreation"]


class MapCreation:
    """Constructors of empty datasets."""

    @classmethod
    def from_geoms(
        cls, geom, geom_exposure=None, geom_psf=None, geom_edisp=None, reference_time="2000-01-01", name=None, gti=None, **kwargs
    ):
        """Empty dataset of the given geometries: zero counts, background and exposure, an all-false mask_safe, no interval.

        Parameters
        ----------
        geom : WcsGeom or RegionGeom
            Counts, background and mask_safe.
        geom_exposure, geom_psf, geom_edisp : WcsGeom or RegionGeom, optional
            Exposure and responses. A PSF geometry with an axis ``energy`` gives a `RecoPSFMap`; an energy dispersion geometry with an
            axis ``migra`` gives an `EDispMap`, else a kernel map that spreads nothing.
        reference_time : str or `astropy.time.Time`
            Reference of the time intervals.
        name : str, optional
            A random one if None.
        gti : GTI, optional
            Instead of none.
        **kwargs
            Further arguments of `MapDataset`.
        """
        from gpudl4.core.gti import GTI
        from gpudl4.irf import EDispKernelMap, EDispMap, PSFMap, RecoPSFMap
        from gpudl4.maps import Map

        maps = [field.name for field in field_table(cls.tag) if field.kind == "map" and field.on_counts_geometry]
        fields = {name: Map.from_geom(geom, unit="") for name in maps}
        fields["mask_safe"] = Map.from_geom(geom, unit="", dtype=bool)
        if geom_exposure is not None:
            fields["exposure"] = Map.from_geom(geom_exposure, unit="m2 s")
        if geom_edisp is not None:
            fields["edisp"] = (EDispMap if "migra" in geom_edisp.axes.names else EDispKernelMap).from_geom(geom_edisp)
        if geom_psf is not None:
            fields["psf"] = (PSFMap if "energy_true" in geom_psf.axes.names else RecoPSFMap).from_geom(geom_psf)
        if gti is None:
            gti = GTI.from_time_intervals([], reference_time=reference_time)
        return cls(**fields, gti=gti, name=name, **kwargs)

    @classmethod
    def create(
        cls,
        geom,
        energy_axis_true=None,
        migra_axis=None,
        rad_axis=None,
        binsz_irf=BINSZ_IRF_DEFAULT,
        reference_time="2000-01-01",
        name=None,
        meta_table=None,
        reco_psf=False,
        **kwargs,
    ):
        """Empty dataset for a counts geometry; see `create_map_dataset_geoms` for the geometries and `from_geoms` for the content.

        Parameters
        ----------
        geom : WcsGeom
            Geometry of the counts, with an axis ``energy``.
        energy_axis_true : MapAxis, optional
            Axis ``energy_true``; a copy of the reconstructed axis if None.
        migra_axis, rad_axis : MapAxis, optional
            Axes of energy dispersion and PSF.
        binsz_irf : float
            Pixel size of the response maps in deg.
        reference_time : str or `astropy.time.Time`
            Reference of the time intervals.
        name : str, optional
            A random one if None.
        meta_table : astropy.table.Table, optional
            One row about each observation.
        reco_psf : bool
            PSF in reconstructed energy.
        **kwargs
            Further arguments of `MapDataset`.
        """
        geoms = create_map_dataset_geoms(geom, energy_axis_true, migra_axis, rad_axis, binsz_irf, reco_psf)
        return cls.from_geoms(**geoms, reference_time=reference_time, name=name, meta_table=meta_table, **kwargs)
