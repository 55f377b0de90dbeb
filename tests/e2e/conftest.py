"""What the commands under test keep, they keep in a folder of the test's own."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KREA_SERVE_DATABASE_URL", f"sqlite:///{tmp_path / 'records.db'}")
