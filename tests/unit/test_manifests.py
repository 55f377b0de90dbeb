"""The configs and the manifests of `cluster/`, against the schemas of those who will read them."""

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import ValidationError
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import ServeDeploySchema

from cluster import render
from serve_app.config import AppConfig
from serve_app.pipeline import STAGES

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
# KubeRay's schema lies beside the checkout of those who have it; it is not ours to ship.
KUBERAY_SCHEMA = ROOT.parent / "shared" / "kuberay" / "rayservice-v1.schema.json"

Yaml = dict[str, Any]


@pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
def config(request: pytest.FixtureRequest) -> Yaml:
    return render.load_config(request.param)


@pytest.fixture
def rayservice() -> Yaml:
    manifest: Yaml = yaml.safe_load(render.RAYSERVICE.read_text())
    return manifest


@pytest.fixture(scope="module")
def kuberay_schema() -> Yaml:
    if not KUBERAY_SCHEMA.exists():
        pytest.skip(f"{KUBERAY_SCHEMA} is not on this machine")
    schema: Yaml = json.loads(KUBERAY_SCHEMA.read_text())
    return schema


def serve_config(rayservice: Yaml) -> Yaml:
    config: Yaml = yaml.safe_load(rayservice["spec"]["serveConfigV2"])
    return config


def test_there_are_configs() -> None:
    names = {"tiny", "tiny-autoscaled", "krea-1gpu", "krea-8gpu"}
    assert names <= {path.stem for path in CONFIGS}


def dropped(given: object, kept: object, where: str = "") -> list[str]:
    """Return the keys that one of Serve's models took in silence and did not keep."""
    if isinstance(given, dict) and isinstance(kept, dict):
        lost = [f"{where}{key}" for key in given if key not in kept]
        return lost + [
            path
            for key in given
            if key in kept
            for path in dropped(given[key], kept[key], f"{where}{key}.")
        ]
    if isinstance(given, list) and isinstance(kept, list):
        return [path for pair in zip(given, kept, strict=True) for path in dropped(*pair, where)]
    return []


def check_serve_config(config: Yaml) -> None:
    """Raise where Serve would refuse a config, or silently do without a part of it."""
    schema = ServeDeploySchema.model_validate(config)
    lost = dropped(config, schema.model_dump(exclude_unset=True))
    for deployment in render.deployments(config):
        # A plain mapping for the schema above; Serve looks into it when it deploys.
        scaling = deployment.get("autoscaling_config", {})
        lost += dropped(scaling, AutoscalingConfig.model_validate(scaling).model_dump())
    if lost:
        raise ValueError(f"Serve has no option {', '.join(lost)}")


def test_a_config_is_one_that_serve_deploys(config: Yaml) -> None:
    check_serve_config(config)
    (application,) = config["applications"]
    assert application["import_path"] == "serve_app.builder:build"


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ({"max_ongoing_requests": "many"}, "max_ongoing_requests"),
        (
            {"max_ongoing_request": 8},
            "Serve has no option applications.deployments.max_ongoing_request$",
        ),
        ({"ray_actor_options": {"num_gpu": 1}}, "ray_actor_options.num_gpu"),
        ({"autoscaling_config": {"min_replica": 1}}, "min_replica$"),
    ],
)
def test_a_broken_config_is_refused(config: Yaml, broken: Yaml, named: str) -> None:
    render.deployments(config)[0].update(broken)
    with pytest.raises(ValueError, match=named):
        check_serve_config(config)


def test_a_configs_args_are_an_app_config(config: Yaml) -> None:
    (application,) = config["applications"]
    AppConfig.model_validate(application["args"])
    with pytest.raises(ValidationError, match="modle"):
        AppConfig.model_validate({**application["args"], "modle": {}})


def test_a_config_names_the_builders_deployments(config: Yaml) -> None:
    named = [deployment["name"] for deployment in render.deployments(config)]
    assert sorted(named) == sorted({"Ingress", *STAGES})


