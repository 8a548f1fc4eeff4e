"""The decoder that is written anew, with random weights, against one in numpy."""

import numpy as np
import onnx
import pytest

from sonorant.families.moonshine import step
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.ort_format import Operator, OrtGraph
from sonorant.networks.steps import memory_signature, steps_signature

LAYERS, HEADS, WIDTH, HIDDEN, MIDDLE, VOCABULARY, TURNED = 2, 2, 6, 12, 10, 31, 2
SIZES = {"layers": LAYERS, "heads": HEADS, "width": WIDTH}
MEMORY = memory_signature(**SIZES, hidden=HIDDEN)
STEP = steps_signature(**SIZES, vocabulary=VOCABULARY)
D = "/model/decoder/"


class Oracle:
    """A decoder in float64 (transformers, modeling_moonshine.py), and the graph that an export has of it."""

    def __init__(self) -> None:
        self.chance, self.w, self.graph = np.random.default_rng(8), {}, OrtGraph()
        self.frequencies = np.array([1.0, 0.1], np.float32)
        self.graph.weights["frequencies"] = self.frequencies.reshape(1, TURNED, 1)
        self._node(f"{D}rotary_emb/MatMul", "frequencies", "positions")
        self._quantised(f"{D}embed_tokens/Gather", "embed", (VOCABULARY, HIDDEN), 0)
        for i in range(LAYERS):
            layer = f"layers.{i}"
            for module in ("self_attn", "encoder_attn"):
                for name in ("q_proj", "k_proj", "v_proj", "dense"):
                    self._linear(f"{layer}/{module}/{name}", HIDDEN, HIDDEN)
            self._linear(f"{layer}/mlp/up_proj", HIDDEN, 2 * MIDDLE, bias=True)
            self._linear(f"{layer}/mlp/down_proj", MIDDLE, HIDDEN, bias=True)
            for name in ("input_layernorm", "post_attention_layernorm", "final_layernorm"):
                self._norm(f"{layer}/{name}")
        self._norm("norm")

    def _node(self, name: str, *inputs: str) -> None:
        self.graph.nodes[name] = Operator(name.rpartition("/")[2], inputs, {})

    def _quantised(self, node: str, name: str, shape: tuple[int, int], place: int) -> None:
        values = self.chance.integers(-127, 127, shape).astype(np.int8)
        scale, zero = np.float32([0.008]), np.float32([0.01])
        self.graph.weights.update(
            {
                f"{name}_quantized": values,
                f"{name}_scale": scale,
                f"{name}_zero_point": zero,
            }
        )
        self._node(node, *["x"] * place, f"{name}_add_tensor")
        self.w[name] = values * 0.008 + 0.01

    def _linear(self, name: str, n: int, m: int, bias: bool = False) -> None:
        self._quantised(f"{D}{name}/MatMul", name, (n, m), 1)
        self.w[f"{name}.bias"] = np.zeros(m)
        if bias:
            value = self.chance.normal(0, 0.3, m).astype(np.float32)
            self.graph.weights[f"{name}.bias"] = self.w[f"{name}.bias"] = value
            self._node(f"{D}{name}/Add", f"{name}.bias", "x")

    def _norm(self, name: str) -> None:
        self.w[name] = self.chance.uniform(0.5, 1.5, HIDDEN).astype(np.float32)
        self.graph.weights.update({name: self.w[name], "epsilon": np.float32(1e-5)})
        self._node(f"{D}{name}/Mul", "x", name)
        self._node(f"{D}{name}/Add", "x", "epsilon")

    def linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self.w[name] + self.w[f"{name}.bias"]

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * self.w[name]

    def heads(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), HEADS, WIDTH).transpose(1, 0, 2)

    def turned(self, x: np.ndarray) -> np.ndarray:
        """x: [heads, n, width]; of pairs next to each other, the first 2 × TURNED of the width."""
        angles = np.arange(x.shape[1])[:, np.newaxis] * self.frequencies
        pairs = (x[..., : 2 * TURNED : 2] + 1j * x[..., 1 : 2 * TURNED : 2]) * np.exp(1j * angles)
        found = x.copy()
        found[..., : 2 * TURNED : 2], found[..., 1 : 2 * TURNED : 2] = pairs.real, pairs.imag
        return found

    def attended(self, q: np.ndarray, k: np.ndarray, v: np.ndarray, causal: bool) -> np.ndarray:
        scores = q @ k.transpose(0, 2, 1) / np.sqrt(WIDTH)
        if causal:
            scores = np.where(np.tri(scores.shape[1], dtype=bool), scores, -np.inf)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        found = shares / shares.sum(-1, keepdims=True) @ v
        return found.transpose(1, 0, 2).reshape(-1, HIDDEN)

    def logits(self, tokens: list[int], heard: np.ndarray) -> np.ndarray:
        """Of all places at once. heard: [frames, hidden]"""
        x = self.w["embed"][tokens]
        for i in range(LAYERS):
            own, others, mlp = (f"layers.{i}/{name}" for name in ("self_attn", "encoder_attn", "mlp"))
            h = self.norm(x, f"layers.{i}/input_layernorm")
            q, k, v = (self.heads(self.linear(h, f"{own}/{part}_proj")) for part in "qkv")
            x = x + self.linear(self.attended(self.turned(q), self.turned(k), v, True), f"{own}/dense")
            h = self.norm(x, f"layers.{i}/post_attention_layernorm")
            q = self.heads(self.linear(h, f"{others}/q_proj"))
            k, v = (self.heads(self.linear(heard, f"{others}/{part}_proj")) for part in "kv")
            x = x + self.linear(self.attended(q, k, v, False), f"{others}/dense")
            h = self.norm(x, f"layers.{i}/final_layernorm")
            value, gate = np.split(self.linear(h, f"{mlp}/up_proj"), 2, axis=-1)
            x = x + self.linear(value * gate / (1 + np.exp(-gate)), f"{mlp}/down_proj")
        return self.norm(x, "norm") @ self.w["embed"].T


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle()


