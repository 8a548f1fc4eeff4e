"""Diagnosis of a model. Its files are read in a child process, and nothing in them is executed."""

from sonorant.doctor.model.diagnosis import diagnose
from sonorant.doctor.model.finding import Diagnosis, Facts, Finding

__all__ = ["Diagnosis", "Facts", "Finding", "diagnose"]
