"""GET /v1/balance: Lumenfall's clients ask for it; on one's own cluster nothing is prepaid."""

from starlette.requests import Request
from starlette.responses import Response

from serve_app.api.answers.documents import document_response
from serve_app.api.answers.schema import AvailableBalance, Balance


async def get_balance(request: Request) -> Response:
    """Answer that there is no balance to run out of."""
    return document_response(Balance(available=AvailableBalance()), keeps_none=True)
