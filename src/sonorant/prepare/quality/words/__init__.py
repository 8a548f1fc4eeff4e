"""The words of a text as the ear gets them, and errors in them."""
