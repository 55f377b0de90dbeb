"""Where clients reach this server, as far as a request can tell."""

import re

from starlette.requests import Request

# A name or an address, perhaps a port: nothing that could lead a URL elsewhere.
_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_SCHEMES = ("http", "https")


def public_base_url(request: Request, configured: str | None) -> str:
    """Return the start of every URL of this server, without a slash at the end.

    Args:
        request: Its `X-Forwarded-Host` and `X-Forwarded-Proto` count, then its `Host`.
        configured: What the configuration says, which outranks them.
    """
    if configured is not None:
        return configured.rstrip("/")
    root_path = request.scope.get("root_path", "").rstrip("/")
    return f"{_scheme(request)}://{_host(request)}{root_path}"


def _scheme(request: Request) -> str:
    forwarded = _first(request, "x-forwarded-proto").lower()
    return forwarded if forwarded in _SCHEMES else request.scope.get("scheme", "http")


def _host(request: Request) -> str:
    for header in ("x-forwarded-host", "host"):
        host = _first(request, header)
        if _HOST.fullmatch(host):
            return host
    name, port = request.scope.get("server") or ("localhost", None)
    return name if port is None else f"{name}:{port}"


def _first(request: Request, header: str) -> str:
    """Return the first of a list of values: each proxy on the way appends its own."""
    return request.headers.get(header, "").partition(",")[0].strip()
