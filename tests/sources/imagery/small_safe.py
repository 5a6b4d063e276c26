"""Small Sentinel-2 products, as folders and zips, with metadata of just the entries that matter."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import small_scenes as small
from rasterio.transform import from_origin

#: Band -> (file at its finest resolution, pixel size in m) of the small products.
FILES = {band: (f"{small.NATIVE[band]}_{step}m", step) for band, step in small.STEP_M.items()}

PRODUCT_XML = """<?xml version="1.0" encoding="UTF-8"?>
<n1:Level-2A_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-2A.xsd">
 <n1:General_Info><Product_Info>
  <PRODUCT_START_TIME>{day}T11:06:21.024Z</PRODUCT_START_TIME>
  <PRODUCT_URI>{name}.SAFE</PRODUCT_URI>
  <PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
  <Datatake datatakeIdentifier="GS2A_{day:%Y%m%d}T110621_033239_N{baseline}">
   <SENSING_ORBIT_NUMBER>{orbit}</SENSING_ORBIT_NUMBER></Datatake>
  <Product_Organisation><Granule_List><Granule>{files}</Granule></Granule_List></Product_Organisation>
 </Product_Info>
 <Product_Image_Characteristics>
  <Special_Values><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX></Special_Values>
  <Special_Values><SPECIAL_VALUE_TEXT>SATURATED</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>65535</SPECIAL_VALUE_INDEX></Special_Values>
  <QUANTIFICATION_VALUES_LIST><BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE></QUANTIFICATION_VALUES_LIST>
  {offsets}
 </Product_Image_Characteristics></n1:General_Info>
</n1:Level-2A_User_Product>
"""
TILE_XML = """<?xml version="1.0" encoding="UTF-8"?>
<n1:Level-2A_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-2A_Tile_Metadata.xsd">
 <n1:General_Info>
  <TILE_ID>S2A_OPER_MSI_L2A_TL_2APS_{day:%Y%m%d}T155500_A033239_T29RPR_N{baseline}</TILE_ID>
  <SENSING_TIME>{day}T11:16:40.625508Z</SENSING_TIME>
 </n1:General_Info>
 <n1:Geometric_Info><Tile_Geocoding>
  <HORIZONTAL_CS_CODE>EPSG:32629</HORIZONTAL_CS_CODE>
  <Geoposition resolution="10"><ULX>600000</ULX><ULY>3500040</ULY></Geoposition>
 </Tile_Geocoding></n1:Geometric_Info>
</n1:Level-2A_Tile_ID>
"""


def product_name(day: date, baseline: str = "03.01", orbit: int = 137) -> str:
    return f"S2A_MSIL2A_{day:%Y%m%d}T110621_N{baseline.replace('.', '')}_R{orbit:03d}_T29RPR_{day:%Y%m%d}T155500"


def offset_list(offsets: Mapping[int, float]) -> str:
    entries = "".join(f'<BOA_ADD_OFFSET band_id="{n}">{v:g}</BOA_ADD_OFFSET>' for n, v in offsets.items())
    return f"<BOA_ADD_OFFSET_VALUES_LIST>{entries}</BOA_ADD_OFFSET_VALUES_LIST>" if offsets else ""


def write_jp2(path: Path, values: np.ndarray, step_m: float, crs: str = small.CRS_CODE, **at: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    transform = from_origin(at.get("left", small.LEFT), at.get("top", small.TOP), step_m, step_m)
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", height=values.shape[0], width=values.shape[1], count=1, dtype=values.dtype,
        crs=crs, transform=transform, QUALITY="100", REVERSIBLE="YES",
    ) as out:  # fmt: skip
        out.write(values, 1)


def write_product(folder: Path, day: date, *, added: int = 0, baseline: str = "03.01", **changed: Any) -> Path:
    """A product of the numbers of `small_scenes`, bands raised by `added`; `changed` replaces entries of the XML."""
    name = changed.pop("name", product_name(day, baseline))
    root = folder / f"{changed.pop('called', name)}.SAFE"
    granule = f"GRANULE/L2A_T29RPR_A033239_{day:%Y%m%d}T111640"
    listed = []
    for band, (file, step) in FILES.items():
        image = f"{granule}/IMG_DATA/R{step}m/T29RPR_{day:%Y%m%d}T110621_{file}"
        listed.append(f"<IMAGE_FILE>{image}</IMAGE_FILE>")
        values = small.numbers(day, band)
        if band != "scl":
            values = np.where(values == 0, 0, values + added).astype("uint16")
        write_jp2(root / f"{image}.jp2", values, step)
    offsets = changed.pop("offsets", offset_list(dict.fromkeys(range(13), -float(added)) if added else {}))
    entries = {"day": day, "name": name, "baseline": baseline, "orbit": 137, "files": "".join(listed), **changed}
    (root / "MTD_MSIL2A.xml").write_text(PRODUCT_XML.format(offsets=offsets, **entries))
    (root / granule / "MTD_TL.xml").write_text(TILE_XML.format(**entries))
    return root


def zip_product(root: Path, archive: Path | None = None, method: int = zipfile.ZIP_STORED) -> Path:
    """Put a product's folder into a zip and remove the folder."""
    archive = archive or root.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w", method) as out:
        for file in sorted(root.rglob("*")):
            out.write(file, file.relative_to(root.parent).as_posix())
    shutil.rmtree(root)
    return archive


def write_safe(folder: Path) -> None:
    for day in small.DAYS:
        write_product(folder, day)


def write_safe_zips(folder: Path) -> None:
    """The second product stored without compression, as most are delivered; the first deflated."""
    for day, method in zip(small.DAYS, (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED), strict=True):
        zip_product(write_product(folder, day), method=method)
