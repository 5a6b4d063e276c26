"""A region: a folder of YAML. Unknown keys are refused, so a misspelt one is never ignored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from agro.schema.crops import parse_error, read_yaml
from agro.schema.errors import ConfigError

REGION_FILE = "region.yaml"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ParcelsSource(_Strict):
    """Field boundaries: any vector format, any CRS."""

    path: str
    layer: str | None = None
    crs: str | None = None  # only when the file does not say
    columns: dict[str, str] = {}  # contract column (without "agro:") -> column of the file
    crops: dict[str, str] = {}  # crop as named in the file -> crop key
    defaults: dict[str, Any] = {}  # crop, irrigation, sowing_date, flow_m3_h ... when the file is silent
    outline_only: bool = False  # read nothing but outline, id and name; the rest comes from the defaults


class ImagerySpec(_Strict):
    """Where pixels come from, one link of the chain. `kind` is an entry point of the group ``agro.imagery``."""

    kind: str  # stac, geotiff, cube, safe ... on this machine; stac-api, sentinelhub ... over the network
    path: str | None = None  # for what is on this machine
    options: dict[str, Any] = {}

    @property
    def label(self) -> str:
        """What it is called in messages."""
        return f"{self.kind} {self.path}" if self.path else self.kind

    @property
    def over_network(self) -> bool:
        """Whether it asks a provider: what is on this machine has a path."""
        return self.path is None


#: Kinds of weather and of soil that are read from this machine.
LOCAL_WEATHER = ("station", "forecast", "climatology")
LOCAL_SOIL = ("table", "texture")


class WeatherSpec(_Strict):
    """One link of the weather chain, best first."""

    kind: Literal["station", "forecast", "climatology", "openmeteo", "power", "era5land"]
    path: str | None = None  # for the first three
    options: dict[str, Any] = {}

    @model_validator(mode="after")
    def _path_where_needed(self) -> WeatherSpec:
        if not self.over_network and not self.path:
            raise ValueError(f"a {self.kind} needs a path")
        return self

    @property
    def over_network(self) -> bool:
        """Whether it asks a provider."""
        return self.kind not in LOCAL_WEATHER


class SoilSpec(_Strict):
    """One link of the soil chain, best first."""

    kind: Literal["table", "texture", "soilgrids"]
    path: str | None = None
    texture: str | None = None
    options: dict[str, Any] = {}
    source: str = "survey"  # said on each row: laboratory, survey ...

    @property
    def over_network(self) -> bool:
        """Whether it asks a provider."""
        return self.kind not in LOCAL_SOIL


class Mixing(_Strict):
    """Whether one table may hold rows of several links of a chain; false: the first link that serves, alone."""

    imagery: bool = True
    weather: bool = True
    soil: bool = True


class Outbound(_Strict):
    """What may leave this machine besides cells and rounded points."""

    outlines: bool = False  # exact outlines of parcels, to providers that compute on them


class MaskOptions(_Strict):
    """How the scene classification is used."""

    drop: tuple[int, ...] = (0, 1, 3, 8, 9, 10, 11)
    dilate_m: float = Field(60.0, ge=0, le=500)


class ObservationOptions(_Strict):
    """How parcels are read off the pixels."""

    indices: tuple[str, ...] = ("ndvi", "evi2", "ndmi", "ndre")
    buffer_m: float = Field(5.0, ge=0)
    min_pixels: float = Field(8.0, gt=0)
    min_valid_frac: float = Field(0.4, gt=0, le=1)


class SeriesOptions(_Strict):
    """How looks become a value a day; see docs/series.md."""

    penalty: Literal["each", "crop"] = "each"  # chosen for each series, or for all parcels of a crop by the V-curve
    penalties: dict[str, Annotated[float, Field(gt=0, le=1e9)]] = {}  # by crop: not chosen but given
    neighbours: bool = True  # ask the parcels around about haze


class AdviceOptions(_Strict):
    """Limits that the people of the region set; see also ``rules.yaml``."""

    outlook_d: int = Field(7, ge=1, le=15)
    max_clear_age_d: int = Field(20, ge=1)  # older than this: abstain
    water_price_per_m3: float | None = Field(None, ge=0)
    currency: str = "MAD"
    price_date: date | None = None


class ReportOptions(_Strict):
    """How numbers are written for the people of the region."""

    digits: Literal["latin", "arabic-indic"] = "latin"  # of Arabic text; the others write Latin digits
    dose_unit: Literal["mm", "m3_ha"] = "mm"  # of water to be given; rain and evapotranspiration stay in mm
    yield_unit: Literal["t_ha", "q_ha"] = "t_ha"


class Turn(_Strict):
    """A canal turn: the day is fixed, and the depth that comes."""

    date: date
    depth_mm: float = Field(gt=0, le=400)  # gross, at the field
    least_mm: float | None = Field(None, gt=0)  # the smallest depth that can be taken; None: all or nothing
    sector: str | None = None  # None: every sector
    volume_m3: float | None = Field(None, ge=0)  # what the canal brings to the sector; None: enough

    @model_validator(mode="after")
    def _least_within(self) -> Turn:
        if self.least_mm is not None and self.least_mm > self.depth_mm:
            raise ValueError("least_mm is above depth_mm")
        return self


class Worth(_Strict):
    """What a crop is worth without stress, for sharing a volume; the price is that of the user's day."""

    yield_t_ha: float = Field(gt=0)
    price_per_t: float = Field(gt=0)


Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class WaterOptions(_Strict):
    """How water comes and is given in the region; nothing said, nothing planned beyond the weekly advice."""

    turns: tuple[Turn, ...] = ()
    limit_m3: float | None = Field(None, ge=0)  # for the outlook, all parcels together
    floor_frac: float = Field(0.0, ge=0, le=1)  # share of the need that each parcel gets before value counts
    worth: dict[str, Worth] = {}  # by crop
    rest_days: tuple[Weekday, ...] = ()
    closed_dates: tuple[date, ...] = ()  # works on the canal, a ban
    max_hours_d: float = Field(24.0, gt=0, le=24)  # pumping in a day
    drip_interval_d: int = Field(1, ge=1, le=7)
    #: By crop and stage (initial, development, mid, late): share of RAW that may be used before water is given. 1: no
    #: stress; above 1: deficit irrigation; below: more careful.
    depletion_share: dict[str, tuple[float, float, float, float]] = {}

    @model_validator(mode="after")
    def _sensible(self) -> WaterOptions:
        for crop, shares in self.depletion_share.items():
            if not all(0.1 <= share <= 2.0 for share in shares):
                raise ValueError(f"depletion_share of {crop} outside 0.1 .. 2")
        if len(set(self.rest_days)) == 7:
            raise ValueError("every day of the week is a rest day")
        return self


