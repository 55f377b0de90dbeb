"""Who sends a request, and what its key allows."""

from typing import cast

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope

from serve_app.errors import AuthenticationError, PermissionDeniedError
from serve_app.records.authenticator import Authenticator
from serve_app.records.keys import ANONYMOUS, Caller, Scope


def caller_of(request: Request) -> Caller:
    """Return who sent a request to a route behind `RequireKey`."""
    return cast(Caller, request.state.caller)


def check_scope(request: Request, needed: Scope) -> None:
    """Check that a request's key allows what its body turned out to ask for.

    Raises:
        PermissionDeniedError: It does not.
    """
    _check_scope(caller_of(request), needed)


class RequireKey:
    """Lets a request pass whose key allows it, or any where the server asks for no key."""

    def __init__(
        self, app: ASGIApp, authenticator: Authenticator | None, needed: Scope | None = None
    ) -> None:
        """Guard an app; without a scope that is needed, any key will do."""
        self.app = app
        self._authenticator = authenticator
        self._needed = needed

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Handle a request, if its caller may."""
        caller = await self._caller(Headers(scope=scope).get("authorization", ""))
        if self._needed is not None:
            _check_scope(caller, self._needed)
        scope["state"]["caller"] = caller
        await self.app(scope, receive, send)

    async def _caller(self, authorization: str) -> Caller:
        if self._authenticator is None:
            return ANONYMOUS
        scheme, _, key = authorization.partition(" ")
        if authorization and scheme.lower() != "bearer":
            raise AuthenticationError(reason="scheme")
        if not key.strip():
            raise AuthenticationError(reason="missing")
        return await self._authenticator.authenticate(key.strip().encode("latin-1"))


def _check_scope(caller: Caller, needed: Scope) -> None:
    if not caller.may(needed):
        raise PermissionDeniedError(f"This API key does not have the scope '{needed}'.")
