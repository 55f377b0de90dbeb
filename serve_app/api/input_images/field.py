"""`image` and `mask` as clients write them, in any dialect, to one place to read them from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from serve_app.api.bodies.uploaded_file import UploadedFile
from serve_app.api.input_images.data_uris import is_data_uri
from serve_app.api.values import invalid
from serve_app.api.values.kinds import JsonSchema
from serve_app.api.values.patterns import any_case
from serve_app.errors import InvalidRequestError
from serve_app.model_facts import MODEL_ID

WEB_SCHEMES = ("http://", "https://")
URL_PATTERN = f"^(?:{'|'.join(map(any_case, (*WEB_SCHEMES, 'data:')))})"


@dataclass(frozen=True, slots=True)
class ImageUrl:
    """Where a picture can be fetched; in a `data:` URI, the picture itself."""

    url: str = field(repr=False)


ImageSource = UploadedFile | ImageUrl


@dataclass(frozen=True, slots=True)
class ImageField:
    """`image` and `mask`: one picture, as a file, a URL, `{"image_url": …}` or a list of one.

    Attributes:
        param: The name that errors are about, whichever the client used.
    """

    param: str

    def read(self, field: str, value: object) -> ImageSource | None:
        """Return the one picture; None for a list without any."""
        items = value if isinstance(value, list) else [value]
        sources = [self._source(item) for item in items if item is not None]
        if len(sources) > 1:
            raise self.too_many()
        return sources[0] if sources else None

    def schema(self) -> JsonSchema:
        """Return the JSON Schema of what it reads in JSON, where there are no files."""
        null: JsonSchema = {"type": "null"}
        url: JsonSchema = {"type": "string", "pattern": URL_PATTERN}
        item: JsonSchema = {
            "type": "object",
            "properties": {"image_url": url, "file_id": null},
            "required": ["image_url"],
        }
        one_of_many: JsonSchema = {
            "type": "array",
            "items": {"anyOf": [url, item, null]},
            "contains": {"not": null},
            "minContains": 0,
            "maxContains": 1,
        }
        return {"anyOf": [url, item, one_of_many], "description": "Must be one picture."}

    def _source(self, item: object) -> ImageSource:
        if isinstance(item, Mapping):
            if item.get("file_id") is not None:
                raise InvalidRequestError(
                    f"'{self.param}' cannot be a file_id: this server keeps no files.", self.param
                )
            item = item.get("image_url")
        if isinstance(item, UploadedFile):
            return item
        if not isinstance(item, str):
            raise invalid.wrong_type(self.param, "a file, a URL or a data URI")
        beginning = item[: invalid.MAX_SHOWN_CHARACTERS]
        if not is_data_uri(beginning) and not beginning.lower().startswith(WEB_SCHEMES):
            rule = "Must be a file, an http or https URL, or a data URI."
            raise invalid.wrong_value(self.param, beginning, rule)
        return ImageUrl(item)

    def too_many(self) -> InvalidRequestError:
        """Return the error of a request with several."""
        if self.param == "image":
            message = f"Model '{MODEL_ID}' does not support multiple input images; send one."
            return InvalidRequestError(message, self.param)
        return InvalidRequestError(f"'{self.param}' can be one picture only.", self.param)
