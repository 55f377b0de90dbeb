"""What Serve's controller calls: decisions by deployment, and never an exception."""

import pickle
from typing import Any

import pytest
from ray import cloudpickle
from ray.serve.config import AutoscalingContext, AutoscalingPolicy

from serve_app.scaling.serve_policy import ApplicationPolicy
from tests.unit.scaling.contexts import context, engine, promised

IMPORT_PATH = "serve_app.scaling.serve_policy:ApplicationPolicy"
RULES: dict[str, Any] = {"work_per_denoiser_s": 2, "denoisers_per_replica": {"Vae": 2}}


def decided(policy: ApplicationPolicy, *contexts: AutoscalingContext) -> dict[str, int]:
    targets, states = policy({each.deployment_id: each for each in contexts})
    assert states == {}
    names = {each.deployment_id: each.deployment_name for each in contexts}
    return {names[key]: target for key, target in targets.items()}


def test_every_deployment_gets_its_number() -> None:
    contexts = (
        context("Ingress", {"i": promised(3, 30, 6000)}, least=1),
        context("Denoiser", {"a": engine(3, 11.0)}),
        context("Vae"),
    )
    assert decided(ApplicationPolicy(**RULES), *contexts) == {"Denoiser": 6, "Vae": 3, "Ingress": 1}


def test_the_speed_of_denoisers_that_are_gone_is_remembered() -> None:
    policy = ApplicationPolicy(**RULES)
    decided(policy, context("Denoiser", {"a": engine(0, 0)}))
    asleep = context("Denoiser", num_running=0, target=0, now=10_000)
    promises = context("Ingress", {"i": promised(2, 20, 4000)}, now=10_000)
    assert decided(policy, promises, asleep)["Denoiser"] == 7
    assert decided(ApplicationPolicy(**RULES), promises, asleep)["Denoiser"] == 1


class Broken:
    """A context that cannot be read."""

    deployment_name = "Denoiser"

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


def test_what_goes_wrong_leaves_replicas_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    assert ApplicationPolicy()({"d": Broken()}) == ({}, {})
    assert "replicas stay as they are" in caplog.text


def test_settings_that_are_not_valid_do_not_stop_the_controller(
    caplog: pytest.LogCaptureFixture,
) -> None:
    policy = ApplicationPolicy(work_per_denoiser=2)
    assert "work_per_denoiser" in caplog.text
    assert decided(policy, context("Denoiser", {"a": engine(1, 60.0)}))["Denoiser"] == 3


def test_it_is_what_serve_can_load_from_a_config_file() -> None:
    loaded = AutoscalingPolicy(policy_function=IMPORT_PATH, policy_kwargs=RULES)
    kind = cloudpickle.loads(loaded.get_serialized_policy_def())
    again = kind(**pickle.loads(pickle.dumps(RULES)))
    assert decided(again, context("Denoiser", {"a": engine(1, 3.5)})) == {"Denoiser": 2}
