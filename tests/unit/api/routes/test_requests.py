"""The history over HTTP: pages, filters, a summary, and the end of a request's pictures."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.unit.api.conftest import MakeClient
from tests.unit.api.drawing import Drawing

PATH = "/v1/images/generations"
BODY: dict[str, Any] = {"prompt": "a large red circle", "size": "64x64"}


@pytest.fixture
async def five(client: httpx.AsyncClient) -> list[str]:
    """The ids of five finished requests, the newest first."""
    ids = [(await client.post(PATH, json=BODY)).json()["id"] for _ in range(5)]
    return ids[::-1]


async def listed(client: httpx.AsyncClient, **params: Any) -> dict[str, Any]:
    response = await client.get("/v1/requests", params=params)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def ids(document: dict[str, Any]) -> list[str]:
    return [entry["id"] for entry in document["data"]]


async def test_without_requests_there_is_an_empty_list(client: httpx.AsyncClient) -> None:
    assert await listed(client) == {
        "object": "list",
        "data": [],
        "next_page_url": None,
        "previous_page_url": None,
    }


async def test_the_newest_come_first(client: httpx.AsyncClient, five: list[str]) -> None:
    assert ids(await listed(client)) == five


async def test_pages_lead_there_and_back(client: httpx.AsyncClient, five: list[str]) -> None:
    first = await listed(client, limit=2, status="completed")
    assert (ids(first), first["previous_page_url"]) == (five[:2], None)
    second = (await client.get(first["next_page_url"])).json()
    third = (await client.get(second["next_page_url"])).json()
    assert (ids(second), ids(third), third["next_page_url"]) == (five[2:4], five[4:], None)
    assert (await client.get(third["previous_page_url"])).json()["data"] == second["data"]
    assert urlsplit(first["next_page_url"]).netloc == "krea.test"
    assert "status=completed" in second["previous_page_url"]


async def test_a_page_url_is_where_the_client_reaches_us(
    client: httpx.AsyncClient, five: list[str]
) -> None:
    headers = {"x-forwarded-host": "images.example", "x-forwarded-proto": "https"}
    response = await client.get("/v1/requests", params={"limit": 1}, headers=headers)
    assert response.json()["next_page_url"].startswith("https://images.example/v1/requests?")


@pytest.mark.parametrize(
    ("params", "count"),
    [
        ({}, 5),
        ({"limit": 3}, 3),
        ({"status": "rejected"}, 0),
        ({"key_id": "kr_aaaaaaaa"}, 0),
        ({"created_after": "2020-01-01"}, 5),
        ({"created_before": "2020-01-01T00:00:00Z"}, 0),
        ({"created_after": "4102444800"}, 0),
        ({"created_before": "2099-12-31T23:59:59+14:00"}, 5),
        ({"created_before": "0001-01-01T00:00:00+14:00"}, 0),
        ({"unknown": "1", "limit": ""}, 5),
    ],
)
async def test_filters(
    client: httpx.AsyncClient, five: list[str], params: dict[str, Any], count: int
) -> None:
    if params.get("limit") == "":
        params = params | {"limit": "20"}
    assert len((await listed(client, **params))["data"]) == count


async def test_a_summary_is_of_all_pages(client: httpx.AsyncClient, five: list[str]) -> None:
    document = await listed(client, limit=1, summary="true")
    assert document["summary"] == {"count": 5, "total_cost": 0.125, "currency": "usd"}
    assert "summary" not in await listed(client, summary="false")


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"status": "done"}, "status"),
        ({"summary": "yes"}, "summary"),
        ({"created_after": "yesterday"}, "created_after"),
        ({"created_before": "99999-01-01"}, "created_before"),
        ({"starting_after": "req_none"}, "starting_after"),
        ({"starting_after": "a\0"}, "starting_after"),
        ({"starting_after": "a", "ending_before": "b"}, "starting_after"),
    ],
)
async def test_bad_queries_name_their_parameter(
    client: httpx.AsyncClient, params: dict[str, str], param: str
) -> None:
    response = await client.get("/v1/requests", params=params)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


async def test_one_request(client: httpx.AsyncClient, five: list[str]) -> None:
    response = await client.get(f"/v1/requests/{five[2]}")
    assert response.json() == (await listed(client))["data"][2]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_no_such_request(client: httpx.AsyncClient, method: str) -> None:
    path = "/v1/requests/req_none" + ("/payloads" if method == "DELETE" else "")
    response = await client.request(method, path)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_a_purge_takes_the_pictures_and_the_kept_answer(
    client: httpx.AsyncClient,
) -> None:
    headers = {"Idempotency-Key": "order-1"}
    body = BODY | {"n": 2}
    answer = (await client.post(PATH, json=body, headers=headers)).json()
    urls = [image["url"] for image in answer["data"]]
    assert [(await client.get(url)).status_code for url in urls] == [200, 200]
    other = (await client.post(PATH, json=BODY)).json()["data"][0]["url"]
    purged = await client.delete(f"/v1/requests/{answer['id']}/payloads")
    assert (purged.status_code, purged.content) == (204, b"")
    assert [(await client.get(url)).status_code for url in urls] == [404, 404]
    assert (await client.get(other)).status_code == 200
    assert (await client.get(f"/v1/requests/{answer['id']}")).json()["status"] == "completed"
    again = await client.post(PATH, json=body, headers=headers)
    assert "idempotent-replayed" not in again.headers
    assert (await client.delete(f"/v1/requests/{answer['id']}/payloads")).status_code == 204


async def test_the_history_is_lumenfall_s_and_not_openai_s(client: httpx.AsyncClient) -> None:
    assert (await client.get("/openai/v1/requests")).status_code == 404


async def test_the_balance_has_no_end(make_client: MakeClient) -> None:
    async with make_client(api_key="sk-right") as client:
        assert (await client.get("/v1/balance")).status_code == 401
        headers = {"authorization": "Bearer sk-right"}
        assert (await client.get("/v1/balance", headers=headers)).json() == {
            "object": "balance",
            "billing_type": "postpaid",
            "available": {"amount": None, "currency": "usd"},
        }


async def test_what_still_runs_cannot_be_purged(
    client: httpx.AsyncClient, drawing: Drawing
) -> None:
    drawing.is_endless = True
    asking = asyncio.create_task(client.post(PATH, json=BODY))
    await drawing.started.wait()
    async with asyncio.timeout(20):
        while not (entries := (await listed(client))["data"]):
            await asyncio.sleep(0.01)
    refused = await client.delete(f"/v1/requests/{entries[0]['id']}/payloads")
    assert (refused.status_code, "still running" in refused.text) == (400, True)
    asking.cancel()
    await asyncio.wait([asking])
    purged = await client.delete(f"/v1/requests/{entries[0]['id']}/payloads")
    assert purged.status_code == 204


async def test_a_page_s_address_keeps_what_was_asked(
    client: httpx.AsyncClient, five: list[str]
) -> None:
    asked = {"limit": "2", "created_before": "2099-12-31T23:59:59+14:00"}
    page = await listed(client, **asked)
    query = httpx.URL(page["next_page_url"]).params
    assert dict(query) == asked | {"starting_after": five[1]}
