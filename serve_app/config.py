"""The validated shape of the `args:` of a Serve config file in `configs/`, and of the environment.

Everything about replicas, resources and autoscaling is Serve's own and stands in the same file
under `deployments:`, in Serve's own words.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

EMBEDDED_MODEL_DIR = Path(__file__).parent / "tiny_flux" / "weights"

PositiveShare = Annotated[float, Field(gt=0, le=1)]
PositiveSeconds = Annotated[float, Field(gt=0)]

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

BUCKET_URL = r"^(s3|gs|az)://[^/?#]+(/[^?#]*)?$"
MAX_PRESIGNED_S = 7 * 24 * 3600  # S3 and GCS refuse to serve longer


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
        go_fast: A second transformer in 8 bits, for requests with `go_fast: true`: `int8` keeps its
            weights so, on any device; `fp8` also calculates so, on a GPU of compute capability 8.9
            or higher and in bfloat16. Without one such requests get the exact transformer.
        torch_compile: Whether the transformer's blocks are compiled when a replica starts, which
            takes minutes and needs a C++ compiler where it runs. Batches with `loras` run
            uncompiled.
        loras: Adapters that requests may name: `.safetensors` files by the names they give.
        lora_memory_bytes: Of the device, for adapters that lie ready; those used last stay.
        max_loaded_loras: How many of them may lie ready.
        previews: What makes a preview of latents: the `vae`, which takes as long as for the picture
            itself, or a `linear` map of each latent to its colour, which shows a blur at once.
    """

    path: str = "embedded"
    dtype: Literal["float32", "bfloat16"] = "float32"
    device: str = "auto"
    num_threads: Annotated[int, Field(ge=1)] = 2
    go_fast: Literal["off", "int8", "fp8"] = "off"
    torch_compile: bool = False
    loras: dict[str, Path] = {}
    lora_memory_bytes: Annotated[int, Field(gt=0)] = 4 * 10**9
    max_loaded_loras: Annotated[int, Field(gt=0)] = 32
    previews: Literal["vae", "linear"] = "vae"

    @property
    def directory(self) -> Path:
        """The diffusers directory."""
        return EMBEDDED_MODEL_DIR if self.path == "embedded" else Path(self.path)


class EngineConfig(Config):
    """How a denoiser chooses what runs in its next step.

    Attributes:
        policy: `deadline` starts what is due first and can still make it, `srpt` what is done
            first, `fcfs` what came first; within a class of priority, tenants taking turns.
        token_budget: Tokens of pictures and prompts in one step; None: measured at the start. Where
            it is given nothing is measured then, and the first steps tell how long pictures take.
        slo_factor: A picture is due after this many times the seconds it would take alone, or at
            its request's deadline, whichever is earlier.
        delivery_s: Seconds of a request's time that are kept for what follows the denoiser.
        wedged_after_s: Seconds that a step may take before the replica counts as broken and ends;
            its requests are then run again elsewhere, for which their deadline must leave time.
        starved_after_s: Seconds after which a picture that others always go before gets its share.
        starved_share: Of the steps, for the oldest such picture of a lower class than runs; a third
            of that within a class, and nothing there under `fcfs`.
        regular_threshold: With `acceleration: regular` a step is skipped where the first block's
            part in it changed by less than this share of it.
        high_threshold: The same with `acceleration: high`.
    """

    policy: Literal["deadline", "srpt", "fcfs"] = "deadline"
    token_budget: Annotated[int, Field(gt=0)] | None = None
    slo_factor: Annotated[float, Field(ge=1)] = 3.0
    delivery_s: Annotated[float, Field(ge=0)] = 2.0
    wedged_after_s: PositiveSeconds = 60.0
    starved_after_s: PositiveSeconds = 60.0
    starved_share: Annotated[float, Field(ge=0, le=0.5)] = 0.02
    regular_threshold: PositiveShare = 0.1
    high_threshold: PositiveShare = 0.2


