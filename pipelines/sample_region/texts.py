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

- A 2.5 km square placed in the Haouz plain (EPSG:32629), 60 parcels of two invented cooperatives, season September 2021 to
  July 2022. Two parcels are too narrow to be seen at 10 m; three fields of wheat live on rain.
- `imagery/`: Sentinel-2-like L2A scenes (COG, uint16, native 10 m and 20 m, scene classification) with STAC items. From
  25 January 2022 numbers carry the offset of processing baseline 04.00 (-1000; ESA, Sentinel-2 Products Specification
  Document). Passes with more than 65 % cloud are left out. One pass comes in two halves, one was delivered twice, one band
  file is cut short: on purpose. Thin cloud and haze are not always classified. Reflectance is kept to 0.004 (red and
  swir16: 0.002), which keeps the files small.
- `weather/`: what a station (one point, some days missing) and a forecaster (Mondays and Thursdays, 9 days, 8 members) would
  say, with their errors; monthly normals. The true rain falls in cells and differs from field to field.
- `soil/`: a survey with error; four parcels were not visited.
- `irrigation/`: what growers reported: depths wrong by some 12 %, days off by one, events left out; some never report.
- `history/`: yields as reported and index of six earlier simulated seasons.
- `truth/`: what really happened in the simulation. For scoring only: no pipeline reads it. `soil_water.parquet` has storage of
  the upper metre (`storage_0_1m_mm`), depletion of the root zone below field capacity (`depletion_mm`), actual ET (`eta_mm`) and
  the share of transpiration lost for want of water (`stress_frac`), means over the parcel; `irrigation.csv` gross depths;
  `yield.csv` what was sold (fresh weight).

Growth, soil water and yield come from AquaCrop (AquaCrop-OSPy, Kelly & Foster 2021, doi 10.1016/j.agwat.2021.106976; Raes et al.
2009, doi 10.2134/agronj2008.0140s), run on two soil zones a parcel. Simplifications: trees are a canopy of constant cover and
fixed roots, alfalfa a chain of regrowths from cut to cut, a field after the harvest bare soil; the same crop is grown on a parcel
in every season. Reflectance is a linear mixture of soil, green and dry plants with endmembers rounded after the USGS Spectral
Library (Kokaly et al. 2017, doi 10.3133/ds1035) and soil darkened by moisture (Lobell & Asner 2002,
doi 10.2136/sssaj2002.7220). Weather is a Markov chain of wet days (Richardson 1981, doi 10.1029/WR017i001p00182) and
autoregressive anomalies on rounded normals of Marrakech (WMO): approximate. Reference ET of the truth is Hargreaves' (1975).
"""
