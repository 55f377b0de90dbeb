"""Serve's figures become seconds of work, each picture counted once."""

import pytest

from serve_app.scaling.load import DenoiserLoad
from serve_app.scaling.readings import application_load, speed_of
from serve_app.scaling.reports import EngineWork, PromisedWork
from tests.unit.scaling.contexts import FLOP_S, STEP_S, context, engine, promised

SPEED = EngineWork(overhead_s=STEP_S, s_per_flop=FLOP_S)
EACH_S = 10 * STEP_S + 2000 * FLOP_S  # a picture of 10 steps and 2000 operations


def denoisers(*contexts: object, speed: EngineWork | None = SPEED) -> DenoiserLoad:
    load = application_load(contexts, speed)
    assert load is not None
    return load.denoiser


def test_work_at_denoisers_is_what_is_left_of_it() -> None:
    reports = {"a": engine(2, 11.0), "b": engine(1, 4.0)}
    load = denoisers(
        context("Ingress", {"i": promised(3, 30, 6000)}),
        context("Denoiser", reports, num_running=2),
    )
    assert (load.num_pictures, load.work_s) == (3, 15.0)


def test_what_is_promised_and_not_at_a_denoiser_waits_for_one() -> None:
    ingresses = {"i": promised(3, 30, 6000), "j": promised(2, 20, 4000)}
    load = denoisers(context("Ingress", ingresses), context("Denoiser", {"a": engine(1, 4.0)}))
    assert load.num_pictures == 5
    assert load.work_s == pytest.approx(4.0 + 4 * EACH_S)


def test_what_is_decoded_or_written_needs_no_denoiser() -> None:
    load = denoisers(
        context("Ingress", {"i": promised(3, 30, 6000)}),
        context("Denoiser", {"a": engine(1, 4.0)}),
        context("Vae", num_requests=1),
        context("ImageWriter", num_requests=1),
    )
    assert (load.num_pictures, load.work_s) == (1, 4.0)


def test_pictures_of_an_unanswered_request_need_no_denoiser_once_they_are_written() -> None:
    # A request of eight, of which the ingress has seven and the last is being denoised.
    load = denoisers(
        context("Ingress", {"i": promised(1, 10, 2000)}),
        context("Denoiser", {"a": engine(1, 4.0)}),
    )
    assert (load.num_pictures, load.work_s) == (1, 4.0)


def test_requests_in_serves_queue_count_whatever_is_promised() -> None:
    load = denoisers(context("Ingress"), context("Denoiser", {"a": engine(1, 4.0)}, num_queued=7))
    assert load.num_pictures == 8


def test_promises_are_known_while_no_denoiser_runs() -> None:
    asleep = context("Denoiser", num_running=0, target=0)
    load = denoisers(context("Ingress", {"i": promised(2, 20, 4000)}), asleep)
    assert load.work_s == pytest.approx(2 * EACH_S)
    unknown = denoisers(context("Ingress", {"i": promised(2, 20, 4000)}), asleep, speed=None)
    assert (unknown.num_pictures, unknown.work_s) == (2, None)


def test_arrivals_are_seconds_of_work_per_second() -> None:
    report = PromisedWork(steps_per_s=2.0, flops_per_s=500.0).numbers()
    load = denoisers(context("Ingress", {"i": report, "j": report}), context("Denoiser"))
    assert load.arriving == pytest.approx(2 * (2.0 * STEP_S + 500.0 * FLOP_S))


def test_the_speed_is_that_of_a_denoiser_that_has_learned_it() -> None:
    new = EngineWork().numbers()
    contexts = [context("Vae"), context("Denoiser", {"a": new, "b": engine(0, 0)})]
    speed = speed_of(contexts)
    assert speed is not None
    assert (speed.overhead_s, speed.s_per_flop) == (STEP_S, FLOP_S)
    assert speed_of([context("Denoiser", {"a": new})]) is None


def test_an_application_without_scaled_denoisers_is_not_ours() -> None:
    assert application_load([context("Vae")], SPEED) is None
