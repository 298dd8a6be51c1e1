"""How all tests run: a slow machine is no failure, and no property test measures time."""

from hypothesis import HealthCheck, settings

settings.register_profile("dougong", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dougong")
