"""Adapters are read once, aside from the engine, and stay as long as somebody uses them."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from serve_app.engine.adapter_store import AdapterLease, AdapterStore
from serve_app.engine.adapters import Adapter, PictureAdapters
from serve_app.errors import InvalidRequestError, OverloadedError, StageFailedError
from serve_app.messages import Lora
from serve_app.stages.lora_file import linear_shapes, open_lora
from serve_app.stages.transformer import TransformerStage
from tests.unit.stages.lora_files import random_lora, save_lora

LAYER = "transformer_blocks.0.attn.to_q"
NUM_BYTES = 4 * (4 * 32 + 32 * 4)  # of rank 4 on that layer, in float32
NAMES = ("a", "b", "c", "d")
PATIENCE_S = 60

MakeStore = Callable[..., AdapterStore]


@pytest.fixture
def catalogue(transformer: TransformerStage, tmp_path: Path) -> dict[str, Path]:
    shapes = linear_shapes(transformer.transformer)
    return {
        name: save_lora(tmp_path / f"{name}.safetensors", random_lora(shapes, [LAYER], seed=seed))
        for seed, name in enumerate(NAMES)
    }


@pytest.fixture
def make_store(transformer: TransformerStage, catalogue: dict[str, Path]) -> Iterator[MakeStore]:
    stores = []

    def make_store(max_bytes: int = 10**6, max_adapters: int = 4) -> AdapterStore:
        stores.append(AdapterStore(catalogue, transformer, max_bytes, max_adapters))
        return stores[-1]

    yield make_store
    for store in stores:
        store.close()


class Hold:
    """Keeps a store's loader busy until it is let go."""

    def __init__(self, store: AdapterStore) -> None:
        self._let_go = threading.Event()
        store._loader.submit(self._let_go.wait, PATIENCE_S)

    def let_go(self) -> None:
        self._let_go.set()


def adapters_of(lease: AdapterLease) -> PictureAdapters:
    return lease.ready.result(PATIENCE_S)


def used(store: AdapterStore, *names: str) -> list[Adapter]:
    """Use adapters for a moment, one after the other."""
    adapters = []
    for name in names:
        with store.acquire([Lora(name)]) as lease:
            adapters.append(adapters_of(lease)[0].adapter)
    return adapters


def test_a_requests_adapters_in_its_order(
    make_store: MakeStore, catalogue: dict[str, Path], transformer: TransformerStage
) -> None:
    with make_store().acquire([Lora("b", 0.5), Lora("a", -1), Lora("b", 2)]) as lease:
        adapters = adapters_of(lease)
    assert [(one.adapter.name, one.scale) for one in adapters] == [("b", 0.5), ("a", -1), ("b", 2)]
    assert adapters[0].adapter is adapters[2].adapter
    with open_lora(catalogue["a"], linear_shapes(transformer.transformer)) as lora:
        expected = lora.read(torch.float32, torch.device("cpu"))
    assert adapters[1].adapter.num_bytes == NUM_BYTES
    assert adapters[1].adapter.factors.keys() == expected.keys() == {LAYER}
    assert torch.equal(adapters[1].adapter.factors[LAYER].up, expected[LAYER].up)


def test_adapters_come_in_the_transformers_dtype(
    flux_directory: Path, catalogue: dict[str, Path]
) -> None:
    half = TransformerStage.load(flux_directory, torch.bfloat16, torch.device("cpu"))
    store = AdapterStore(catalogue, half, 10**6, 4)
    (adapter,) = used(store, "a")
    store.close()
    assert adapter.factors[LAYER].down.dtype == torch.bfloat16
    assert adapter.num_bytes == NUM_BYTES / 2


def test_no_adapters_are_ready_at_once(make_store: MakeStore) -> None:
    store = make_store()
    hold = Hold(store)
    assert store.acquire([]).ready.result(0) == ()
    assert store.acquire([Lora("a", 0)]).ready.result(0) == ()
    hold.let_go()


def test_asking_never_waits_for_a_file(make_store: MakeStore) -> None:
    store = make_store()
    (adapter,) = used(store, "a")
    hold = Hold(store)
    asked = store.acquire([Lora("b")])
    assert not asked.ready.done()
    # What is there already does not wait for what is not.
    assert store.acquire([Lora("a")]).ready.result(0)[0].adapter is adapter
    hold.let_go()
    assert adapters_of(asked)[0].adapter.name == "b"


def test_many_who_ask_at_once_get_the_same_adapter(make_store: MakeStore) -> None:
    store = make_store()
    hold = Hold(store)
    with ThreadPoolExecutor(8) as threads:
        leases = list(threads.map(lambda _: store.acquire([Lora("a")]), range(16)))
    hold.let_go()
    assert len({id(adapters_of(lease)[0].adapter) for lease in leases}) == 1


def test_the_longest_unused_makes_room(make_store: MakeStore) -> None:
    store = make_store(max_adapters=3)
    a, b, c = used(store, "a", "b", "c")
    used(store, "a")
    used(store, "d")
    assert used(store, "a", "c") == [a, c]
    assert used(store, "b") != [b]


