"""Text: segmenting, and what turns it into words that can be spoken."""
