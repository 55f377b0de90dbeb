"""Limits that two ingress processes keep together, also while the Limiter is dead."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import openai
import psutil
import pytest
import yaml
from ray import serve
from ray.serve import Deployment

from serve_app.config import AppConfig
from serve_app.deployments.ingress import Ingress
from serve_app.deployments.limiter import Limiter
from serve_app.model_facts import read_model_facts
from tests.integration.conftest import CONFIG, Server, own_places, stage_handles

APP = "limited"
LITTLE = {"ray_actor_options": {"num_cpus": 0.1}}

KREA_SERVE = str(Path(sys.executable).with_name("krea-serve"))
PATH = "/v1/images/generations"
QUICK = {"prompt": "a red circle", "size": "64x64", "num_inference_steps": 1}
SLOW = {"prompt": "a red circle", "size": "1024x1024", "num_inference_steps": 50}

REQUESTS, IMAGES, CONCURRENT_REQUESTS = 6, 8, 3


@dataclass(frozen=True)
class LimitedServer:
    """Two ingresses and a Limiter of their own, before the stages of the application."""

    url: str
    config: Path

    def replicas(self, deployment: str) -> list[psutil.Process]:
        """Return the processes of a deployment, all of which descend from this one."""
        name = f"ServeReplica:{APP}:{deployment}"
        return [each for each in psutil.Process().children(recursive=True) if name in title(each)]

    def client(self) -> httpx.Client:
        """Return a client with a key that nobody has used."""
        command = [KREA_SERVE, "keys", "create", "test", "--config", str(self.config)]
        made = subprocess.run(command, check=True, capture_output=True, text=True)
        headers = {"Authorization": f"Bearer {made.stdout.strip()}", "Connection": "close"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=120)


MakeClient = Callable[[], httpx.Client]


def title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def limited_args(folder: Path) -> dict[str, Any]:
    """Return the `args` of an application with low limits."""
    places = own_places(folder)
    return places | {
        "records": dict(places["records"], require_key=True),  # type: ignore[call-overload]
        "limits": {
            "requests_per_minute": REQUESTS,
            "images_per_minute": IMAGES,
            "max_concurrent_requests": CONCURRENT_REQUESTS,
        },
    }


@pytest.fixture(scope="module")
def limited(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LimitedServer]:
    folder = tmp_path_factory.mktemp("limited")
    args = limited_args(folder)
    file = folder / "limited.yaml"  # for `krea-serve keys`
    document = yaml.safe_load(CONFIG.read_text())
    document["applications"][0]["args"] |= args
    file.write_text(yaml.safe_dump(document))
    config = AppConfig.model_validate(args)
    ingress = cast(Deployment, serve.deployment(Ingress, num_replicas=2, **LITTLE)).bind(
        config,
        read_model_facts(config.model.directory),
        limiter=cast(Deployment, serve.deployment(Limiter, **LITTLE)).bind(config.limits),
        **stage_handles(),
    )
    serve.run(ingress, name=APP, route_prefix=f"/{APP}")
    yield LimitedServer(f"{server.url}/{APP}", file)
    serve.delete(APP)


@pytest.fixture
def client(limited: LimitedServer) -> Iterator[httpx.Client]:
    with limited.client() as client:
        yield client


def wait_until(is_true: Callable[[], bool], timeout_s: float) -> None:
    ends_at_s = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < ends_at_s
        time.sleep(0.5)


def sent(client: httpx.Client, num_requests: int, **body: object) -> list[httpx.Response]:
    """Send requests one after another, each over a connection of its own."""
    return [client.post(PATH, json=QUICK | body) for _ in range(num_requests)]


def statuses(answers: list[httpx.Response]) -> list[int]:
    return [answer.status_code for answer in answers]


def remaining(answer: httpx.Response, meter: str = "requests") -> int:
    return int(answer.headers[f"x-ratelimit-remaining-{meter}"])


def test_there_are_two_ingresses_and_one_limiter(limited: LimitedServer) -> None:
    assert len(limited.replicas("Ingress")) == 2
    assert len(limited.replicas("Limiter")) == 1


def test_two_ingresses_keep_one_limit(client: httpx.Client) -> None:
    answers = sent(client, REQUESTS + 4)
    assert statuses(answers) == [200] * REQUESTS + [429] * 4
    assert [remaining(answer) for answer in answers] == [5, 4, 3, 2, 1, 0, 0, 0, 0, 0]
    refused = answers[-1]
    assert refused.json()["error"]["code"] == "RATE_LIMITED"
    assert 1 <= int(refused.headers["retry-after"]) <= 60


def test_the_official_client_knows_the_error(limited: LimitedServer, client: httpx.Client) -> None:
    sent(client, REQUESTS)
    key = client.headers["Authorization"].removeprefix("Bearer ")
    with (
        openai.OpenAI(base_url=f"{limited.url}/v1", api_key=key, max_retries=0) as official,
        pytest.raises(openai.RateLimitError) as refused,
    ):
        official.images.generate(prompt="a red circle")
    assert refused.value.code == "RATE_LIMITED"


def test_one_key_has_nothing_to_do_with_another(limited: LimitedServer) -> None:
    with limited.client() as greedy, limited.client() as modest:
        assert statuses(sent(greedy, REQUESTS + 2))[-1] == 429
        assert statuses(sent(modest, 1)) == [200]


def test_images_are_counted_each(client: httpx.Client) -> None:
    answers = sent(client, 2, n=IMAGES // 2)
    assert [remaining(answer, "images") for answer in answers] == [IMAGES // 2, 0]
    assert statuses(sent(client, 1)) == [429]


def test_more_images_than_a_minute_has_are_a_wrong_value(client: httpx.Client) -> None:
    (answer,) = sent(client, 1, n=IMAGES + 1)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "n"
    assert "x-ratelimit-limit-images" not in answer.headers


def test_what_makes_no_picture_does_not_count(client: httpx.Client) -> None:
    assert client.post(f"{PATH}?dryRun=true", json=QUICK).status_code == 200
    assert client.post(PATH, json=QUICK | {"size": "no"}).status_code == 400
    assert client.get("/v1/models").status_code == 200
    assert client.post("/v1/images/variations").status_code == 404
    repeated = [
        client.post(PATH, json=QUICK, headers={"Idempotency-Key": "order-1"}) for _ in range(3)
    ]
    assert statuses(repeated) == [200] * 3
    assert remaining(sent(client, 1)[0]) == REQUESTS - 2


def test_a_stream_says_what_is_left_before_it_begins(client: httpx.Client) -> None:
    body = QUICK | {"stream": True, "partial_images": 1}
    with client.stream("POST", PATH, json=body) as answer:
        assert remaining(answer) == REQUESTS - 1
        assert "image_generation.completed" in answer.read().decode()


def test_requests_at_a_time_are_limited_and_their_places_come_back(client: httpx.Client) -> None:
    with ThreadPoolExecutor(CONCURRENT_REQUESTS) as threads:
        slow = [threads.submit(client.post, PATH, json=SLOW) for _ in range(CONCURRENT_REQUESTS)]
        time.sleep(1)
        (refused,) = sent(client, 1)
        assert [each.result().status_code for each in slow] == [200] * CONCURRENT_REQUESTS
    assert refused.status_code == 429
    assert refused.json()["error"]["message"].endswith("Limit: 3 requests at a time.")
    time.sleep(0.3)
    assert statuses(sent(client, 1)) == [200]


def test_a_client_that_leaves_gives_its_place_back(client: httpx.Client) -> None:
    for _ in range(CONCURRENT_REQUESTS):
        with pytest.raises(httpx.ReadTimeout):
            client.post(PATH, json=SLOW, timeout=0.5)
    time.sleep(2)
    assert statuses(sent(client, 1)) == [200]


def test_requests_go_on_while_the_limiter_is_dead_and_are_limited_again_after_it(
    limited: LimitedServer, client: httpx.Client
) -> None:
    answers = sent(client, 2)
    (limiter,) = limited.replicas("Limiter")
    stopped = threading.Event()

    def keep_killing() -> None:
        while not stopped.wait(0.2):
            for replica in limited.replicas("Limiter"):
                replica.send_signal(signal.SIGKILL)

    limiter.send_signal(signal.SIGKILL)
    killer = threading.Thread(target=keep_killing)
    killer.start()
    answers += sent(client, 3 * REQUESTS)
    stopped.set()
    killer.join()
    assert set(statuses(answers)) == {200, 429}
    assert REQUESTS <= statuses(answers).count(200) <= 2 * REQUESTS
    assert all(remaining(answer) >= 0 for answer in answers)

    wait_until(lambda: len(limited.replicas("Limiter")) == 1, 60)
    time.sleep(5)
    with limited.client() as other:
        assert statuses(sent(other, REQUESTS + 2)) == [200] * REQUESTS + [429] * 2


def test_the_refusals_are_in_the_history(client: httpx.Client) -> None:
    sent(client, REQUESTS + 1)
    newest = client.get("/v1/requests").json()["data"][0]
    assert (newest["status"], newest["error_code"]) == ("rejected", "RATE_LIMITED"), json.dumps(
        newest
    )
