"""From advice records and decisions to bulletins, in French, Arabic and English, and a GeoPackage."""