def test_the_committed_rayservice_is_the_rendered_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert render.main(["--check"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("text", ["kind: RayService\n", None], ids=["changed", "absent"])
def test_a_rayservice_that_drifted_is_noticed(
    text: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(render, "RAYSERVICE", tmp_path / "rayservice.yaml")
    if text is not None:
        render.RAYSERVICE.write_text(text)
    assert render.main(["--check"]) == 1
    assert "make render" in capsys.readouterr().err
    assert render.main([]) == 0
    assert render.main(["--check"]) == 0


def test_the_rayservice_fits_kuberays_schema(rayservice: Yaml, kuberay_schema: Yaml) -> None:
    jsonschema.validate(rayservice, kuberay_schema)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_renders_to_a_rayservice(path: Path, kuberay_schema: Yaml) -> None:
    config = render.load_config(path)
    config["applications"][0]["args"].setdefault("storage", {"directory": "/media/krea-serve"})
    jsonschema.validate(render.rayservice(config), kuberay_schema)


def test_kuberay_would_refuse_a_broken_rayservice(rayservice: Yaml, kuberay_schema: Yaml) -> None:
    group = rayservice["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
    group["minReplica"] = group.pop("minReplicas")
    with pytest.raises(jsonschema.ValidationError, match="minReplica"):
        jsonschema.validate(rayservice, kuberay_schema)


def test_the_cluster_serves_the_config_but_for_host_and_pools(rayservice: Yaml) -> None:
    served = serve_config(rayservice)
    check_serve_config(served)
    expected = render.load_config()

    assert served["http_options"].pop("host") == "0.0.0.0"
    assert served["http_options"].pop("port") == 8000
    expected["http_options"].pop("host")
    expected["http_options"].pop("port")
    pools = {
        deployment["name"]: deployment["ray_actor_options"].pop("label_selector")["pool"]
        for deployment in render.deployments(served)
    }
    apart = [
        deployment["name"]
        for deployment in render.deployments(served)
        if deployment.pop("max_replicas_per_node", None) == 1
    ]

    assert apart == ["Ingress"]
    assert served == expected
    assert pools == {
        "Ingress": "cpu",
        "TextEncoder": "shared-gpu",
        "Denoiser": "whole-gpu",
        "Vae": "shared-gpu",
        "ImageWriter": "cpu",
    }


def test_each_pool_of_the_serve_config_is_a_labelled_worker_group(rayservice: Yaml) -> None:
    groups = rayservice["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    asked = {
        deployment["ray_actor_options"]["label_selector"]["pool"]
        for deployment in render.deployments(serve_config(rayservice))
    }
    assert {group["groupName"]: group["labels"]["pool"] for group in groups} == {
        pool: pool for pool in asked
    }


@pytest.mark.parametrize(
    ("group", "bound", "pods"),
    [
        # 2 ingresses and 2 image writers; at most 4, each in a pod of its own, and 16, which may
        # fill 4 pods of 4 CPUs.
        ("cpu", "min", 2),
        ("cpu", "max", 8),
        # 0.3 + 0.2 of a GPU; at most twice that.
        ("shared-gpu", "min", 1),
        ("shared-gpu", "max", 1),
        ("whole-gpu", "min", 1),
        ("whole-gpu", "max", 7),
    ],
)
def test_a_group_grows_as_far_as_its_replicas(group: str, bound: str, pods: int) -> None:
    assert render.pods_needed(render.load_config(), group, bound) == pods


@pytest.mark.parametrize("bound", ["min", "max"])
@pytest.mark.parametrize("num_ingresses", [1, 2, 5])
@pytest.mark.parametrize("num_writers", [1, 3, 4, 7])
def test_there_is_a_pod_for_each_ingress_wherever_the_writers_are(
    bound: str, num_ingresses: int, num_writers: int
) -> None:
    config = render.load_config()
    of_each = {"Ingress": num_ingresses, "ImageWriter": num_writers}
    for deployment in render.deployments(config):
        if deployment["name"] in of_each:
            deployment["autoscaling_config"][f"{bound}_replicas"] = of_each[deployment["name"]]
    num_pods = render.pods_needed(config, "cpu", bound)
    # The worst: writers came first and went to as few pods as hold them.
    num_full = num_writers // render.CPUS_PER_POD
    assert num_pods - num_full >= num_ingresses
    assert num_pods * render.CPUS_PER_POD >= num_writers + num_ingresses


def test_no_config_file_keeps_replicas_apart(config: Yaml) -> None:
    # Deployed on one machine, as each may be, it would wait for another forever.
    assert not [each for each in render.deployments(config) if "max_replicas_per_node" in each]


REDIS = ROOT / "cluster" / "gcs-redis" / "kustomization.yaml"
REDIS_ENV = "KREA_SERVE_REDIS_ADDRESS"


def patched(manifest: Yaml, kustomization: Yaml) -> Yaml:
    """Return a manifest with the additions of a kustomization, as JSON Patch has them."""
    result = copy.deepcopy(manifest)
    for patch in kustomization["patches"]:
        for operation in yaml.safe_load(patch["patch"]):
            assert operation["op"] == "add"
            *way, last = operation["path"].removeprefix("/").split("/")
            place: Any = result
            for step in way:
                place = place[int(step) if isinstance(place, list) else step]
            if last == "-":
                place.append(operation["value"])
            else:
                assert last not in place, "it would take the place of what is there"
                place[last] = operation["value"]
    return result


def with_redis(rayservice: Yaml) -> Yaml:
    return patched(rayservice, yaml.safe_load(REDIS.read_text()))


def test_redis_is_nobody_s_need(rayservice: Yaml) -> None:
    assert "redis" not in render.RAYSERVICE.read_text().lower()
    base: Yaml = yaml.safe_load((ROOT / "cluster" / "kustomization.yaml").read_text())
    assert base["resources"] == [render.RAYSERVICE.name]
    assert "components" not in base


def test_with_redis_it_fits_kuberays_schema(rayservice: Yaml, kuberay_schema: Yaml) -> None:
    jsonschema.validate(with_redis(rayservice), kuberay_schema)
    broken = with_redis(rayservice)
    options = broken["spec"]["rayClusterConfig"]["gcsFaultToleranceOptions"]
    options["redisAdress"] = options.pop("redisAddress")
    with pytest.raises(jsonschema.ValidationError, match="redisAdress"):
        jsonschema.validate(broken, kuberay_schema)


def test_address_and_password_of_redis_come_from_a_secret(rayservice: Yaml) -> None:
    cluster = with_redis(rayservice)["spec"]["rayClusterConfig"]
    options = cluster["gcsFaultToleranceOptions"]
    (container,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    sources = {each["name"]: each.get("valueFrom") for each in container["env"]}
    # Filled in by Kubernetes, from a variable that stands before the one KubeRay appends.
    assert options["redisAddress"] == f"$({REDIS_ENV})"
    assert [sources[REDIS_ENV], options["redisPassword"]["valueFrom"]] == [
        {"secretKeyRef": {"name": "krea-serve-redis", "key": key}}
        for key in ("address", "password")
    ]
    # KubeRay refuses a head that has these from elsewhere, too.
    assert not {"RAY_REDIS_ADDRESS", "REDIS_PASSWORD", "REDIS_USERNAME"} & sources.keys()


def test_the_workers_do_not_know_redis(rayservice: Yaml) -> None:
    groups = with_redis(rayservice)["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    assert groups == rayservice["spec"]["rayClusterConfig"]["workerGroupSpecs"]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
def test_kustomize_adds_redis_as_we_do(rayservice: Yaml, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "cluster", tmp_path / "cluster")
    own = tmp_path / "own"
    own.mkdir()
    text = "resources: [../cluster]\ncomponents: [../cluster/gcs-redis]\n"
    (own / "kustomization.yaml").write_text(text)
    command = ["kubectl", "kustomize", str(own)]
    built = subprocess.run(command, check=True, capture_output=True, text=True)
    assert yaml.safe_load(built.stdout) == with_redis(rayservice)


def test_a_pod_outlives_the_slowest_drain_of_its_replicas(rayservice: Yaml) -> None:
    cluster = rayservice["spec"]["rayClusterConfig"]
    pods = [group["template"]["spec"] for group in cluster["workerGroupSpecs"]]
    drains = [
        deployment.get("graceful_shutdown_timeout_s", 0)
        for deployment in render.deployments(serve_config(rayservice))
    ]
    assert all(pod["terminationGracePeriodSeconds"] > max(drains) for pod in pods)


def test_the_key_comes_from_a_secret_and_only_to_the_ingress(rayservice: Yaml) -> None:
    cluster = rayservice["spec"]["rayClusterConfig"]
    groups = [*cluster["workerGroupSpecs"], {**cluster["headGroupSpec"], "groupName": "head"}]
    holders = {
        group["groupName"]: variable
        for group in groups
        for variable in group["template"]["spec"]["containers"][0]["env"]
        if variable["name"] == "KREA_SERVE_API_KEY"
    }
    assert list(holders) == ["cpu"]
    assert "value" not in holders["cpu"]
    assert holders["cpu"]["valueFrom"]["secretKeyRef"]["name"] == "krea-serve"


def test_every_pod_reads_the_models_and_none_writes_them(rayservice: Yaml) -> None:
    cluster = rayservice["spec"]["rayClusterConfig"]
    model_path = serve_config(rayservice)["applications"][0]["args"]["model"]["path"]
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        mounts = group["template"]["spec"]["containers"][0]["volumeMounts"]
        (mount,) = [mount for mount in mounts if model_path.startswith(mount["mountPath"] + "/")]
        assert mount["readOnly"] is True


def test_ray_is_one_version_everywhere(rayservice: Yaml) -> None:
    dockerfile = (ROOT / "cluster" / "Dockerfile").read_text()
    (image,) = re.findall(r"^FROM rayproject/ray:(\S+?)-", dockerfile, flags=re.MULTILINE)
    assert image == render.pinned_version("ray")
    assert rayservice["spec"]["rayClusterConfig"]["rayVersion"] == image


def test_the_image_does_not_run_as_root() -> None:
    lines = (ROOT / "cluster" / "Dockerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users == [str(render.RAY_USER)]


def test_rendering_leaves_the_config_alone() -> None:
    config = render.load_config()
    before = copy.deepcopy(config)
    render.rayservice(config)
    assert config == before