class StorageConfig(Config):
    """Where pictures delivered as URLs are kept, and for how long.

    Attributes:
        directory: A folder that every ingress and image-writer replica can reach.
        bucket: `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`, which then
            takes the place of the folder.
        bucket_options: obstore's settings of that kind of bucket, such as `region`, `account_name`
            or `endpoint`; an `http://…` endpoint needs no further permission. Secrets belong in
            the environment, where obstore looks for the cloud's own variables (`AWS_…`,
            `GOOGLE_…`, `AZURE_…`).
        presigned: Whether clients download from the bucket itself; if not, through `/media`.
        url_ttl_s: Seconds a URL works.
        object_ttl_s: Seconds after which the picture itself is deleted.
        sweep_period_s: Seconds between two rounds of deleting what has expired.
        timeout_s: Until the store must have taken a picture, or begun to give it back.
    """

    directory: Path = Path.home() / ".cache" / "krea-serve" / "media"
    bucket: Annotated[str, Field(pattern=BUCKET_URL)] | None = None
    bucket_options: dict[str, str] = {}
    presigned: bool = True
    url_ttl_s: Annotated[PositiveSeconds, Field(le=MAX_PRESIGNED_S)] = 3600
    object_ttl_s: PositiveSeconds = 24 * 3600
    sweep_period_s: PositiveSeconds = 300
    timeout_s: PositiveSeconds = 10

    @model_validator(mode="after")
    def _object_outlives_url(self) -> Self:
        if self.object_ttl_s < self.url_ttl_s:
            raise ValueError("object_ttl_s must not be shorter than url_ttl_s")
        return self


class ApiConfig(Config):
    """What clients may ask for, and what the answers say.

    Attributes:
        deadline_s: A request not finished by then is answered 504 and cancelled.
        body_timeout_s: Until all of a request must have been received; it is refused with 400 then.
        max_body_bytes: Of a request, files and data URIs included.
        max_file_bytes: Of one input image.
        allow_image_urls: Whether input images may be fetched from the public internet.
        allow_unchecked_images: Whether a client may switch the safety checker off.
        max_side_px: Of a delivered picture.
        max_images: `n` of one request.
        max_pending_requests: For pictures, that one ingress works on at a time, or fewer where so
            many could not be answered by `deadline_s`; others are refused with 503. Serve's
            `max_ongoing_requests` of the Ingress should be more than twice as high: as many again
            may be read at the same time, and Serve's refusal does not say for how long.
        price_usd: Of one picture, for `metadata.cost`.
        public_base_url: Start of every picture's URL; by default, as the client's request says.
    """

    deadline_s: PositiveSeconds = 240
    body_timeout_s: PositiveSeconds = 300  # 50 MB at 1.4 Mbit/s
    max_body_bytes: Annotated[int, Field(gt=0)] = 140 * 10**6
    max_file_bytes: Annotated[int, Field(gt=0)] = 50 * 10**6
    allow_image_urls: bool = True
    allow_unchecked_images: bool = True
    max_side_px: Annotated[int, Field(gt=0)] = 2048
    max_images: Annotated[int, Field(gt=0)] = 10
    max_pending_requests: Annotated[int, Field(gt=0)] = 200
    price_usd: Annotated[float, Field(ge=0)] = 0.025
    public_base_url: str | None = None


class RecordsConfig(Config):
    """Where keys, the history of requests and idempotent answers are kept.

    Attributes:
        url: `sqlite:////absolute/path`, for replicas of one machine, or `postgresql://…`. One with
            a password belongs in the environment, as `KREA_SERVE_DATABASE_URL`, which goes first.
        require_key: Whether `/v1` asks for a key; it always does when `KREA_SERVE_API_KEY` is set.
        history_ttl_s: Seconds a request stays in the history.
        timeout_s: Until the database must have answered. SQLite itself waits 5 s for a lock.
    """

    url: str = f"sqlite:///{Path.home() / '.local' / 'share' / 'krea-serve' / 'records.db'}"
    require_key: bool = False
    history_ttl_s: PositiveSeconds = 90 * 24 * 3600
    timeout_s: PositiveSeconds = 10


class ProvenanceConfig(Config):
    """What a file says about where it comes from.

    With a certificate, a picture that cannot be signed is not delivered either.

    Attributes:
        enabled: Whether files say that a model made them, which one, and from which seed.
        certificate_file: Signs a C2PA manifest into each file: a PEM chain, the signer's own first,
            without the root.
        private_key_file: Of that certificate: PEM (PKCS#8), on the curve P-256.
        timestamp_url: An RFC 3161 authority, asked for each file; with its timestamp a signature
            outlives the certificate.
    """

    enabled: bool = True
    certificate_file: Path | None = None
    private_key_file: Path | None = None
    timestamp_url: Annotated[str, Field(pattern="^https?://.")] | None = None

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        if (self.certificate_file is None) != (self.private_key_file is None):
            raise ValueError("certificate_file and private_key_file go together")
        if self.timestamp_url and not self.certificate_file:
            raise ValueError("timestamp_url needs a certificate_file")
        return self


