"""The known name that a misspelt one was probably meant to be."""

import difflib

__all__ = ["meant", "nearest"]


def nearest(name, known, n=3):
    """Up to `n` of the known names that look like `name`, the best first; upper and lower case count as alike."""
    folded = {}
    for one in known:
        folded.setdefault(str(one).casefold(), str(one))
    return [folded[key] for key in difflib.get_close_matches(str(name).casefold(), folded, n=n)]


def meant(name, known):
    """End of a message: ``"; did you mean 'x'?"``, empty where no known name is near."""
    found = nearest(name, known, n=1)
    return f"; did you mean '{found[0]}'?" if found else ""
