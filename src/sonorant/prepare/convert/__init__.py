"""To other engines. Each module has `convert(model, signature, target, …) -> Converted`: it writes into the
folder `target` and says what it found out, so that `Artefacts.make` can keep it."""
