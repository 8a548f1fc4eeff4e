"""How good a prepared model is, measured against the one it was prepared from."""
