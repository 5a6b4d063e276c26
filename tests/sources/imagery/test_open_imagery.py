from __future__ import annotations

from pathlib import Path

import pytest
import small_scenes as small

from agro.schema.errors import ConfigError
from agro.schema.region import ImagerySpec
from agro.sources.imagery import detect_kind, open_imagery


def test_unknown_kind_lists_those_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Known: .*cube.*earth-search.*geotiff.*safe.*stac"):
        open_imagery(ImagerySpec(kind="sattelite", path="."), tmp_path)


def test_absent_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file or folder"):
        open_imagery(ImagerySpec(kind="stac", path="nowhere"), tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    for kind in ("stac", "geotiff"):
        with pytest.raises(ConfigError, match="not a folder"):
            open_imagery(ImagerySpec(kind=kind, path="x"), tmp_path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scael": 1}, "wrong option of geotiff.*scael"),
        ({"scale": "small"}, "imagery.options.scale: 'small' is not a number"),
        ({"scale": 0}, "not above zero"),
        ({"offset": True}, "imagery.options.offset"),
    ],
)
def test_wrong_options(tmp_path: Path, options: dict[str, object], said: str) -> None:
    small.write_geotiffs(tmp_path / "t")
    with pytest.raises(ConfigError, match=said):
        open_imagery(ImagerySpec(kind="geotiff", path="t", options=options), tmp_path)


def test_two_plugins_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A distribution on the path that declares the kind "stac" a second time.
    info = tmp_path / "rival-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[agro.imagery]\nstac = rival:Stac\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="two plugins call themselves 'stac'"):
        open_imagery(ImagerySpec(kind="stac", path="."), tmp_path)


def test_nothing_known_on_disk(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no imagery known here"):
        detect_kind(tmp_path)
