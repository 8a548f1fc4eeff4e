"""`python -m sonorant`."""

from sonorant.cli import main

main()
