"""What runs in an environment apart: nothing here imports the rest of Sonorant."""
