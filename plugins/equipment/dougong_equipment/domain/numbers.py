"""Numbers on labels: seven random digits and a check digit, so that a slip is noticed."""

import secrets


def new_number() -> str:
    """Return a number for a label, such as ``4821-7305``."""
    digits = f"{secrets.randbelow(10**7):07}"
    return with_check_digit(digits)


def with_check_digit(digits: str) -> str:
    """Return seven digits with their check digit, in two groups."""
    full = digits + check_digit(digits)
    return f"{full[:4]}-{full[4:]}"


def check_digit(digits: str) -> str:
    """Return the check digit that finds every single wrong digit and most swapped pairs.

    Source: ISO/IEC 7812-1, annex B (Luhn).
    """
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


def read_number(text: str) -> str | None:
    """Return the number that somebody typed, None when its check digit is wrong."""
    digits = "".join(c for c in text if c in "0123456789")
    if len(digits) != 8 or check_digit(digits[:7]) != digits[7]:
        return None
    return f"{digits[:4]}-{digits[4:]}"
