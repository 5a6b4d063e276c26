"""Spectral indices and simple biophysical variables: arrays in, arrays out, one catalogue of data."""

from agro.indices.catalogue import SpectralIndex, catalogue, compute

__all__ = ["SpectralIndex", "catalogue", "compute"]