class Place(_Strict):
    """Name and position of the region."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{1,60}$")
    name: Mapping[str, str]
    simulated: bool = False
    timezone: str = "Africa/Casablanca"
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    elevation_m: float = Field(ge=-430, le=9000)
    crs: str | None = None  # None: the UTM zone of the parcels


class Region(_Strict):
    """Everything the weekly pipeline needs to know of a region."""

    place: Place
    parcels: ParcelsSource
    imagery: tuple[ImagerySpec, ...] = Field(min_length=1)
    weather: tuple[WeatherSpec, ...] = Field(min_length=1)
    soil: tuple[SoilSpec, ...] = Field(min_length=1)
    mixing: Mixing = Mixing()
    outbound: Outbound = Outbound()
    irrigation: str | None = None  # CSV of reported events
    yield_history: str | None = None  # CSV parcel_uid, season, crop, yield_t_ha, source
    index_history: str | None = None  # CSV of past seasons' observations, as the observations table
    season_start: date | None = None  # start of the balance; default: 1 September before the run date
    initial_depletion_frac: float = Field(0.5, ge=0, le=1)
    mask: MaskOptions = MaskOptions()
    observe: ObservationOptions = ObservationOptions()
    series: SeriesOptions = SeriesOptions()
    advice: AdviceOptions = AdviceOptions()
    water: WaterOptions = WaterOptions()
    reports: ReportOptions = ReportOptions()
    languages: tuple[Literal["fr", "ar", "en"], ...] = ("fr", "ar", "en")

    _folder: Path = PrivateAttr(default=Path())

    @field_validator("imagery", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        """A single source may be written without a list."""
        return [value] if isinstance(value, Mapping) else value

    @property
    def folder(self) -> Path:
        """Folder of ``region.yaml``; relative paths start there."""
        return self._folder

    def resolve(self, path: str) -> Path:
        """A path of the region file, relative to its folder."""
        return (self._folder / path).resolve()

    @property
    def crops_file(self) -> Path | None:
        """Local crop table, when the region has one."""
        path = self._folder / "crops.yaml"
        return path if path.exists() else None

    @property
    def soils_file(self) -> Path | None:
        """Local texture table, when the region has one."""
        path = self._folder / "soils.yaml"
        return path if path.exists() else None

    @property
    def rules_file(self) -> Path | None:
        """Local rules, when the region has them."""
        path = self._folder / "rules.yaml"
        return path if path.exists() else None


def load_region(folder: Path) -> Region:
    """Read ``region.yaml`` of a folder.

    Raises
    ------
    ConfigError
        Folder or file missing, or a wrong, missing or unknown key.
    """
    path = folder / REGION_FILE
    if not path.exists():
        raise ConfigError(f"no {REGION_FILE} here", where=str(folder), do="Make one with: agro new-region DIR")
    try:
        region = Region.model_validate(read_yaml(path) or {})
    except ValidationError as error:
        raise parse_error(error, path) from error
    region._folder = folder.resolve()
    return region
