"""Weather from files and providers: station, forecast, climatology, Open-Meteo, NASA POWER, ERA5-Land, as a chain of fallbacks."""

from agro.sources.weather.chain import WeatherResult, check_options, load_weather

__all__ = ["WeatherResult", "check_options", "load_weather"]
