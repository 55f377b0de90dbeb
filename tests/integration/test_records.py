"""What several ingress replicas and the command line share: keys, history, repeated requests."""

import time
from collections.abc import Callable

import httpx
import pytest

from tests.integration.test_dag import replicas

PATH = "/v1/images/generations"
BODY = {"prompt": "a large red circle on a blue background", "size": "256x256", "seed": 3}


def eventually(is_so: Callable[[], bool]) -> bool:
    """Whether something becomes so within a minute."""
    ends_at = time.monotonic() + 60
    while time.monotonic() < ends_at:
        if is_so():
            return True
        time.sleep(0.1)
    return False


def test_a_repeated_request_is_answered_and_not_run_again(client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "order-1"}
    first = client.post(PATH, json=BODY, headers=headers)
    again = client.post(PATH, json=BODY, headers=headers)
    assert first.status_code == 200
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-lumenfall-request-id"] == first.json()["id"]


def test_a_request_is_in_the_history_when_its_answer_is_there(client: httpx.Client) -> None:
    answer = client.post(PATH, json=BODY | {"n": 2})
    entry = client.get(f"/v1/requests/{answer.json()['id']}").json()
    assert (entry["status"], entry["cost"]) == ("completed", 0.05)
    assert entry["response_size_bytes"] == len(answer.content)
    assert client.get("/v1/requests").json()["data"][0] == entry


def test_a_client_that_leaves_has_cancelled_its_request(client: httpx.Client) -> None:
    slow = BODY | {"size": "1024x1024", "num_inference_steps": 50, "n": 4}
    with pytest.raises(httpx.ReadTimeout):
        client.post(PATH, json=slow, timeout=httpx.Timeout(60, read=1.0))
    assert eventually(lambda: newest(client)["status"] != "processing")
    entry = newest(client)
    assert (entry["status"], entry["cost"]) == ("cancelled", 0)


def test_a_purged_picture_is_gone(client: httpx.Client) -> None:
    answer = client.post(PATH, json=BODY).json()
    url = answer["data"][0]["url"]
    assert client.get(url).status_code == 200
    assert client.delete(f"/v1/requests/{answer['id']}/payloads").status_code == 204
    assert client.get(url).status_code == 404


def test_the_history_survives_its_replica(client: httpx.Client) -> None:
    request_id = client.post(PATH, json=BODY).json()["id"]
    for replica in replicas("Ingress"):
        replica.kill()
    found = f"/v1/requests/{request_id}"
    assert eventually(lambda: client.get(found).status_code == 200)
    assert client.get(found).json()["status"] == "completed"


def newest(client: httpx.Client) -> dict[str, object]:
    entry: dict[str, object] = client.get("/v1/requests").json()["data"][0]
    return entry
