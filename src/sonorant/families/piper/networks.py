"""What a Piper voice's network takes and gives."""

from sonorant.networks import BATCH, Axis, Signature, Tensor

PHONEMES = Axis("phonemes", unit="phoneme id", min=3, typical=120, max=4000)
SAMPLES = Axis("samples", unit="sample", typical=66_000)


def signature(*, symbols: int, speakers: int) -> Signature:
    """`speakers` > 1 adds the speaker's number as an input."""
    inputs = [
        Tensor(
            "input", "int64", (BATCH, PHONEMES), low=0, high=symbols - 1, about="phoneme ids, padded between"
        ),
        Tensor("input_lengths", "int64", (BATCH,), low=1, lengths_of=PHONEMES.name),
        Tensor(
            "scales",
            "float32",
            (3,),
            low=0,
            high=16,
            typical=(0.667, 1.0, 0.8),
            about="noise, length, noise of the durations",
        ),
    ]
    if speakers > 1:
        inputs.append(Tensor("sid", "int64", (BATCH,), low=0, high=speakers - 1, about="speaker"))
    return Signature(tuple(inputs), (Tensor("output", "float32", (BATCH, 1, 1, SAMPLES)),))
