"""Spans cost nothing where nobody collects them."""

import subprocess
import sys

import pytest

from serve_app.tracing import span, trace_id

LOADED = """
import sys
from serve_app.tracing import span, trace_id
with span("encode", size="64x64") as current:
    assert current is None
assert trace_id() is None
print(*[name for name in sys.modules if name.startswith("opentelemetry")])
"""


def test_without_a_collector_nothing_of_it_is_imported() -> None:
    ran = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == ""


def test_an_error_passes_through_a_span() -> None:
    with pytest.raises(ZeroDivisionError), span("encode"):
        divmod(1, 0)
    assert trace_id() is None
