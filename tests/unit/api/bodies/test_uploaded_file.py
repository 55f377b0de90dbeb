"""What is said of files."""

import pytest

from serve_app.api.bodies.uploaded_file import UploadedFile, file_too_large


@pytest.mark.parametrize(
    ("max_bytes", "size"), [(50_000_000, "50 MB"), (1_500_000, "1.5 MB"), (1000, "0.001 MB")]
)
def test_the_limit_is_said_in_megabytes(max_bytes: int, size: str) -> None:
    error = file_too_large("image", max_bytes)
    assert error.message == f"'image' is larger than {size}."
    assert (error.status_code, error.param) == (413, "image")


def test_the_bytes_do_not_appear_in_messages() -> None:
    assert repr(UploadedFile("a.png", b"secret")) == "UploadedFile(filename='a.png')"


def test_a_file_equals_its_copy_only() -> None:
    assert UploadedFile("a", b"1") == UploadedFile("a", b"1")
    assert UploadedFile("a", b"1") != UploadedFile("a", b"2")
