"""Scene classification to quality flags.

Classes of the Sentinel-2 L2A scene classification (ESA, Sen2Cor ATBD): 0 nodata, 1 saturated, 2 dark area,
3 cloud shadow, 4 vegetation, 5 bare, 6 water, 7 unclassified, 8 and 9 cloud, 10 thin cirrus, 11 snow.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from agro.schema.bands import Quality
from agro.schema.region import MaskOptions

_FLAGS = {
    0: Quality.NODATA, 1: Quality.SATURATED, 3: Quality.SHADOW, 8: Quality.CLOUD, 9: Quality.CLOUD,
    10: Quality.CIRRUS, 11: Quality.SNOW,
}  # fmt: skip
LAST_CLASS = 11
#: Classes whose surroundings are doubtful too.
_DILATED = Quality.CLOUD | Quality.SHADOW | Quality.CIRRUS


def quality_flags(classes: np.ndarray, resolution_m: float, options: MaskOptions) -> np.ndarray:
    """Quality flags of a scene.

    Parameters
    ----------
    classes : numpy.ndarray of uint8
        (height, width) scene classes; numbers beyond 11 are no classes and count as nodata.
    resolution_m : float
        Pixel size of `classes`.
    options : MaskOptions
        Classes to drop, and the distance in metres by which cloud, cirrus and shadow are grown.

    Returns
    -------
    numpy.ndarray of uint8
        (height, width) sums of :class:`~agro.schema.bands.Quality`; 0 = clear.
    """
    flags = np.zeros(classes.shape, dtype="uint8")
    flags[classes > LAST_CLASS] |= int(Quality.NODATA)
    for value in options.drop:
        flags[classes == value] |= int(_FLAGS.get(value, Quality.EXCLUDED))
    cloudy = (flags & int(_DILATED)) > 0
    if options.dilate_m > 0 and cloudy.any():
        distance = ndimage.distance_transform_edt(~cloudy, sampling=resolution_m)
        flags[(distance > 0) & (distance <= options.dilate_m)] |= int(Quality.NEAR_CLOUD)
    return flags
