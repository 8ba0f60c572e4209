"""A cold start: times from data sheets, for a fleet on which nothing was measured yet.

prefill ms = a + b x 2 x parameters x tokens / (tensor parallelism x peak arithmetic)
decode ms  = c + d x (weights + batch x context x key-value bytes) / (tensor parallelism x peak
             bandwidth) + e x batch

With constants fitted on public measurements the error on a kind of replica that was not among them
is up to `COLD_START_ERROR`; the operator's own points are several times closer. So measure: this is
for the first day only, and every figure made with it says so.
"""

import msgspec

from quartermaster.capacity.fleet import GpuType, ModelShape

GPU_TYPES = {
    gpu.id: gpu
    for gpu in (
        GpuType(id="a100-80gb", tflops=312, memory_gb_per_s=2_039),
        GpuType(id="h100-80gb", tflops=989, memory_gb_per_s=3_350),
        GpuType(id="h200-141gb", tflops=989, memory_gb_per_s=4_800),
        GpuType(id="b200-192gb", tflops=2_250, memory_gb_per_s=8_000),
    )
}
"""Dense 16-bit arithmetic and bandwidth of the SXM boards, from NVIDIA's data sheets."""


class Constants(msgspec.Struct, frozen=True):
    """What data sheets do not say. Milliseconds, and multiples of the ideal time."""

    prefill_fixed_ms: float
    prefill_over_ideal: float
    decode_fixed_ms: float
    decode_over_ideal: float
    decode_ms_per_sequence: float


COLD_START = Constants(
    prefill_fixed_ms=31.4,
    prefill_over_ideal=1.98,
    decode_fixed_ms=25.1,
    decode_over_ideal=0.866,
    decode_ms_per_sequence=0.358,
)
"""Fitted by `bench/capacity.py` on 830 public measurements of Llama-2-70B and BLOOM-176B on A100
and H100 at tensor parallelism 2, 4 and 8 (splitwise-sim, MIT). 1.98 is 51 % of peak arithmetic."""


class StatedError(msgspec.Struct, frozen=True):
    """Mean absolute error as a fraction of the true time, on the worst kind of replica."""

    prefill: float
    decode: float


COLD_START_ERROR = StatedError(prefill=0.48, decode=0.37)
"""Each kind of replica of those measurements predicted from the others, and from another model
alone: prefill 9-48 % (39 % where power is not capped), decode 2-36 %. `bench/capacity.py` measures
it again and fails where it is larger."""


class Roofline(msgspec.Struct, frozen=True):
    """Times of one model on one kind of replica, from data sheets and five constants."""

    gpu: GpuType
    model: ModelShape
    tensor_parallel: int
    constants: Constants = COLD_START

    @property
    def basis(self) -> str:
        """Where the times come from."""
        return "roofline"

    def prefill_ms(self, tokens: float) -> float:
        """Reading this many prompt tokens together."""
        fixed, ideal = self.prefill_parts(tokens)
        return self.constants.prefill_fixed_ms * fixed + self.constants.prefill_over_ideal * ideal

    def decode_ms(self, batch: float, context_tokens: float) -> float:
        """One more token for each of `batch` sequences of this length."""
        fixed, ideal, sequences = self.decode_parts(batch, context_tokens)
        return (
            self.constants.decode_fixed_ms * fixed
            + self.constants.decode_over_ideal * ideal
            + self.constants.decode_ms_per_sequence * sequences
        )

    def prefill_parts(self, tokens: float) -> tuple[float, float]:
        """What the prefill constants multiply."""
        flop = 2e9 * self.model.parameters_billion * tokens
        return 1.0, flop / (self.tensor_parallel * self.gpu.tflops * 1e9)

    def decode_parts(self, batch: float, context_tokens: float) -> tuple[float, float, float]:
        """What the decode constants multiply."""
        weights = 1e9 * self.model.parameters_billion * self.model.bytes_per_parameter
        moved = weights + batch * context_tokens * self.model.kv_bytes_per_token
        return 1.0, moved / (self.tensor_parallel * self.gpu.memory_gb_per_s * 1e6), batch

    def extrapolated(self, tokens: float, batch: float, context_tokens: float) -> bool:
        """All of it is: nothing was measured."""
        del tokens, batch, context_tokens
        return True
