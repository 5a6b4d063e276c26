"""Crop and soil parameters as data: each with value, unit and source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from agro.schema.errors import ConfigError

T = TypeVar("T")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Parameter(_Strict, Generic[T]):
    """A number (or numbers) with its unit and source."""

    value: T
    unit: str
    source: str


class LinearRelation(_Strict):
    """``y = slope * index + intercept``, held within ``low`` .. ``high``."""

    index: str
    slope: float
    intercept: float
    low: float
    high: float
    source: str


class Crop(_Strict):
    """Parameters of one crop for the water balance and the season.

    ``kcb_relation`` is None where no index relation holds (orchards use cover, plastic none).
    """

    name: Mapping[str, str]  # en, fr, ar
    kind: Literal["annual", "cut", "orchard", "covered"]
    stages_d: Parameter[tuple[float, float, float, float]]
    kcb: Parameter[tuple[float, float, float]]
    kc: Parameter[tuple[float, float, float]]
    height_m: Parameter[float]
    root_depth_m: Parameter[tuple[float, float]]  # initial, maximum
    depletion_p: Parameter[float]
    kcb_relation: LinearRelation | None = None
    cover_relation: LinearRelation | None = None
    #: usual sowing (annual) or start of the year's cycle, month and day
    season_start: Parameter[tuple[int, int]]
    #: share of ground covered that the table's Kcb stands for (orchards, forage)
    table_cover_frac: Parameter[float] | None = None
    #: seasonal yield response to missing ET (FAO-33); None: not known
    yield_response_ky: Parameter[float] | None = None
    #: ECe (dS/m) from which yield falls, and by how many percent a dS/m (FAO-29); None: not known
    salt_tolerance: Parameter[tuple[float, float]] | None = None
    #: stages of the cycles after the first cut, days (kind cut)
    later_stages_d: Parameter[tuple[float, float, float, float]] | None = None

    @model_validator(mode="after")
    def _has_languages(self) -> Crop:
        missing = {"en", "fr", "ar"} - set(self.name)
        if missing:
            raise ValueError(f"name lacks {', '.join(sorted(missing))}")
        return self


class Texture(_Strict):
    """Water limits of a texture class, used where nothing better is known."""

    fc_m3_m3: Parameter[float]
    wp_m3_m3: Parameter[float]
    fc_sd_m3_m3: Parameter[float]
    wp_sd_m3_m3: Parameter[float]


def read_yaml(path: Path) -> Any:
    """Read a YAML file; a missing or malformed one is a :class:`ConfigError`."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError("no such file", where=str(path), do="Check the path") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"not valid YAML: {error}", where=str(path), do="Mend the line named") from error
    except UnicodeDecodeError as error:
        raise ConfigError("not UTF-8 text", where=str(path), do="Save the file as UTF-8") from error


def parse_error(error: ValidationError, path: Path | str) -> ConfigError:
    """Turn pydantic's list into one line a person can act on."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return ConfigError(f"{key}: {first['msg']}{more}", where=str(path), do="Correct this key")


def load_crops(path: Path, override: Path | None = None) -> dict[str, Crop]:
    """Read the crop table; entries of `override` replace or add whole crops.

    Raises
    ------
    ConfigError
        File missing, or a crop with a wrong, missing or unknown key.
    """
    crops: dict[str, Crop] = {}
    for source in filter(None, (path, override)):
        for key, body in (read_yaml(source) or {}).items():
            try:
                crops[key] = Crop.model_validate(body)
            except ValidationError as error:
                raise parse_error(error, f"{source} crop {key}") from error
    return crops


def load_textures(path: Path, override: Path | None = None) -> dict[str, Texture]:
    """Read the texture-class table, as :func:`load_crops`."""
    textures: dict[str, Texture] = {}
    for source in filter(None, (path, override)):
        for key, body in (read_yaml(source) or {}).items():
            try:
                textures[key] = Texture.model_validate(body)
            except ValidationError as error:
                raise parse_error(error, f"{source} texture {key}") from error
    return textures
