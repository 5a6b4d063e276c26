"""Weather from files: station, forecast, climatology, as a chain of fallbacks."""

from agro.sources.weather.chain import WeatherResult, load_weather

__all__ = ["WeatherResult", "load_weather"]