@pytest.fixture(scope="module")
def engines(oracle, tmp_path_factory) -> tuple[OnnxRuntime, OnnxRuntime]:
    """(memory, step)"""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "read", lambda path, branch: oracle.graph)
        # without quantised activations one network takes all steps
        together, memory = step.step_models(tmp_path_factory.getbasetemp(), MEMORY, STEP)
    for model, signature in ((memory, MEMORY), (together, STEP)):
        loaded = onnx.load_from_string(model)
        onnx.checker.check_model(loaded)
        assert [value.name for value in loaded.graph.output] == [t.name for t in signature.outputs]
    path = tmp_path_factory.mktemp("moonshine") / "decoder.ort"
    return OnnxRuntime(path, derived=memory), OnnxRuntime(path, derived=together)


def test_each_step_has_the_logits_of_the_whole(oracle, engines):
    memory, together = engines
    chance = np.random.default_rng(1)
    heard = chance.normal(0, 1, (2, 7, HIDDEN)).astype(np.float32)
    tokens = [[1, 5, 30, 12, 5], [1, 0, 9, 9, 17]]
    frames = memory.prepare({"hidden_states": heard})()
    feeds = {
        "position": np.zeros(2, np.int64),
        "frames_mask": np.ones((2, 7), np.float32),
        **{f"past.{i}.{kv}": np.zeros((2, HEADS, 9, WIDTH), np.float32) for i in range(LAYERS) for kv in ("key", "value")},
        **frames,
    }  # fmt: skip
    expected = [oracle.logits(row, states) for row, states in zip(tokens, heard, strict=True)]
    for place in range(len(tokens[0])):
        feeds["token"] = np.array([row[place] for row in tokens])
        STEP.check(feeds)
        outputs = together.prepare(feeds)()
        for i in range(2):
            logits = expected[i][place]
            np.testing.assert_allclose(outputs["logits"][i], logits, atol=2e-4)
            assert outputs["next"][i] == logits.argmax()
            assert outputs["logprob"][i] == pytest.approx(
                logits.max() - np.logaddexp.reduce(logits), abs=1e-4
            )
        feeds |= {"position": outputs["next_position"]} | {
            n.replace("grown", "past"): v for n, v in outputs.items() if n.startswith("grown.")
        }
