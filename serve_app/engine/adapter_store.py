"""The adapters that lie ready on the transformer's device.

They are read in a thread of the store's own, one after the other, so that no step waits for a
file. Who asks for adapters gets a lease at once and the adapters when they are read; as long as a
lease holds an adapter it stays, then it may make room for another, the longest unused first.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from serve_app.engine.adapters import Adapter, PictureAdapters, ScaledAdapter
from serve_app.errors import OverloadedError, RequestError, StageFailedError, WeightsError
from serve_app.lora_catalogue import check_loras
from serve_app.messages import Lora
from serve_app.stages.lora_file import linear_shapes, open_lora
from serve_app.stages.transformer import TransformerStage

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Entry:
    """One adapter of the catalogue: asked for, being read, or ready.

    Attributes:
        name: In the catalogue.
        num_leases: That hold it.
        num_bytes: Memory that is set aside for it; 0 until its file was looked at.
        loaded: The adapter, once it is read.
    """

    name: str
    num_leases: int = 0
    num_bytes: int = 0
    loaded: Future[Adapter] = field(default_factory=Future)


class AdapterLease:
    """One user's hold on some adapters, from when it asked for them until it gives them back.

    Attributes:
        ready: The adapters, once all are read. It fails with `OverloadedError` where those in use
            leave no room, else with `StageFailedError("lora")`; the cause is in the log.
    """

    def __init__(self, ready: Future[PictureAdapters], give_back: Callable[[], None]) -> None:
        self.ready = ready
        self._give_back = give_back

    def release(self) -> None:
        """Give the adapters back; again, from any thread and before they are read as well."""
        self._give_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


class AdapterStore:
    """Reads the catalogue's adapters when they are asked for, and keeps those used last."""

    def __init__(
        self,
        catalogue: Mapping[str, Path],
        transformer: TransformerStage,
        max_bytes: int,
        max_adapters: int,
    ) -> None:
        """Make an empty store.

        Args:
            catalogue: The operator's: `.safetensors` files by the names that requests give.
            transformer: Whose adapters they are.
            max_bytes: Memory that all adapters together may take on its device.
            max_adapters: How many may lie there.
        """
        self._catalogue = dict(catalogue)
        self._max_bytes = max_bytes
        self._max_adapters = max_adapters
        self._dtype, self._device = transformer.dtype, transformer.device
        self._shapes = linear_shapes(transformer.transformer)
        # Longest unused first.
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._is_closed = False
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="lora-loader")

    def acquire(self, loras: Sequence[Lora]) -> AdapterLease:
        """Return a lease on a request's adapters; never waits for a file.

        Raises:
            InvalidRequestError: One is not in the catalogue, or breaks another rule.
            StageFailedError: The store is closed.
        """
        check_loras(loras, self._catalogue)
        # An adapter at scale 0 changes nothing, so it need not be there.
        used = [lora for lora in loras if lora.scale]
        with self._lock:
            if self._is_closed:
                raise StageFailedError("lora")
            entries = [self._hold(lora.path) for lora in used]
            ready = self._ready(tuple(entries), [lora.scale for lora in used])
        return AdapterLease(ready, partial(self._give_back, entries))

    def close(self) -> None:
        """End the loading; what is not read yet fails."""
        with self._lock:
            self._is_closed = True
        self._loader.shutdown()

    def _hold(self, name: str) -> _Entry:
        entry = self._entries.get(name)
        if entry is None:
            entry = self._entries[name] = _Entry(name)
            self._loader.submit(self._load, entry)
        entry.num_leases += 1
        return entry

    def _ready(self, entries: Sequence[_Entry], scales: Sequence[float]) -> Future[PictureAdapters]:
        def collect() -> PictureAdapters:
            loaded = [entry.loaded.result() for entry in entries]
            return tuple(map(ScaledAdapter, loaded, scales))

        if not all(entry.loaded.done() for entry in entries):
            # The loader does one thing after the other: by then it has read them all.
            return self._loader.submit(collect)
        ready: Future[PictureAdapters] = Future()
        ready.set_result(collect())
        return ready

    def _give_back(self, entries: list[_Entry]) -> None:
        with self._lock:
            while entries:
                entry = entries.pop()
                entry.num_leases -= 1
                # Unless it failed and is forgotten, or is another one of the same name by now.
                if self._entries.get(entry.name) is entry:
                    self._entries.move_to_end(entry.name)

    def _load(self, entry: _Entry) -> None:
        try:
            adapter = self._read(entry)
        except RequestError as error:
            self._fail(entry, error)
        except WeightsError as error:
            logger.error("LoRA %s: %s", entry.name, error.message)
            self._fail(entry, StageFailedError("lora"))
        except Exception:
            logger.exception("LoRA %s could not be loaded", entry.name)
            self._fail(entry, StageFailedError("lora"))
        else:
            entry.loaded.set_result(adapter)

    def _read(self, entry: _Entry) -> Adapter:
        self._stop_if_unwanted(entry)
        with open_lora(self._catalogue[entry.name], self._shapes) as lora:
            num_bytes = lora.num_bytes(self._dtype)
            self._make_room(entry, num_bytes)
            return Adapter(entry.name, lora.read(self._dtype, self._device), num_bytes)

    def _stop_if_unwanted(self, entry: _Entry) -> None:
        with self._lock:
            if self._is_closed or not entry.num_leases:
                # At once, so that nobody asks for it any more.
                del self._entries[entry.name]
                raise StageFailedError("lora")

    def _make_room(self, entry: _Entry, num_bytes: int) -> None:
        if num_bytes > self._max_bytes:
            raise WeightsError(f"it takes {num_bytes} bytes, and all may take {self._max_bytes}")
        with self._lock:
            placed = [other for other in self._entries.values() if other.num_bytes]
            idle = [other for other in placed if not other.num_leases]
            free_bytes = self._max_bytes - sum(other.num_bytes for other in placed)
            num_free = self._max_adapters - len(placed)
            while free_bytes < num_bytes or num_free < 1:
                if not idle:
                    message = "The LoRAs of other requests leave no room for another."
                    raise OverloadedError(message, reason="loras")
                dropped = idle.pop(0)
                del self._entries[dropped.name]
                free_bytes += dropped.num_bytes
                num_free += 1
            entry.num_bytes = num_bytes

    def _fail(self, entry: _Entry, error: RequestError) -> None:
        # Forgotten first: who asks for it from now on lets it be read anew.
        with self._lock:
            if self._entries.get(entry.name) is entry:
                del self._entries[entry.name]
        entry.loaded.set_exception(error)
