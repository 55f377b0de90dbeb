"""What a deployment changes in its process, undone after each test, and what it tells Ray."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from ray.serve import metrics


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    logger = logging.getLogger("serve_app")
    before = logger.level
    yield
    logger.setLevel(before)


@dataclass
class Readings:
    """What Ray's own metrics were told, by name and by the values of their labels, in order."""

    values: dict[tuple[str, ...], float] = field(default_factory=dict)

    def add(self, name: str, value: float, tags: dict[str, str] | None) -> None:
        key = (name, *(tags or {}).values())
        self.values[key] = self.values.get(key, 0) + value

    def put(self, name: str, value: float, tags: dict[str, str] | None) -> None:
        self.values[name, *(tags or {}).values()] = value

    def of(self, name: str) -> dict[tuple[str, ...], float]:
        """Return a metric's values by those of its labels."""
        return {key[1:]: value for key, value in self.values.items() if key[0] == name}


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    """Notes what counters and gauges are told, once Ray has accepted it."""
    found = Readings()
    inc, put = metrics.Counter.inc, metrics.Gauge.set

    def noted_inc(self: Any, value: float = 1.0, tags: dict[str, str] | None = None) -> None:
        inc(self, value, tags)
        found.add(self.info["name"], value, tags)

    def noted_set(self: Any, value: float, tags: dict[str, str] | None = None) -> None:
        put(self, value, tags)
        found.put(self.info["name"], value, tags)

    monkeypatch.setattr(metrics.Counter, "inc", noted_inc)
    monkeypatch.setattr(metrics.Gauge, "set", noted_set)
    return found
