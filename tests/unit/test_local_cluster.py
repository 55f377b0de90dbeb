"""A config file is checked before Ray is started."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from serve_app.errors import StartError
from serve_app.local_cluster import check_port, last_line, read_config, start_ray

CONFIGS = Path(__file__).parents[2] / "configs"


def test_a_port_given_replaces_the_file_s() -> None:
    assert read_config(CONFIGS / "tiny.yaml", None).http_options.port == 8000
    assert read_config(CONFIGS / "tiny.yaml", 8123).http_options.port == 8123


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("applications: [", "is not YAML"),
        ("aplications: []", "aplications"),
        ("just words", "got 'just words'"),
        (
            "applications: [{name: a, import_path: serve_app.builder:build, args: {modle: {}}}]",
            "modle",
        ),
        (
            "applications: [{name: a, import_path: serve_app.builder:build,"
            " args: {model: {path: /no/such/model}}}]",
            "/no/such/model does not exist",
        ),
        (
            "applications: [{name: a, import_path: serve_app.builder:build, autoscaling_policy:"
            " {policy_function: serve_app.scaling.serve_policy:ApplicationPolicy,"
            " policy_kwargs: {hold_s: -1}}}]",
            "hold_s: Input should be greater than 0 (got -1)",
        ),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(StartError) as refused:
        read_config(file, None)
    assert said in refused.value.message
    assert "\n" not in refused.value.message


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="No such file"):
        read_config(tmp_path / "none.yaml", None)


def test_a_busy_port_is_refused() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(StartError, match=f"127.0.0.1:{port}: Address already in use"):
            check_port("127.0.0.1", port)


def test_of_a_traceback_the_error_itself_is_shown() -> None:
    assert last_line(["Traceback:\n  File x\nValueError: bad weights\n", ""]) == (
        "ValueError: bad weights"
    )
    assert last_line([""]) == "no reason was given"


START_RAY = """
import sys
from pathlib import Path

from serve_app.errors import StartError
from serve_app.local_cluster import start_ray

try:
    start_ray(Path(sys.argv[1]))
except StartError as error:
    print(error.message)
"""


def test_a_ray_that_does_not_start_says_why_in_one_line(tmp_path: Path) -> None:
    # A socket's path may have 107 bytes, and Ray gives up before it starts anything. In a
    # process of its own: this one may be connected to another test's Ray.
    too_long = tmp_path / ("x" * 107)
    said = subprocess.run(
        [sys.executable, "-c", START_RAY, too_long], check=True, capture_output=True, text=True
    )
    assert re.fullmatch(r"Ray did not start: .*AF_UNIX.*\n", said.stdout)


def test_spans_without_an_exporter_are_refused_before_ray_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    exporter = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
    monkeypatch.setitem(sys.modules, exporter, None)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    with pytest.raises(StartError, match=r"pip install 'krea-serve\[tracing\]'"):
        start_ray(tmp_path)
    assert list(tmp_path.iterdir()) == []
