"""Write `docs/parameters.md` from the table of parameters, so that the two cannot drift apart.

python -m serve_app.api.openapi.reference            write it
python -m serve_app.api.openapi.reference --check    fail when it is not what would be written
"""

import argparse
import json
import sys
from pathlib import Path
from typing import get_args

from serve_app.api.openapi.body_schemas import WHOSE
from serve_app.api.parameters import Dialect, Parameter, image_parameters
from serve_app.api.values.kinds import JsonSchema
from serve_app.config import ApiConfig

NOTHING = "-"
REFERENCE = Path(__file__).parents[3] / "docs" / "parameters.md"

DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
COLUMNS = (
    "Parameter",
    "Other names",
    "Type and range",
    "Default",
    "Behaviour",
    *(WHOSE[dialect] for dialect in DIALECTS),
    "What it does",
)

INTRODUCTION = """# Parameters

Written by `make docs` from `serve_app/api/parameters.py`; the limits are the defaults of the
configuration. The same table is behind the checks, `/openapi.json` and
`/v1/models/flux.1-krea-dev?schema=true`.

- A parameter that is `null` is not given. Names of the same thing may be given together if they
  agree; where they differ, the request is refused.
- Behaviour, in Lumenfall's words: *passthrough* is the model's own parameter; *renamed* is the
  model's own by another name; *converted* becomes something else on the way to the model;
  *emulated* is done by this server; *ignored* is accepted, whatever its value, and without effect.
- A name that is not in this table is accepted too. It has no effect, and the answer lists it in
  `metadata.ignored_parameters`.
- Under each dialect stands its own name of the thing, if it has one. OpenAI's names are Lumenfall's
  too.
"""


def reference() -> str:
    """Return the text of `docs/parameters.md`."""
    rows = [_row(parameter) for parameter in image_parameters(ApiConfig())]
    lines = [_line(COLUMNS), _line(("---",) * len(COLUMNS)), *map(_line, rows)]
    return INTRODUCTION + "\n" + "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the page or check it; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    text = reference()
    if not parser.parse_args(arguments).check:
        REFERENCE.write_text(text, encoding="utf-8")
        return 0
    if not REFERENCE.exists() or REFERENCE.read_text(encoding="utf-8") != text:
        sys.stderr.write("docs/parameters.md is not what would be written: make docs\n")
        return 1
    return 0


def _row(parameter: Parameter) -> tuple[str, ...]:
    has_default = parameter.default is not None
    default = _code(json.dumps(parameter.default).strip('"')) if has_default else NOTHING
    return (
        _code(parameter.name),
        _codes(*parameter.aliases),
        _type_of(parameter.type.schema()),
        "required" if parameter.is_required else default,
        parameter.behaviour,
        *(_codes(*parameter.names_in(dialect)) for dialect in DIALECTS),
        parameter.description,
    )


def _type_of(schema: JsonSchema) -> str:
    """Return a schema in a few words."""
    if "description" in schema:
        return str(schema["description"]).removeprefix("Must be ").rstrip(".")
    if "anyOf" in schema:
        return " or ".join(map(_type_of, schema["anyOf"]))
    if "enum" in schema:
        return _codes(*(str(word) for word in schema["enum"]))
    kind = schema.get("type", "anything")
    if "minimum" in schema:
        return f"{kind}, {schema['minimum']} to {schema['maximum']}"
    if "maxLength" in schema:
        return f"{kind}, {schema.get('minLength', 0)} to {schema['maxLength']} characters"
    return str(kind)


def _codes(*words: str) -> str:
    return ", ".join(map(_code, words)) or NOTHING


def _code(word: str) -> str:
    return f"`{word}`"


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
