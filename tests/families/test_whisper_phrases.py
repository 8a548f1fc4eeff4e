"""Words put together into phrases, and what stands between time marks."""

from sonorant.families.whisper.phrases import Piece, marked, phrases


def words(*texts: str, seconds: float = 1.0) -> list[Piece]:
    """One word after the other, each of so many seconds."""
    return [Piece(text, (i,), i * seconds, (i + 1) * seconds) for i, text in enumerate(texts)]


def written(pieces: list[Piece], *joints: float) -> list[str]:
    return ["".join(piece.text for piece in phrase) for phrase in phrases(pieces, joints)]


def test_a_sentence_ends_a_phrase():
    assert written([]) == []
    assert written(words(" Hi.", " How", " are", " you?", " Fine")) == [" Hi.", " How are you?", " Fine"]
    assert written(words("好。", "谢", "谢！", "再", "见")) == ["好。", "谢谢！", "再见"]


def test_a_pause_that_the_window_leaves_out_ends_one():
    assert written(words(" one", " two", " three", " four"), 2.1) == [" one two", " three four"]
    assert written(words(" one", " two"), 5.0) == [" one two"]


def test_a_comma_ends_only_a_long_one():
    assert written(words(" a,", " b,", " c", seconds=2)) == [" a, b, c"]
    assert written(words(" a,", " b,", " c", " d,", " e", seconds=2)) == [" a, b, c d,", " e"]


class Tokenizer:
    """Letters are text, 100 is the first time mark."""

    eot, timestamp_begin = 90, 100

    def decode(self, tokens: list[int]) -> str:
        return "".join(map(chr, tokens))


def test_what_is_marked_after_the_end_was_not_said():
    a, b = ord("A"), ord("B")
    pieces = marked([100, a, 150, 150, b, 250], 2.0, Tokenizer())
    assert [(p.text, p.tokens, p.start, p.end) for p in pieces] == [
        ("A", (a,), 0.0, 1.0),
        ("B", (b,), 1.0, 2.0),
    ]
    assert [p.text for p in marked([100, a, 150, 150, b, 250], 0.5, Tokenizer())] == ["A"]


def test_text_without_a_last_mark_goes_on_to_the_end():
    (piece,) = marked([110, ord("A")], 3.0, Tokenizer())
    assert (piece.start, piece.end) == (0.2, 3.0)
    assert marked([110, ord(" "), 150], 3.0, Tokenizer()) == []