class LimitsConfig(Config):
    """What one API key may use; who comes without a key shares one of these with all who do.

    Attributes:
        requests_per_minute: To the image routes; None: as many as come.
        images_per_minute: All `n` of these together; None: no limit.
        max_concurrent_requests: That run at the same time; None: no limit.
    """

    requests_per_minute: Annotated[int, Field(gt=0)] | None = None
    images_per_minute: Annotated[int, Field(gt=0)] | None = None
    max_concurrent_requests: Annotated[int, Field(gt=0)] | None = None


class LiveIngressConfig(Config):
    """`user_config` of the Ingress: applied to replicas that go on serving.

    Attributes:
        api: What it says goes before the same keys of `args.api`.
        log_level: Of its own log lines; None: Serve's, of `logging_config`.
    """

    api: ApiConfig = ApiConfig()
    log_level: LogLevel | None = None


class LiveLimiterConfig(Config):
    """`user_config` of the Limiter: applied while it decides; there is one where a limit is set.

    Attributes:
        limits: What it says goes before the same keys of `args.limits`; null lifts a limit.
        log_level: Of its own log lines; None: Serve's, of `logging_config`.
    """

    limits: LimitsConfig = LimitsConfig()
    log_level: LogLevel | None = None


class LiveDenoiserConfig(Config):
    """`user_config` of the Denoiser: applied to replicas that go on serving.

    Attributes:
        engine: What it says goes before the same keys of `args.engine`.
        log_level: Of its own log lines; None: Serve's, of `logging_config`.
    """

    engine: EngineConfig = EngineConfig()
    log_level: LogLevel | None = None


class ScalingConfig(Config):
    """How replicas follow the work: the `policy_kwargs` of a config file's `autoscaling_policy`.

    Attributes:
        work_per_denoiser_s: Predicted seconds of work, running and waiting, that each denoiser
            should have before it; with more there are more denoisers, up to their most.
        headroom: Of n denoisers' worth of work that comes, in roots of n: so many denoisers are
            kept beyond those n.
        hold_s: Nothing is taken away that was wanted in so many last seconds.
        hold_last_s: The same for the last replica, where there may be none; not below `hold_s`.
        denoisers_per_replica: How many denoisers one replica of another deployment keeps busy;
            one that is not named follows its own requests alone.
    """

    work_per_denoiser_s: PositiveSeconds = 24.0
    headroom: Annotated[float, Field(ge=0)] = 1.8
    hold_s: PositiveSeconds = 30.0
    hold_last_s: PositiveSeconds = 300.0
    denoisers_per_replica: dict[str, Annotated[float, Field(gt=0)]] = {}


class AppConfig(Config):
    """One krea-serve application."""

    model: ModelConfig = ModelConfig()
    engine: EngineConfig = EngineConfig()
    storage: StorageConfig = StorageConfig()
    api: ApiConfig = ApiConfig()
    records: RecordsConfig = RecordsConfig()
    limits: LimitsConfig = LimitsConfig()
    provenance: ProvenanceConfig = ProvenanceConfig()


def first_line(error: ValidationError) -> str:
    """Return pydantic's first finding as `field: rule (value)`."""
    finding = error.errors()[0]
    field = ".".join(str(part) for part in finding["loc"])
    return f"{field}: {finding['msg']} (got {finding['input']!r})"


def api_key() -> str | None:
    """Return the key every `/v1` route asks for, or None when the server is open."""
    return os.environ.get("KREA_SERVE_API_KEY") or None


def url_keys() -> tuple[str, ...]:
    """Return the keys that sign `/media/…` URLs: the newest signs, an older one still opens."""
    listed = os.environ.get("KREA_SERVE_URL_KEYS", "").split(",")
    return tuple(key.strip() for key in listed if key.strip())


def database_url() -> str | None:
    """Return the database's URL, or None when the config file's own is meant."""
    return os.environ.get("KREA_SERVE_DATABASE_URL") or None


def otlp_endpoint() -> str | None:
    """Return where spans are collected, by OpenTelemetry's own variables; None: nowhere."""
    names = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def trace_with(exporter: str) -> None:
    """Have Serve's processes that are started from now on make spans, for `module:function`."""
    start_with(
        {
            "RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH": exporter,
            "RAY_SERVE_TRACING_SAMPLING_RATIO": "1",
            "OTEL_SERVICE_NAME": "krea-serve",
        }
    )


def start_with(environment: Mapping[str, str]) -> None:
    """Give processes that are started from now on some variables, where the user sets no other."""
    for name, value in environment.items():
        os.environ.setdefault(name, value)


def key_pepper() -> str | None:
    """Return what is mixed into the hashes of API keys, or None when a file holds it."""
    return os.environ.get("KREA_SERVE_KEY_PEPPER") or None
