from __future__ import annotations

import re
from pathlib import Path

import pytest
from fake_run import make_world

from agro.reports.i18n import Translator
from agro.reports.messages import short_message
from agro.reports.publish import gather, publish, translators_of
from agro.schema.errors import ConfigError
from agro.schema.region import ReportOptions

LOCAL = {"digits": "arabic-indic", "dose_unit": "m3_ha", "yield_unit": "q_ha"}


def test_doses_and_not_rain_take_the_local_unit() -> None:
    tr = Translator("fr", dose_unit="m3_ha", yield_unit="q_ha")
    params = {"amount_mm": 32.0, "volume_m3": 900.0, "window_start": "2019-05-20", "window_end": "2019-05-21"}
    assert "320\u00a0m³/ha" in tr.text("advice.irrigate", **params)
    assert "32\u00a0mm" in Translator("fr").text("advice.irrigate", **params)
    assert "12\u00a0mm" in tr.text("reason.rain_expected", rain_mm=12.0, days=7)
    assert tr.local(4.25, tr.yield_unit) == 42.5 and tr.local(None, "q_ha") is None
    assert Translator("fr").word("currency", "MAD") == "DH" and Translator("ar").word("currency", "MAD") == "درهم"


@pytest.mark.parametrize("units", [{"dose_unit": "t_ha"}, {"yield_unit": "mm"}, {"dose_unit": "inch"}])
def test_unknown_units_are_refused(units: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="no unit"):
        Translator("fr", **units)


def test_the_settings_of_the_region_reach_bulletin_and_messages(tmp_path: Path) -> None:
    assert ReportOptions.model_validate(LOCAL).model_dump() == LOCAL
    world = make_world(tmp_path, reports=LOCAL, water_price_per_m3=0.5, currency="MAD")
    files = {p.name: p for p in publish(world.store, world.run, world.published, world.awaiting, ["ar", "fr"])}
    french = re.sub(r"<[^>]+>", " ", files["bulletin_fr.html"].read_text(encoding="utf-8"))
    assert (
        "m³/ha" in french and "q/ha" in french and french.count("t/ha") == 1
    )  # in the note that says what a quintal is
    assert "٢٠ ماي ٢٠١٩" in files["bulletin_ar.html"].read_text(encoding="utf-8")
    bulletin, _ = gather(world.store, world.run, world.published, world.awaiting)
    first = bulletin.in_state("irrigate")[0]
    for tr in translators_of(world.store, ["ar", "fr"]):
        message = short_message(bulletin, first, tr)
        assert message is not None
        dose = tr.number(10 * (first.amount_mm or 0.0), 0)
        assert dose in message.text and ("m3/ha" if tr.language == "fr" else "م3/هكتار") in message.text