def test_a_lease_counts_as_use_until_it_ends(make_store: MakeStore) -> None:
    store = make_store(max_adapters=2)
    with store.acquire([Lora("a")]) as lease:
        (b,) = used(store, "b")
    used(store, "c")
    assert used(store, "a") == [adapters_of(lease)[0].adapter]
    assert used(store, "b") != [b]


def test_memory_is_bounded_as_well(make_store: MakeStore) -> None:
    store = make_store(max_bytes=2 * NUM_BYTES)
    a, b = used(store, "a", "b")
    assert used(store, "b", "a") == [b, a]
    used(store, "c")
    assert used(store, "a") == [a]
    assert used(store, "b") != [b]


def test_what_is_in_use_is_never_dropped(make_store: MakeStore) -> None:
    store = make_store(max_adapters=2)
    first, second = store.acquire([Lora("a")]), store.acquire([Lora("b")])
    a = adapters_of(first)[0].adapter
    refused = store.acquire([Lora("c")])
    with pytest.raises(OverloadedError, match="leave no room"):
        adapters_of(refused)
    second.release()
    assert used(store, "c")[0].name == "c"
    assert used(store, "a") == [a]


def test_a_lease_ends_once(make_store: MakeStore) -> None:
    store = make_store(max_adapters=1)
    one, other = store.acquire([Lora("a")]), store.acquire([Lora("a")])
    adapters_of(one), adapters_of(other)
    for _ in range(3):
        one.release()
    with pytest.raises(OverloadedError):
        used(store, "b")
    other.release()
    used(store, "b")


def test_a_lease_ends_with_its_block_whatever_happens(make_store: MakeStore) -> None:
    store = make_store(max_adapters=1)

    def fail_with_a_lease() -> None:
        with store.acquire([Lora("a")]) as lease:
            adapters_of(lease)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_with_a_lease()
    used(store, "b")


def test_an_adapter_that_nobody_waits_for_is_not_read(
    make_store: MakeStore, caplog: pytest.LogCaptureFixture, catalogue: dict[str, Path]
) -> None:
    store = make_store()
    hold = Hold(store)
    catalogue["a"].unlink()
    cancelled, released = store.acquire([Lora("a")]), store.acquire([Lora("a")])
    cancelled.ready.cancel()
    cancelled.release()
    released.release()
    hold.let_go()
    with pytest.raises(StageFailedError):
        adapters_of(released)
    # It would have found no file.
    assert caplog.records == []
    assert used(store, "b")[0].name == "b"


def test_a_broken_file_fails_who_asked_for_it_and_nobody_else(
    make_store: MakeStore, catalogue: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    store, whole = make_store(), catalogue["a"].read_bytes()
    catalogue["a"].write_bytes(whole[:-1])
    hold = Hold(store)
    leases = [store.acquire([Lora("b"), Lora("a")]), store.acquire([Lora("b")])]
    hold.let_go()
    with pytest.raises(StageFailedError) as failed:
        adapters_of(leases[0])
    assert failed.value.stage == "lora"
    assert adapters_of(leases[1])[0].adapter.name == "b"
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(f"LoRA a: cannot load {catalogue['a']}: ")
    for lease in leases:
        lease.release()
    # Once it is mended, it is read.
    catalogue["a"].write_bytes(whole)
    assert used(store, "a")[0].name == "a"


def test_an_adapter_larger_than_all_memory_for_adapters(
    make_store: MakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    store = make_store(max_bytes=NUM_BYTES - 1)
    with pytest.raises(StageFailedError):
        used(store, "a")
    assert f"takes {NUM_BYTES} bytes, and all may take {NUM_BYTES - 1}" in caplog.text


def test_a_failed_adapter_takes_no_room(
    make_store: MakeStore, catalogue: dict[str, Path], transformer: TransformerStage
) -> None:
    lora = random_lora(linear_shapes(transformer.transformer), [LAYER])
    lora[LAYER].up.fill_(torch.nan)
    save_lora(catalogue["a"], lora)
    store = make_store(max_adapters=1)
    with store.acquire([Lora("a")]) as lease:
        with pytest.raises(StageFailedError):
            adapters_of(lease)
        assert used(store, "b")[0].name == "b"


@pytest.mark.parametrize("path", ["e", "../a.safetensors", ""])
def test_only_names_of_the_catalogue_are_taken(make_store: MakeStore, path: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"loras\[1\]\.path"):
        make_store().acquire([Lora("a"), Lora(path)])


def test_a_path_of_a_listed_file_is_not_its_name(
    make_store: MakeStore, catalogue: dict[str, Path]
) -> None:
    with pytest.raises(InvalidRequestError, match=r"loras\[0\]\.path"):
        make_store().acquire([Lora(str(catalogue["a"]))])


def test_a_closed_store_fails_who_waits_and_takes_no_more(make_store: MakeStore) -> None:
    store = make_store()
    hold = Hold(store)
    waiting = store.acquire([Lora("a")])
    closing = threading.Thread(target=store.close)
    closing.start()
    while not store._is_closed:
        time.sleep(0.001)
    hold.let_go()
    closing.join(PATIENCE_S)
    with pytest.raises(StageFailedError):
        adapters_of(waiting)
    with pytest.raises(StageFailedError):
        store.acquire([Lora("a")])
