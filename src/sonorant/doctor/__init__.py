"""What is wrong with a machine, a message or a model: symptom, cause, remedy."""
