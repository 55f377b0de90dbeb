"""Regular expressions for JSON Schema, in what every dialect of them has in common.

There are no flags there, so no `any case`; and some dialects have no lookahead.
"""


def whole(*alternatives: str) -> str:
    """Return the expression of a whole text that is one of some others."""
    return f"^(?:{'|'.join(alternatives)})$"


def any_case(word: str) -> str:
    """Return the expression of an ASCII word in upper-case and lower-case letters."""
    return "".join(
        f"[{letter.upper()}{letter}]" if letter.isalpha() else letter.replace(".", "[.]")
        for letter in word.lower()
    )


def integers_up_to(maximum: int) -> str:
    """Return the expression of the whole numbers from 1 to another, without leading zeros."""
    digits = str(maximum)
    # With fewer digits; then with the same first digits and a smaller one after them; then itself.
    shorter = [rf"[1-9][0-9]{{0,{len(digits) - 2}}}"] if len(digits) > 1 else []
    smaller = [
        rf"{digits[:place]}[{least}-{int(digit) - 1}][0-9]{{{len(digits) - place - 1}}}"
        for place, digit in enumerate(digits)
        if int(digit) > (least := 0 if place else 1)
    ]
    return f"(?:{'|'.join([*shorter, *smaller, digits])})"
