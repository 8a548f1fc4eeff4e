"""Audio: numpy in, numpy out."""
