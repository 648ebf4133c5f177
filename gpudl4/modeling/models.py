"""gammapy's import path for models: ``from gpudl4.modeling.models import SkyModel``. Everything lives in `gpudl4.models`."""

from gpudl4.models import *  # noqa: F403
from gpudl4.models import __all__  # noqa: F401
