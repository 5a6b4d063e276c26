"""Field advice from Sentinel-2 pixels, soil and weather: science and data access.

Nothing is imported here, so that ``import agro`` costs nothing; import the package that is needed
(``agro.water``, ``agro.series`` ...).
"""

__version__ = "0.1.0"
