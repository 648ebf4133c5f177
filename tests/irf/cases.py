"""The responses of the real files, as gpudl4 and as gammapy read them, each file opened once."""

import functools
from types import SimpleNamespace

import astropy.units as u
import numpy as np

from gpudl4.io.files import open_fits
from gpudl4.irf import EDispMap, PSFMap
from gpudl4.maps import Map
from tests.paths import shared_data

FILES = {
    "cta": "cta-1dc-gc/cta-gc-stacked.fits.gz",
    "hawc-5": "hawc-crab/nHit-5.fits.gz",
    "hawc-9": "hawc-crab/nHit-9.fits.gz",
    "fermi-gc": "fermi-3fhl-gc/fermi-3fhl-gc.fits.gz",
    "fermi-crab": "fermi-3fhl-crab/Fermi-LAT-3FHL_data_Fermi-LAT.fits",
}


def _parts(hdulist, psf_class, edisp_class, map_class):
    psf = psf_class.from_hdulist(hdulist, hdu="PSF", exposure_hdu="PSF_EXPOSURE", format="gadf")
    edisp = edisp_class.from_hdulist(hdulist, hdu="EDISP", exposure_hdu="EDISP_EXPOSURE", format="gadf")
    hdu = "EXPOSURE" if psf.energy_name == "energy_true" else "COUNTS"
    return SimpleNamespace(psf=psf, edisp=edisp, geom=map_class.from_hdulist(hdulist, hdu=hdu, format="gadf").geom)


@functools.cache
def _load(name, peer):
    with open_fits(shared_data(*FILES[name].split("/"))) as hdulist:
        if not peer:
            return _parts(hdulist, PSFMap, EDispMap, Map)
        import gammapy.irf
        import gammapy.maps

        return _parts(hdulist, gammapy.irf.PSFMap, gammapy.irf.EDispMap, gammapy.maps.Map)


def ours(name):
    """PSF, energy dispersion and the geometry kernels are made for, as gpudl4 reads them; skips where the data are absent."""
    shared_data(*FILES[name].split("/"))
    return _load(name, False)


def theirs(name):
    """The same as gammapy reads them."""
    shared_data(*FILES[name].split("/"))
    return _load(name, True)


def positions(geom, number=3, radius=2 * u.deg, seed=0):
    """The centre of a geometry and some random positions around it."""
    rng = np.random.default_rng(seed)
    centre = geom.center_skydir
    return [centre] + [
        centre.directional_offset_by(rng.uniform(0, 360) * u.deg, rng.uniform(0, radius.to_value("deg")) * u.deg) for _ in range(number)
    ]
