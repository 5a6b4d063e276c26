"""The bulletin's parcels as a GeoPackage that QGIS opens already coloured."""

from __future__ import annotations

import sqlite3
import tempfile
from datetime import date
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import geopandas as gpd
import pandas as pd
import pyogrio

from agro.reports.bulletin import STATES, Bulletin
from agro.reports.figures import STATE_STYLES
from agro.reports.i18n import Translator

LAYER = "parcels_advice"


def render_geopackage(bulletin: Bulletin, parcels: Any, tr: Translator) -> bytes:
    """Write the layer ``parcels_advice`` and its default style.

    Parameters
    ----------
    bulletin : Bulletin
    parcels : geopandas.GeoDataFrame
        ``parcel_uid`` and geometry.
    tr : Translator
        Language of the sentence kept in the column ``sentence`` and of the legend.

    Returns
    -------
    bytes
        A GeoPackage in EPSG:4326. Amounts of a parcel that awaits a decision are null. Equal input gives equal bytes.
    """
    layer = _layer(bulletin, parcels, tr)
    with tempfile.TemporaryDirectory(prefix="agro-gpkg-") as name:
        path = Path(name) / "parcels.gpkg"
        stamp = f"{bulletin.issued_on.isoformat()}T00:00:00Z"
        # GDAL would stamp the contents with the machine's clock.
        before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": stamp})
        try:
            pyogrio.write_dataframe(
                layer, path, layer=LAYER, driver="GPKG", geometry_type="MultiPolygon", promote_to_multi=True
            )
        finally:
            pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})
        _add_style(path, bulletin.issued_on, tr)
        return path.read_bytes()


def _layer(bulletin: Bulletin, parcels: Any, tr: Translator) -> gpd.GeoDataFrame:
    from agro.reports.view import sentence_of

    rows = []
    for number, line in enumerate(bulletin.lines, start=1):
        rows.append(
            {
                "number": number, "parcel_uid": line.parcel_uid, "name": line.name, "crop": line.crop, "irrigation": line.irrigation_system,
                "area_ha": line.area_ha, "state": line.state, "edited": line.edited, "amount_mm": line.amount_mm, "amount_low_mm": line.amount_low_mm,
                "amount_high_mm": line.amount_high_mm, "gross_mm": line.gross_mm, "volume_m3": line.volume_m3, "hours": line.hours,
                "window_start": line.window_start, "window_end": line.window_end, "confidence": line.confidence, "confidence_label": line.confidence_label,
                "dr_mm": line.dr_mm, "taw_mm": line.taw_mm, "raw_mm": line.raw_mm, "depletion_frac": line.depletion_frac, "ndvi": line.ndvi,
                "last_clear_date": line.last_clear_date, "eta_week_mm": line.eta_mm, "rain_week_mm": line.rain_mm, "irrigation_week_mm": line.irrigation_mm,
                "stress_days": line.stress_days, "sentence": str(sentence_of(line, tr)), "issued_on": bulletin.issued_on, "simulated": bulletin.simulated,
            }
        )  # fmt: skip
    table = pd.DataFrame(rows)
    numbers = ("amount_mm", "amount_low_mm", "amount_high_mm", "gross_mm", "volume_m3", "hours", "confidence")
    table = table.astype(dict.fromkeys(numbers, "float64"))
    for column in ("window_start", "window_end", "last_clear_date", "issued_on"):
        table[column] = [None if value is None or pd.isna(value) else value for value in table[column]]
    shapes = parcels.set_index("parcel_uid").geometry.reindex(table["parcel_uid"])
    return gpd.GeoDataFrame(table, geometry=shapes.to_numpy(), crs=parcels.crs).to_crs("EPSG:4326")


def _add_style(path: Path, issued_on: date, tr: Translator) -> None:
    """Add QGIS's ``layer_styles`` table with a default style: a colour for each state."""
    with sqlite3.connect(path) as connection:
        connection.execute(
            'CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT, f_table_schema TEXT, '
            'f_table_name TEXT, f_geometry_column TEXT, styleName TEXT, styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, '
            'description TEXT, owner TEXT, ui TEXT, update_time DATETIME)'
        )  # fmt: skip
        connection.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change) VALUES (?, 'attributes', ?, '', ?)",
            ("layer_styles", "layer_styles", f"{issued_on.isoformat()}T00:00:00Z"),
        )
        connection.execute(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, styleQML, styleSLD, "
            "useAsDefault, description, owner, ui, update_time) VALUES ('', '', ?, 'geom', 'advice', ?, '', 1, 'Advice', '', NULL, ?)",
            (LAYER, _qml(tr), f"{issued_on.isoformat()}T00:00:00Z"),
        )
    connection.close()


def _qml(tr: Translator) -> str:
    categories, symbols = [], []
    for i, state in enumerate(STATES):
        red, green, blue = (int(STATE_STYLES[state][0][k : k + 2], 16) for k in (1, 3, 5))
        label = quoteattr(tr.text(f"state.{state}"))
        categories.append(f'<category value="{state}" symbol="{i}" label={label} render="true" type="string"/>')
        symbols.append(
            f'<symbol name="{i}" type="fill" alpha="0.85" clip_to_extent="1" force_rhr="0"><layer class="SimpleFill" enabled="1" locked="0" pass="0">'
            f'<Option type="Map"><Option name="color" type="QString" value="{red},{green},{blue},255"/>'
            '<Option name="outline_color" type="QString" value="59,65,72,255"/><Option name="outline_style" type="QString" value="solid"/>'
            '<Option name="outline_width" type="QString" value="0.3"/><Option name="outline_width_unit" type="QString" value="MM"/>'
            '<Option name="style" type="QString" value="solid"/></Option></layer></symbol>'
        )
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>"
        '<qgis version="3.28" styleCategories="Symbology">'
        f'<renderer-v2 type="categorizedSymbol" attr="state" forceraster="0" enableorderby="0" symbollevels="0">'
        f"<categories>{''.join(categories)}</categories><symbols>{''.join(symbols)}</symbols></renderer-v2>"
        "<layerGeometryType>2</layerGeometryType></qgis>"
    )
