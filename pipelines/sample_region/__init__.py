"""Generator of the simulated sample region.

Everything it makes is SIMULATED. Growth, soil water and yield come from AquaCrop, so that scoring the pipeline against
this truth is not the pipeline marking its own homework; nothing of ``agro.water`` or ``agro.series`` is used here.
"""
