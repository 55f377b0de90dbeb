"""Whether a model's weight files are whole, found out without reading a tensor.

A truncated download is the commonest broken model directory; found here it stops the start in
one line, instead of failing every replica in turn. The format is safetensors' own: eight bytes of
header length (little-endian), a JSON header with the byte range of every tensor, the tensors.
"""

import json
from pathlib import Path

from serve_app.errors import WeightsError

WEIGHTED_COMPONENTS = ("text_encoder", "text_encoder_2", "transformer", "vae")


def check_weight_files(directory: Path) -> None:
    """Check every safetensors file of a diffusers directory.

    Raises:
        WeightsError: One is missing or is not as long as its header says; one line.
    """
    for component in WEIGHTED_COMPONENTS:
        files = _expected_files(directory / component)
        if not files:
            raise WeightsError(f"{directory / component} holds no .safetensors file")
        for file in files:
            _check_file(file)


def _expected_files(folder: Path) -> set[Path]:
    """Return the files that are there, and those that an index of shards says must be."""
    files = set(folder.glob("*.safetensors"))
    for index in folder.glob("*.safetensors.index.json"):
        try:
            shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(f"{index} is not an index of shards") from error
        files |= {folder / shard for shard in shards}
    return files


def _check_file(file: Path) -> None:
    try:
        num_bytes = file.stat().st_size
        expected = _expected_num_bytes(file)
    except OSError as error:
        raise WeightsError(f"cannot read {file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{file} is not a safetensors file") from error
    if num_bytes != expected:
        raise WeightsError(f"{file} is broken: {num_bytes} bytes instead of {expected}")


def _expected_num_bytes(file: Path) -> int:
    with file.open("rb") as opened:
        header_num_bytes = int.from_bytes(opened.read(8), "little")
        if header_num_bytes > file.stat().st_size:
            raise ValueError("the header is longer than the file")
        header = json.loads(opened.read(header_num_bytes))
    ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    return 8 + header_num_bytes + int(max(ends, default=0))
