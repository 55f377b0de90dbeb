"""OpenTelemetry spans, where somebody collects them; elsewhere nothing of it is even imported.

Serve makes spans of its own, of each request and of each call between replicas, and carries their
context along: from the client's `traceparent` to the last stage. It asks `span_processors` where
they go, in each of its processes. Ours are inside: what a replica did with a call.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from serve_app.errors import StartError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span

# What Serve's processes read (`RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH`).
EXPORTER = f"{__name__}:span_processors"

_is_on = False


def span_processors() -> list[SpanProcessor]:
    """Return where this process's spans go: by OTLP to whom the `OTEL_…` variables name."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    global _is_on
    _is_on = True
    return [BatchSpanProcessor(OTLPSpanExporter())]


def check_exporter() -> None:
    """Raise a StartError when spans shall be sent and what sends them is not installed."""
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter  # noqa: F401
    except ImportError as error:
        raise StartError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but its exporter is not installed:"
            " pip install 'krea-serve[tracing]'"
        ) from error


@contextmanager
def span(name: str, **attributes: str | int) -> Iterator[Span | None]:
    """Make a span of the block, within the one that is open; yields None where nobody collects.

    It does not become the open one: a generator may be left in another context than it began in.

    Args:
        name: Of the span.
        attributes: Nothing that a client wrote: a collector is no place for prompts.
    """
    if not _is_on:
        yield None
        return
    from opentelemetry import trace

    named = {f"krea_serve.{key}": value for key, value in attributes.items()}
    current = trace.get_tracer(__name__).start_span(name, attributes=named)
    try:
        yield current
    except BaseException as error:
        # Its class alone: a sentence may quote what a client sent.
        current.set_status(trace.StatusCode.ERROR, type(error).__name__)
        raise
    finally:
        current.end()


def trace_id() -> str | None:
    """Return the id of the trace that this is part of, 32 hex digits; None where there is none."""
    if not _is_on:
        return None
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    return format(context.trace_id, "032x") if context.is_valid else None
