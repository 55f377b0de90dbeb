"""What a file says about its own origin: in words, and in the terms of IPTC's photo metadata."""

from dataclasses import dataclass
from html import escape

GENERATOR = "krea-serve"

# IPTC's own difference: made by a model, or a photograph that a model worked on.
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
EDITED = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"

# The identifier between the markers is the same in every XMP packet there is.
XMP_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:krea="urn:krea-serve:xmp#"
    Iptc4xmpExt:DigitalSourceType="{source_type}"
    Iptc4xmpExt:AISystemUsed="{model}"
    xmp:CreatorTool="{generator}"
    krea:seed="{seed}"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a picture comes from. The prompt is the client's own and no part of it.

    Attributes:
        model: Its name, as the API gives it.
        seed: Of this picture.
        is_edit: Whether it was made from a client's picture.
    """

    model: str
    seed: int
    is_edit: bool = False

    @property
    def source_type(self) -> str:
        """IPTC's digital source type."""
        return EDITED if self.is_edit else GENERATED

    @property
    def line(self) -> str:
        """The origin on one line, for formats and fields that have no more."""
        verb = "edited" if self.is_edit else "generated"
        return f"AI {verb}; {self.model}; seed {self.seed}; {self.source_type}"

    @property
    def xmp(self) -> str:
        """The origin as an XMP packet."""
        return XMP_PACKET.format(
            source_type=self.source_type,
            model=escape(self.model),
            generator=GENERATOR,
            seed=self.seed,
        )
