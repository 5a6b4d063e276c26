"""Weather providers on this machine: one invented weather, told in the form of each provider."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pandas as pd
from protocol_server import ProtocolServer, Received, Reply

#: Archive and POWER end so many days before the present one.
LAG_D = 5

UNITS = {
    "temperature_2m_max": "°C", "temperature_2m_min": "°C", "precipitation_sum": "mm", "shortwave_radiation_sum": "MJ/m²",
    "wind_speed_10m_mean": "m/s", "dew_point_2m_mean": "°C", "relative_humidity_2m_mean": "%",
}  # fmt: skip
POWER_UNITS = {
    "T2M_MAX": "C", "T2M_MIN": "C", "PRECTOTCORR": "mm/day", "ALLSKY_SFC_SW_DWN": "MJ/m^2/day", "WS2M": "m/s",
    "T2MDEW": "C", "RH2M": "%",
}  # fmt: skip


def weather_of(day: date) -> dict[str, float]:
    """The invented weather of a day."""
    k = day.toordinal() % 10
    return {
        "tmax": 20.0 + k / 2, "tmin": 8.0 + k / 4, "rain": float(k % 3), "rs": 15.0 + k / 10, "wind": 3.0, "tdew": 6.0, "rh": 55.0,
    }  # fmt: skip


class WeatherServer(ProtocolServer):
    """Open-Meteo (archive, forecast, ensemble, runs) and NASA POWER on the day `now`.

    Forecast values carry their issue day: the maximum is 30 plus a hundredth of the day's number in the year.
    """

    def __init__(self, now: date) -> None:
        super().__init__()
        self.now = now
        self.members = 5
        self.route("/archive", self._archive)
        self.route("/forecast", lambda request: self._forecast(request, self.now))
        self.route("/ensemble", lambda request: self._forecast(request, self.now, self.members))
        self.route("/runs", self._run)
        self.route("/power", self._power)

    @property
    def openmeteo(self) -> dict[str, str]:
        """Options that lead Open-Meteo here."""
        return {
            "url": f"{self.url}/forecast", "archive_url": f"{self.url}/archive", "ensemble_url": f"{self.url}/ensemble",
            "runs_url": f"{self.url}/runs",
        }  # fmt: skip

    def _archive(self, request: Received) -> Reply:
        last = date.fromisoformat(request.query["end_date"])
        if last > self.now:
            return Reply({"error": True, "reason": "Parameter 'end_date' is out of allowed range"}, 400)

        def value(day: date, name: str, _member: int) -> float | None:
            return None if day > self.now - timedelta(days=LAG_D) else _true(day, name)

        return self._document(request, _span(request), value)

    def _forecast(self, request: Received, issued: date, members: int = 0) -> Reply:
        days = _span(request)
        if days[-1] > issued + timedelta(days=15) or days[0] < issued - timedelta(days=92):
            return Reply({"error": True, "reason": "Parameter 'start_date' is out of allowed range"}, 400)
        return self._document(
            request, days, lambda day, name, member: _forecast_value(day, name, member, issued), members
        )

    def _run(self, request: Received) -> Reply:
        issued = date.fromisoformat(request.query["run"][:10])
        days = [issued + timedelta(days=k) for k in range(int(request.query["forecast_days"]))]
        return self._document(request, days, lambda day, name, member: _forecast_value(day, name, member, issued))

    def _document(
        self, request: Received, days: list[date], value: Callable[[date, str, int], float | None], members: int = 0
    ) -> Reply:
        assert request.query["wind_speed_unit"] == "ms" and request.query["timezone"] == "Africa/Casablanca"
        names = request.query["daily"].split(",")
        columns = {name: [value(day, name, 0) for day in days] for name in names}
        for member in range(1, members + 1):
            columns |= {f"{name}_member{member:02d}": [value(day, name, member) for day in days] for name in names}
        units = {key: UNITS[re.sub(r"_member\d+$", "", key)] for key in columns}
        return Reply(
            {
                "latitude": 31.7, "longitude": -7.7, "timezone": request.query["timezone"],
                "daily_units": {"time": "iso8601", **units}, "daily": {"time": [str(day) for day in days], **columns},
            }
        )  # fmt: skip

    def _power(self, request: Received) -> Reply:
        if request.query["community"] != "AG" or request.query["format"] != "JSON":
            return Reply({"messages": ["wrong community"]}, 422)
        days = pd.date_range(request.query["start"], request.query["end"])

        def value(day: date, name: str) -> float:
            # Radiation comes two days after the rest.
            late = LAG_D if name == "ALLSKY_SFC_SW_DWN" else LAG_D - 2
            return -999.0 if day > self.now - timedelta(days=late) else _true(day, name)

        names = request.query["parameters"].split(",")
        return Reply(
            {
                "type": "Feature",
                "properties": {
                    "parameter": {name: {f"{day:%Y%m%d}": value(day.date(), name) for day in days} for name in names}
                },
                "header": {"title": "NASA/POWER Source Native Resolution Daily Data", "fill_value": -999.0},
                "messages": [], "parameters": {name: {"units": POWER_UNITS[name]} for name in names},
            }
        )  # fmt: skip


def _span(request: Received) -> list[date]:
    return [day.date() for day in pd.date_range(request.query["start_date"], request.query["end_date"])]


def _true(day: date, name: str) -> float:
    known: dict[str, Any] = weather_of(day)
    ours = {
        "temperature_2m_max": "tmax", "temperature_2m_min": "tmin", "precipitation_sum": "rain",
        "shortwave_radiation_sum": "rs", "wind_speed_10m_mean": "wind", "dew_point_2m_mean": "tdew",
        "relative_humidity_2m_mean": "rh", "T2M_MAX": "tmax", "T2M_MIN": "tmin", "PRECTOTCORR": "rain",
        "ALLSKY_SFC_SW_DWN": "rs", "WS2M": "wind", "T2MDEW": "tdew", "RH2M": "rh",
    }  # fmt: skip
    return float(known[ours[name]])


def _forecast_value(day: date, name: str, member: int, issued: date) -> float:
    if day <= issued:
        return _true(day, name)
    if name == "temperature_2m_max":
        return round(30 + issued.timetuple().tm_yday / 100, 2)
    return float(member) if name == "precipitation_sum" else _true(day, name)
