"""What can be measured of sound with numpy alone: faults, spectra, pitch, intelligibility."""
