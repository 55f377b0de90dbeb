"""The validated shape of the `args:` of a Serve config file in `configs/`, and of the environment.

Everything about replicas, resources and autoscaling is Serve's own and stands in the same file
under `deployments:`, in Serve's own words.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

EMBEDDED_MODEL_DIR = Path(__file__).parent / "tiny_flux" / "weights"

PositiveSeconds = Annotated[float, Field(gt=0)]


class Config(BaseModel):
    """Frozen, and a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelConfig(Config):
    """Which weights are served, and how they are held.

    Attributes:
        path: A diffusers directory of FLUX.1; `embedded` is the tiny model in this package.
        dtype: Of weights and arithmetic.
        device: A torch device; `auto` is `cuda` where there is one.
        num_threads: CPU threads of one replica's arithmetic.
    """

    path: str = "embedded"
    dtype: Literal["float32", "bfloat16"] = "float32"
    device: str = "auto"
    num_threads: Annotated[int, Field(ge=1)] = 2

    @property
    def directory(self) -> Path:
        """The diffusers directory."""
        return EMBEDDED_MODEL_DIR if self.path == "embedded" else Path(self.path)


class StorageConfig(Config):
    """Where pictures delivered as URLs are kept.

    Attributes:
        directory: A folder every ingress and image-writer replica can reach.
        ttl_s: Seconds a picture can be downloaded.
        sweep_period_s: Seconds between two rounds of deleting what has expired.
    """

    directory: Path = Path.home() / ".cache" / "krea-serve" / "media"
    ttl_s: PositiveSeconds = 3600
    sweep_period_s: PositiveSeconds = 300


class ApiConfig(Config):
    """What clients may ask for, and what the answers say.

    Attributes:
        deadline_s: A request not finished by then is answered 504 and cancelled.
        max_body_bytes: Of a request without files.
        max_side_px: Of a delivered picture.
        max_images: `n` of one request.
        price_usd: Of one picture, for `metadata.cost`.
        public_base_url: Start of every picture's URL; by default, as the client's request says.
    """

    deadline_s: PositiveSeconds = 240
    max_body_bytes: Annotated[int, Field(gt=0)] = 1024 * 1024
    max_side_px: Annotated[int, Field(gt=0)] = 2048
    max_images: Annotated[int, Field(gt=0)] = 10
    price_usd: Annotated[float, Field(ge=0)] = 0.025
    public_base_url: str | None = None


class AppConfig(Config):
    """One krea-serve application."""

    model: ModelConfig = ModelConfig()
    storage: StorageConfig = StorageConfig()
    api: ApiConfig = ApiConfig()


def api_key() -> str | None:
    """Return the key every `/v1` route asks for, or None when the server is open."""
    return os.environ.get("KREA_SERVE_API_KEY") or None
