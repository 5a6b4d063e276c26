from __future__ import annotations

import math
import re
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

import agro.reports
from agro.reports.bulletin import STATES
from agro.reports.i18n import LANGUAGES, Translator
from agro.reports.weather import weather_week
from agro.schema.tables import validate

DAY = date(2021, 4, 15)


def table(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(
        rows, columns=["date", "issued_at", "is_forecast", "member", "rain_mm", "et0_mm", "source", "site_id"]
    )
    frame = frame.assign(tmin_c=8.0, tmax_c=24.0, rh_mean_pct=50.0, u2_m_s=2.0, rs_mj_m2=20.0, estimated=None)
    return validate(frame.astype({"date": "datetime64[ns]", "issued_at": "datetime64[ns]"}), "weather")


def observed(day: date, rain: float, et0: float, site: str = "a", source: str = "station") -> tuple[object, ...]:
    return (pd.Timestamp(day), pd.Timestamp(day), False, -1, rain, et0, source, site)


def test_totals_and_spread() -> None:
    rows = [observed(DAY - timedelta(days=k), 1.0 if k else 4.0, 5.0) for k in range(10)]
    rows += [observed(DAY - timedelta(days=k), 3.0 if k else 6.0, 5.0, site="b") for k in range(10)]
    for member, rain in enumerate([0.0, 1.0, 2.0, 3.0, 4.0]):
        for k in range(1, 9):  # the eighth day is beyond the bulletin
            rows.append(
                (pd.Timestamp(DAY + timedelta(days=k)), pd.Timestamp(DAY), True, member, rain, 6.0, "forecast", "a")
            )
    week = weather_week(table(rows), DAY)
    assert len(week.past) == 7 and len(week.ahead) == 7 and week.members == 5
    assert week.rain_past_mm == pytest.approx(6 * 2.0 + 5.0)  # mean of the two sites
    assert week.et0_past_mm == pytest.approx(35.0)
    assert week.rain_ahead == pytest.approx((7 * 0.4, 14.0, 7 * 3.6))
    assert week.ahead[0].rain_low_mm == pytest.approx(0.4)
    assert not week.ahead_is_trend_alone


def test_what_was_issued_later_is_not_known() -> None:
    rows = [observed(DAY - timedelta(days=k), 0.0, 5.0) for k in range(7)]
    first, second = DAY + timedelta(days=1), pd.Timestamp(DAY - timedelta(days=1))
    rows.append((pd.Timestamp(first), second, True, 0, 9.0, 5.0, "forecast", "a"))
    rows.append((pd.Timestamp(first), pd.Timestamp(DAY), True, 0, 2.0, 5.0, "forecast", "a"))
    rows.append((pd.Timestamp(first), pd.Timestamp(first), True, 0, 50.0, 5.0, "forecast", "a"))
    rows.append(observed(first, 70.0, 5.0))
    week = weather_week(table(rows), DAY)
    assert week.rain_ahead[1] == 2.0  # the newest known on the day
    assert week.rain_past_mm == 0.0 and week.past[-1].day == DAY


def test_a_gap_in_the_week_is_not_a_dry_day() -> None:
    rows = [observed(DAY - timedelta(days=k), 1.0, 5.0) for k in range(7) if k != 3]
    week = weather_week(table(rows), DAY)
    assert math.isnan(week.rain_past_mm) and math.isnan(week.past[3].rain_mm)
    assert week.ahead == () and math.isnan(week.rain_ahead[1])


@pytest.mark.parametrize(("years", "known"), [(4, False), (5, True)])
def test_normals_need_five_years(years: int, known: bool) -> None:
    rows = [observed(DAY - timedelta(days=k), 1.0, 5.0) for k in range(7)]
    for back in range(1, years + 1):
        rows += [observed(DAY.replace(year=DAY.year - back) - timedelta(days=k), float(back), 4.0) for k in range(7)]
    week = weather_week(table(rows), DAY)
    assert week.normal_years == years
    assert (week.rain_normal_mm == pytest.approx(7 * 3.0)) if known else math.isnan(week.rain_normal_mm)


def test_every_key_that_the_code_speaks_is_in_every_language() -> None:
    sources = [p.read_text(encoding="utf-8") for p in Path(agro.reports.__file__).parent.glob("*.py")]
    spoken = {key for text in sources for key in re.findall(r'tr\.text\(\s*"([a-z_0-9.]+)"', text)}
    assert len(spoken) > 80
    spoken |= {f"state.{state}" for state in STATES} | {f"stage.{s}" for s in ("growing", "peak", "declining", "ended")}
    for language in LANGUAGES:
        assert spoken <= Translator(language).keys
