"""The region file and the README of the sample region."""

REGION = """\
# SIMULATED sample region; see README.md here. Keys: docs/regions.md.
place:
  id: sample-haouz
  name: {en: Sample of the Haouz (simulated), fr: Exemple du Haouz (simulé), ar: "عينة من الحوز (محاكاة)"}
  simulated: true
  timezone: Africa/Casablanca
  latitude: 31.66
  longitude: -7.74
  elevation_m: 470
  crs: EPSG:32629
parcels:
  path: parcels.geojson
imagery:
  kind: stac
  path: imagery
weather:
  - {kind: station, path: weather/station.csv}
  - {kind: forecast, path: weather/forecast.csv}
  - {kind: climatology, path: weather/climatology.csv}
soil:
  - {kind: table, path: soil/soil.csv, source: survey}
  - {kind: texture, texture: loam}
irrigation: irrigation/reported.csv
yield_history: history/yields.csv
index_history: history/index.parquet
season_start: 2021-09-01
advice:
  water_price_per_m3: 1.0  # an example, not a tariff
  currency: MAD
  price_date: 2022-01-01
languages: [fr, ar, en]
"""

README = """\
# Sample region: SIMULATED

No satellite, station or grower has seen anything in this folder. It is made by the project's own generator
(`make sample`, which runs `agro sample-region sample_tiles`); the same version gives the same bytes.

- A 2.5 km square placed in the Haouz plain (EPSG:32629), 60 parcels, season September 2021 to July 2022.
- `imagery/`: Sentinel-2-like L2A scenes (COG, uint16, native 10 m and 20 m, scene classification) with STAC items. From
  25 January 2022 numbers carry the offset of processing baseline 04.00. One pass comes in two halves, one was delivered
  twice, one band file is cut short: on purpose.
- `weather/`: what a station and a forecaster would say, with their errors; monthly normals.
- `soil/`: a survey with error; four parcels were not visited.
- `irrigation/`: what growers reported; some report in part, some never.
- `history/`: yields and index of six earlier simulated seasons.
- `truth/`: what really happened in the simulation (soil water, irrigation, yield). For scoring only: no pipeline reads it.

Growth, soil water and yield come from AquaCrop (AquaCrop-OSPy; Raes et al. 2009), run on two soil zones a parcel;
trees are a constant canopy, alfalfa a chain of regrowths. Reflectance is a linear mixture of soil, green and dry plants
with endmembers rounded after the USGS Spectral Library (Kokaly et al. 2017) and soil darkened by moisture (Lobell & Asner
2002). Weather is a Markov chain and autoregressive anomalies on rounded normals of Marrakech (WMO). Reference ET of the truth
is Hargreaves' (1975).
"""
