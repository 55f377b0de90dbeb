"""What a file says about itself is XML that a parser takes, and says no more than it should."""

from xml.etree import ElementTree

import pytest

from serve_app.imaging.metadata import EDITED, GENERATED, Origin

DESCRIPTION = ".//{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
LARGEST_SEED = 2**63 - 1


def properties(xmp: str) -> dict[str, str]:
    description = ElementTree.fromstring(xmp.encode()).find(DESCRIPTION)
    assert description is not None
    return description.attrib


def test_the_packet_has_iptcs_terms() -> None:
    found = properties(Origin("flux.1-krea-dev", LARGEST_SEED).xmp)
    assert found == {
        "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}about": "",
        f"{IPTC}DigitalSourceType": GENERATED,
        f"{IPTC}AISystemUsed": "flux.1-krea-dev",
        "{http://ns.adobe.com/xap/1.0/}CreatorTool": "krea-serve",
        "{urn:krea-serve:xmp#}seed": str(LARGEST_SEED),
    }


@pytest.mark.parametrize("model", ['a "quoted" <b>&amp;', "it's {seed}", "模型"])
def test_a_name_stays_a_name(model: str) -> None:
    assert properties(Origin(model, 0).xmp)[f"{IPTC}AISystemUsed"] == model


def test_an_edit_says_so() -> None:
    edit = Origin("flux.1-krea-dev", 5, is_edit=True)
    assert properties(edit.xmp)[f"{IPTC}DigitalSourceType"] == EDITED
    assert edit.line == f"AI edited; flux.1-krea-dev; seed 5; {EDITED}"


def test_the_line_has_it_all() -> None:
    line = Origin("flux.1-krea-dev", LARGEST_SEED).line
    assert line == f"AI generated; flux.1-krea-dev; seed {LARGEST_SEED}; {GENERATED}"


def test_the_packet_is_marked_as_one() -> None:
    packet = Origin("model", 0).xmp
    assert packet.startswith('<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>')
    assert packet.endswith('<?xpacket end="r"?>')
