"""The bodies of the image routes in JSON Schema, as the table of parameters has them."""

from serve_app.api.input_images.field import ImageField
from serve_app.api.parameters import Parameter, image_parameters
from serve_app.api.values.kinds import JsonSchema
from serve_app.api.values.size_grammar import PRESETS, ImageSize, Side
from serve_app.config import ApiConfig

BINARY: JsonSchema = {"type": "string", "format": "binary"}
WHOSE = {"openai": "OpenAI", "lumenfall": "Lumenfall", "fal": "fal", "replicate": "Replicate"}


EXAMPLE = {"prompt": "a red lighthouse at dusk", "size": "1024x1024", "seed": 7}
EDIT_EXAMPLE = {
    "prompt": "the same lighthouse in snow",
    "image_url": "https://example.com/lighthouse.png",
    "strength": 0.6,
}


def generation_schema(config: ApiConfig) -> JsonSchema:
    """Return the schema of the JSON that asks for pictures."""
    table = image_parameters(config)
    return {
        "type": "object",
        "properties": {
            name: _property(parameter, name, _or_null(parameter))
            for parameter in table
            for name in parameter.names
        },
        "required": [parameter.name for parameter in table if parameter.is_required],
        "examples": [EXAMPLE],
    }


def edit_schema(config: ApiConfig) -> JsonSchema:
    """Return the schema of the JSON that asks for a picture to be edited."""
    return {**generation_schema(config), **_needs_image(config), "examples": [EDIT_EXAMPLE]}


def edit_form_schema(config: ApiConfig) -> JsonSchema:
    """Return the schema of the same as a form, where a picture is a file."""
    table = image_parameters(config)
    return {
        "type": "object",
        "properties": {
            name: _property(parameter, name, schema)
            for parameter in table
            for name, schema in _form_fields(parameter).items()
        },
        "required": [parameter.name for parameter in table if parameter.is_required],
        **_needs_image(config),
    }


def _needs_image(config: ApiConfig) -> JsonSchema:
    names = next(p.names for p in image_parameters(config) if p.name == "image")
    return {"anyOf": [{"required": [name]} for name in names]}


def _property(parameter: Parameter, name: str, schema: JsonSchema) -> JsonSchema:
    if name in parameter.aliases:
        whose = WHOSE[parameter.aliases[name]]
        return {**schema, "description": f"{whose}'s name of `{parameter.name}`."}
    rule = schema.get("description", "")
    described = {**schema, "description": f"{parameter.description} {rule}".strip()}
    if parameter.default is not None:
        described["default"] = parameter.default
    return described


def _or_null(parameter: Parameter) -> JsonSchema:
    """Return the schema of a value that is null when it is not given."""
    schema = parameter.type.schema()
    if parameter.is_required or not schema:
        return schema
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    nullable = {**schema, "type": [schema["type"], "null"]}
    return {**nullable, "enum": [*schema["enum"], None]} if "enum" in schema else nullable


def _form_fields(parameter: Parameter) -> dict[str, JsonSchema]:
    match parameter.type:
        case ImageField():
            return {name: _form_image(name) for name in parameter.names}
        case ImageSize(max_side_px=max_side_px):
            side = Side(max_side_px).schema()
            preset = {"type": "string", "enum": list(PRESETS)}
            sides = {f"{parameter.name}[{which}]": side for which in ("width", "height")}
            return {parameter.name: preset, **sides}
    return dict.fromkeys(parameter.names, parameter.type.schema())


def _form_image(name: str) -> JsonSchema:
    if name.endswith("_url"):
        return {"type": "string", "format": "uri"}
    is_list = name.endswith("[]") or name == "images"
    return {"type": "array", "items": BINARY, "maxItems": 1} if is_list else BINARY
