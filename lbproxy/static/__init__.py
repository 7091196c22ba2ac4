"""Files of a folder over HTTP: which file, which part of it, and whether at all."""
