"""What is shipped says nothing of the machine it was made on."""

from serve_app.config import EMBEDDED_MODEL_DIR


def test_no_file_names_a_folder_of_the_training_machine() -> None:
    documents = sorted(EMBEDDED_MODEL_DIR.rglob("*.json"))
    assert documents
    named = [file.name for file in documents if "_name_or_path" in file.read_text(encoding="utf-8")]
    assert named == []
