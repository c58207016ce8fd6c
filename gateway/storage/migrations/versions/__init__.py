"""One file for each revision: ``v<number>_<what>.py``; the number is the revision's id."""
